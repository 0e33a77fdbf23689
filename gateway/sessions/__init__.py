"""Live connections of this process.

provider.py   the port: what every way of reaching WhatsApp must be able to do
keeper.py     holds leases and keeps a session open for each
inbound.py    writes down what a session tells, then acknowledges it
ask.py        runs an operation on the session
operations.py answers what takes more than asking it: status, restart, the QR code as a picture
"""
