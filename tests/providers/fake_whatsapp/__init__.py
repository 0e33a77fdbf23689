"""A WhatsApp server for tests, in its own process, to which the unmodified library connects.

    whatsmeow --CONNECT--> proxy.py --TLS--> app.py --> websocket.py   Noise, frames, stanzas
                                               |            |
                                               v            v
                                           media bytes   answers.py    what a query is answered
                                                         routing.py    messages between devices
                                                         groups.py
    tests --HTTP--> control.py   scan a code, type a code, cut, log out, look

The server forwards Signal's ciphertext and needs none of its code; the clients at both ends do.
It does NOT check content, throttle, ban, or know channels. A phone (device 0) has keys and reads
nothing. `key_hook` makes a client trust this server's root key instead of WhatsApp's.
"""
