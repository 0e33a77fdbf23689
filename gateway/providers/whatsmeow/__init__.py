"""WhatsApp Web through whatsmeow, in child processes, because the library may abort its process.

    send --> session --> messages --> session_supervisor --> process ==socket==> child
                 ^                                                                 |
    events() <-- inbound <-- whatsmeow.events <--- stored, then acknowledged <-----+

The library chooses the message ids. The gateway's id is stored with the library's in
`whatsmeow.sends` before the message leaves. A child that ends before that has sent nothing. After
that, a receipt proves that the message arrived; without one, the message is unconfirmed.

Known losses: the library queues up to a hundred events that its process has not reported; they are
lost when the process is killed while the database is away. A message that the library had decrypted
and not reported when the process ended cannot be decrypted again.
"""
