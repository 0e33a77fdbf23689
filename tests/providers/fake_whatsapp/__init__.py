"""A WhatsApp server for tests, in its own process, to which the unmodified library connects.

    clients --CONNECT--> __main__.py --TLS--> app.py --> websocket.py   Noise, frames, stanzas
                                                |            |
                                                v            v
                                            media bytes   answers.py    what a query is answered
                                                          routing.py    messages between devices
                                                          groups.py, channels.py, business.py
    tests --HTTP--> app.py   scan a code, type a code, cut, log out, look

The server forwards Signal's ciphertext. The phone of an account (device 0) gives each device the
key of the app state (phone.py, app_state.py) and reads no message. The server does NOT check
content, throttle, or ban. `key_hook` makes whatsmeow trust this server's root key instead of
WhatsApp's.
"""
