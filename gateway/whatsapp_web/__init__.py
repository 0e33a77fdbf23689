"""What the providers share that speak WhatsApp Web, whichever library each one runs.

    messages/     builds WhatsApp's messages from Z-API's      operations/   executes operations
    inbound.py    translates events of WhatsApp to the port's
    session.py    what the two need of a provider's session

Messages and events are in the JSON form of protobuf, with the names of WhatsApp's own schema: bytes
are base64, 64-bit numbers are strings. A verb is a call of the library, made in its child process.
"""
