"""WhatsApp Web through whatsmeow, in child processes: the library may abort its process.

    send --> session --> messages (WhatsApp's words) --> upkeep --> process ==socket==> child
                 ^                                                                       |
    events() <-- inbound <-- whatsmeow.events <--- written, then acknowledged <----------+

It chooses its own message ids: ours is tied to it, in `whatsmeow.sends`, before the message
leaves. A child that dies before that has sent nothing; after that, a receipt proves that the
message arrived, or it is unconfirmed.

What cannot be mended here: the library has room for a hundred events that its own process has
not handed over; they are lost when it is killed while the database is away. A message that was
decrypted and not handed over when the process died cannot be decrypted again.
"""
