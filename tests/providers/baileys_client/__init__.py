"""WhatsApp clients of another implementation, Baileys, which read what the gateway sends.

    client.py --stdin, stdout--> client.mjs --TLS--> fake_whatsapp

`npm ci` in this folder installs it; `make test` does, if the machine has Node 20 or later.
"""
