"""WhatsApp Web through the library Baileys, in child processes of Node.

    send --> session --> gateway.whatsapp_web --> session_supervisor --> process ==socket==> child
                 ^                                    |                                        |
    events() <-- gateway.whatsapp_web.inbound <-- store <------- keys and events, together <---+

A child asks the engine to commit keys and events, in one transaction that an older epoch may not
write. It holds back every frame to WhatsApp until what was changed before is committed. So a
message leaves after its keys are stored, and a receipt leaves after its message is stored.

A message keeps the gateway's id at WhatsApp. `send` returns with WhatsApp's acknowledgement.

Known losses: the library confirms a history synchronisation before it has downloaded it, and a
process that is killed meanwhile loses that part of the history. It keeps what it sent for other
devices to ask for again in memory only.
"""
