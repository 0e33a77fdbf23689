r"""Stores each event of a session and processes it, before or after it is acknowledged.

    event --> inbox, history, callbacks: one transaction --> acknowledged
          \-> inbox alone --> acknowledged --> chat queue --> history, callbacks: one transaction
              (the event has files to download, waits for the record of its message, or waits for
              an earlier event of its chat)

intake.py            stores the events of one session
inbox.py             the table of events
chat_queues.py       processes what is pending, in order per chat
cards.py             learns names from contact cards
pictures.py          finds links to pictures, and looks up those that are not known
files.py             downloads the files of a message
processing.py        finds the function for an event
receiving.py         messages
acknowledgements.py  receipts
receipt_batch.py     stores the receipts of all sessions together
notifications.py     notifications and calls
states.py            connections and presence
participants.py      the people of an event
event_context.py     what these functions work with
"""

from gateway.sessions.inbound.intake import Inbound

__all__ = ["Inbound"]
