"""A WhatsApp server for tests, in a process of its own, that the unmodified wheel talks to.

    whatsmeow --CONNECT--> proxy.py --TLS--> app.py --> websocket.py   Noise, frames, stanzas
                                               |            |
                                               v            v
                                           media bytes   answers.py    what a query is answered
                                                         routing.py    messages between devices
                                                         groups.py
    tests --HTTP--> control.py   scan a code, type a code, cut, log out, look

The server carries Signal's ciphertext and needs none of its code: whoever is at both ends does.
It does NOT judge content, throttle, ban, or know channels; a phone (device 0) holds keys, and
reads nothing. `key_hook` makes a client trust this server's root key instead of WhatsApp's.
"""
