"""WhatsApp Web through whatsmeow, in child processes, because the library may abort its process.

    send --> session --> messages --> session_supervisor --> process ==socket==> child
                 ^                                                                 |
    events() <-- inbound <-- whatsmeow.events <--- stored, then acknowledged <-----+

The library chooses the message ids. The gateway's id is stored with the library's in
`whatsmeow.sends` before the message leaves. A child that ends before that has sent nothing. After
that, a receipt proves that the message arrived; without one, the message is unconfirmed.

What a killed process loses is in docs/providers.md: events that the library confirms before they
are stored, and, with keys in a file, a message that it had decrypted.
"""
