"""Callbacks to the caller's receivers: written down first, then posted until they are delivered.

    the change --> outbox, in the same transaction --> delivery --> receiver
                        |                               |   ^
                        |                               v   | backoff.py
                        |                            no answer, or a refusal
                        +--> event_log --> Server-Sent Events, Kafka

outbox.py             writes the callbacks of changes that have no statement of their own
notifier.py           wakes the readers of the outbox on this node
delivery.py           claims delivery queues, posts from each in order
posting.py            one POST: addresses, signatures, what its answer means
connections.py        connections to receivers, kept open between callbacks
circuit_breakers.py   how much goes to a slow or dead receiver
backoff.py            when to attempt again
delivery_recorder.py  records results, many in one statement
event_log.py          reads what was written, from a position on
stream.py             the same for callers who are connected
dead_letters.py, replay.py, operations.py   answers to routes

Each chat of an instance has a delivery queue: one callback of it is in flight at most, and the
next one waits for it. Chats do not wait for each other.
"""
