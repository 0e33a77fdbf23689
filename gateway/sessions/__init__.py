"""Sessions with WhatsApp: each open on the one node that owns the instance's lease.

provider.py       the port: what a provider must be able to do, and its engine
session.py        the port: what a session must be able to do
events.py         the events that a provider reports, and their stored form
connection.py     the states of a session
leases.py         which node runs the session of an instance, and until when
node_lock.py      proof that an earlier process of this node has ended
joining.py        the start of a node: waits for the end of its earlier process
keeper.py         owns this node's share of the leases and keeps a session open for each
opening.py        opens one session, reads its events and opens it again
live.py           the open sessions, and those that are connected
inbound/          stores each event and processes it: history and callbacks
subscribers.py    publishes events within the node once they are stored
auto_actions.py   marks messages as read and rejects calls, if the instance is set so
health.py         the circuit breaker of a connection, and when it is opened again
health_monitor.py checks the connections of this node, and repairs failing ones
watched_connection.py  what is known of one of them
router.py         executes an operation on the session, on whichever node it is open
cached_router.py  the same, with answers cached for a while
relay.py          calls from one node to a session of another
operations.py     handlers: status, and the QR code as a picture
proxies.py        handlers: the proxy of an instance
proxy_trial.py    tries whether a proxy reaches WhatsApp
reachability.py   tries whether a server can be reached, and says why it cannot
"""
