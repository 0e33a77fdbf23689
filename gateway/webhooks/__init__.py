"""Writes callbacks to Postgres, then posts them to receivers until they are delivered.

    the change --> outbox, in the same transaction --> delivery --> receiver
                        |                               |   ^
                        |                               v   | backoff.py
                        |                            no answer, or a refusal
                        +--> event_log --> Server-Sent Events, Kafka

outbox.py             writes the callbacks of changes that have no statement of their own
notifier.py           wakes the readers of the outbox on this node
delivery.py           claims delivery queues, posts from each in order
claimed_callback.py   a callback of a claimed delivery queue
posting.py            one POST: checks the address, signs, reads the answer
connections.py        connections to receivers, open between callbacks
circuit_breakers.py   how much goes to a slow or dead receiver
backoff.py            when to attempt again
delivery_recorder.py  records results, many in one statement
event_log.py          reads the events of an account, from a position on
stream.py             sends them to connected callers (Server-Sent Events)
retention.py          deletes old logs, events and dead letters
dead_letters.py, replay.py, operations.py, further_webhooks.py   handlers of routes

Each chat of an instance has a delivery queue: one callback of it is in flight at most, and the
next one waits for it. Chats do not wait for each other. A further webhook has delivery queues, a
circuit breaker and dead letters of its own.
"""
