r"""Writes down what a session tells, and what callers are told of it, before it is acknowledged.

    event --> inbox, history, outbox: one transaction --> acknowledged
          \-> inbox alone --> acknowledged --> line of its chat --> history, outbox
              (it has files to fetch, waits for the record of its message, or for an event of
              its chat that does)

`intake` writes, `lines` settles what is left for later, `settling` says what an event leads to.
"""

from gateway.sessions.inbound.intake import Inbound

__all__ = ["Inbound"]
