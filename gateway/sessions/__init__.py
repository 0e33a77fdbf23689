"""Live connections, each in the one process that holds its lease.

provider.py   the port: what every way of reaching WhatsApp must be able to do
leases.py     who runs the session of an instance, and for how long
keeper.py     takes its share of the leases and keeps a session open for each
inbound.py    writes down what a session tells, then acknowledges it
ask.py        runs an operation on the session
relay.py      does so where another node holds it
operations.py answers what takes more than asking it: status, restart, the QR code as a picture
"""
