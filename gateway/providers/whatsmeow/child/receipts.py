"""Holds back the acknowledgement of a receipt until the engine has stored it.

    <receipt> arrives --> its events --> stored --+
                                                  v
    <ack class="receipt"> leaves <-- waits until then

By itself the library acknowledges a receipt when it arrives. What a killed process had not handed
over was lost, because WhatsApp repeats only what was not acknowledged. Each acknowledgement that
waits holds a thread, so that their number is bounded; further ones leave at once.
"""

import re
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_MAX_WAITING = 24  # the library's threads stay for the life of the process
_MAX_ARRIVED = 4_096
_MAX_WAITING_SECONDS = 120.0  # Postgres is away, or a receipt of an unknown form has no event

_TYPES: Final = {"": "DELIVERED", "read": "READ", "read-self": "READ_SELF", "played": "PLAYED"}
"""The types that the gateway uses, with their names in an event.

The binding cannot report some others: it ends, and WhatsApp would repeat what was not acknowledged.
"""

_PERSON = re.compile(r"<user ")
_KEY = re.compile(r"""\bkey=["']([^"']*)["']""")

Attributes = Mapping[str, str]
_Name = tuple[str, ...]


@dataclass(eq=False, slots=True)
class _Receipt:
    """A receipt that arrived; in a group, one stanza names several people and messages."""

    of: set[tuple[str, str]] = field(default_factory=set)
    """Ids of its messages, each with the type in an event."""
    unstored: int = 0
    over: threading.Event = field(default_factory=threading.Event)


class Receipts:
    """The receipts of one client. Methods are called on threads of Go's, and may block them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived: dict[_Name, _Receipt] = {}
        self._of_message: defaultdict[tuple[str, str], deque[_Name]] = defaultdict(deque)
        self.waiting = 0
        """How many acknowledgements wait."""

    def add(self, stanza: str, attributes: Attributes) -> None:
        """Notes a receipt that arrived, before the library handles it."""
        kind = _TYPES.get(attributes.get("type", ""))
        if kind is None or len(self._arrived) >= _MAX_ARRIVED:
            return
        name = _name(attributes, attributes.get("from", ""))
        message_ids = _KEY.findall(stanza) or [attributes.get("id", "")]
        with self._lock:
            receipt = self._arrived.setdefault(name, _Receipt())
            receipt.unstored += max(len(_PERSON.findall(stanza)), 1)
            for each in {(message_id, kind) for message_id in message_ids} - receipt.of:
                receipt.of.add(each)
                self._of_message[each].append(name)

    def note_stored(self, event: Mapping[str, Any]) -> None:
        """Notes that an event is stored: of the oldest receipt of this message and type.

        The library's events come in the order in which their receipts arrived.
        """
        message_id = next(iter(event.get("MessageIDs", ())), "")
        with self._lock:
            if names := self._of_message.get((message_id, event.get("Type", "DELIVERED"))):
                receipt = self._arrived[names[0]]
                receipt.unstored -= 1
                if receipt.unstored == 0:
                    self._end(names[0])

    def before_acknowledgement(self, attributes: Attributes) -> None:
        """Returns once the receipt is stored that this stanza acknowledges.

        It returns at once if the library could not read the receipt, or too many wait.
        """
        name = _name(attributes, attributes.get("to", ""))
        with self._lock:
            receipt = self._arrived.get(name)
            if receipt and "error" in attributes:
                self._end(name)
            if receipt is None or receipt.over.is_set() or self.waiting >= _MAX_WAITING:
                return
            self.waiting += 1
        receipt.over.wait(_MAX_WAITING_SECONDS)
        with self._lock:
            self.waiting -= 1
            if self._arrived.get(name) is receipt:
                self._end(name)

    def drop_all(self) -> None:
        """Ends all waits: the connection is over, and WhatsApp repeats the receipts."""
        with self._lock:
            for name in tuple(self._arrived):
                self._end(name)

    def _end(self, name: _Name) -> None:
        receipt = self._arrived.pop(name)
        receipt.over.set()
        for each in receipt.of:
            self._of_message[each].remove(name)
            if not self._of_message[each]:
                del self._of_message[each]


def _name(attributes: Attributes, peer: str) -> _Name:
    """Returns what a receipt and its acknowledgement have in common."""
    return (peer, *(attributes.get(key, "") for key in ("id", "type", "participant")))
