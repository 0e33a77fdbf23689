"""Has the library decrypt one message after the other, and confirm each once it is stored.

    <message> arrives --> "Decrypting": waits until the one before is released, and the engine holds
                              |         back its keys
                              v
                          its events --> stored; with the last one its keys --> released
                                                                                    |
    <receipt> or <ack> leaves <-- waits until the message is released ---------------+

By itself the library confirms a message once the event is in a queue of the binding, and writes
the new keys before. A process that is killed then has lost the message. The library's log is
the only place that shows these moments. It is called on the thread that is about to act, and stops
that as long as it takes.
"""

import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.providers.whatsmeow.child.receipts import Receipts

_QUIET_SECONDS = 1.0
_MAX_ENCRYPTING_SECONDS = 20.0  # it asks WhatsApp for keys, which may not answer
_MAX_WAITING, _MAX_STORED = 4_096, 256

_STANZA = re.compile(r"<(\w+)([^>]*)>")
_ATTRIBUTE = re.compile(r"""\b(id|type|class|from|to|participant|error)=["']([^"']*)["']""")
_ENCRYPTED = re.compile(r"""<enc [^>]*type=["'](?:msg|pkmsg|skmsg|msmsg)["']""")
_OF_MESSAGE = frozenset({"Message", "UndecryptableMessage"})
_CONFIRMATIONS = frozenset({None, "inactive", "sender", "peer_msg", "hist_sync"})
_ENCRYPTED_STANZAS = frozenset({"message", "appdata"})
_DECRYPTING = "Decrypting message from "
_WITHOUT_EVENT = (
    "Ignoring message ",
    "Unhandled encrypted message ",
    "Error unmarshaling decrypted message ",
    "Unknown version ",
)
_LAST_EVENT = "Error decrypting message "


class Report(Protocol):
    """Reports an event; returns when the engine has handled it."""

    def __call__(self, name: str, body: dict[str, Any], *, releases: bool = False) -> None: ...


@dataclass(eq=False, slots=True)
class _Received:
    """A message that the library decrypts.

    `expected` counts the events that it will have, one for each encrypted part.
    """

    id: str | None
    expected: int
    stored: int = 0
    is_releasing: bool = False
    is_released: bool = False


class Receiving:
    """What one client receives. Its methods are called on threads of Go's, and block them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._changed = threading.Condition()
        self._waiting: deque[tuple[str, int]] = deque(maxlen=_MAX_WAITING)
        """Messages that arrived, with the number of their encrypted parts."""
        self._current: _Received | None = None
        self._stored: OrderedDict[str, None] = OrderedDict()
        self._reporting = 0
        self._encrypting = 0
        self.receipts = Receipts()

    def begin_encryption(self) -> None:
        """Waits until no message is being decrypted; none is until `end_encryption`.

        The library reads keys, and writes them later, without a lock: the one that writes last
        would take back what the other did to the keys of their chat.
        """
        while True:
            with self._changed:
                received = self._current
                if received is None or received.is_released:
                    self._encrypting += 1
                    return
            self._release(received)

    def end_encryption(self) -> None:
        """Lets messages be decrypted again; what was encrypted is written."""
        with self._changed:
            self._encrypting -= 1
            self._changed.notify_all()

    def report_event(self, name: str, body: dict[str, Any]) -> None:
        """Reports an event of the library; its keys are written with the last of a message."""
        message_id = body["Info"]["ID"] if name in _OF_MESSAGE else None
        with self._changed:
            received = self._find(message_id) if message_id else None
            releases = received is not None and received.stored + 1 >= received.expected
            self._reporting += 1
        try:
            self._report(name, body, releases=releases)
        finally:
            with self._changed:
                self._reporting -= 1
                if received:
                    received.stored += 1
                    received.is_released = received.is_released or releases
                if message_id and (received is None or received.is_released):
                    self._note_stored(message_id)
                self._changed.notify_all()
        if name == "Receipt":
            self.receipts.note_stored(body)

    def on_log(self, name: str, text: str) -> None:
        """Reads a line of the library's log, and stops the thread that wrote it if it has to."""
        if name.endswith("Recv"):
            self._on_arrival(text)
        elif name.endswith("Send"):
            self._before_sending(text)
        elif text.startswith(_DECRYPTING):
            self._before_decryption()
        elif text.startswith(_WITHOUT_EVENT):
            self._expect(lambda received: received.expected - 1)
        elif text.startswith(_LAST_EVENT):
            self._expect(lambda received: received.stored + 1)

    def _on_arrival(self, stanza: str) -> None:
        tag, attributes = _parsed(stanza)
        if tag == "success":  # what arrived on an earlier connection is decrypted by now, or never
            self.receipts.drop_all()
            with self._changed:
                self._waiting.clear()
        elif tag in _ENCRYPTED_STANZAS and not attributes.get("from", "").endswith("@newsletter"):
            parts = len(_ENCRYPTED.findall(stanza))
            with self._changed:
                self._waiting.append((attributes.get("id", ""), parts))
        elif tag == "receipt":
            self.receipts.add(stanza, attributes)

    def _before_decryption(self) -> None:
        with self._changed:
            before = self._current
        if before:
            self._release(before)
        with self._changed:
            self._changed.wait_for(lambda: not self._encrypting, _MAX_ENCRYPTING_SECONDS)
            message_id, parts = self._waiting.popleft() if self._waiting else (None, 1)
            self._current = _Received(message_id, parts)
        self._report("Receiving", {})

    def _before_sending(self, stanza: str) -> None:
        tag, attributes = _parsed(stanza)
        kind = attributes.get("type")
        is_confirmation = (tag == "receipt" and kind in _CONFIRMATIONS) or (
            tag == "ack" and attributes.get("class") in _ENCRYPTED_STANZAS
        )
        if is_confirmation and (message_id := attributes.get("id")):
            self._before_confirmation(message_id)
        elif tag == "ack" and attributes.get("class") == "receipt":
            self.receipts.before_acknowledgement(attributes)

    def _before_confirmation(self, message_id: str) -> None:
        with self._changed:
            received = self._current
            if received is None or received.id != message_id:
                self._wait(lambda: message_id in self._stored)
                return
        self._release(received)

    def _release(self, received: _Received) -> None:
        """Returns when the message is released; one without a further event is released here."""
        with self._changed:
            self._wait(
                lambda: (
                    received.is_released
                    or (not received.is_releasing and received.stored >= received.expected)
                )
            )
            while received.is_releasing and not received.is_released:
                self._changed.wait()
            if received.is_released:
                return
            received.is_releasing = True
        self._report("Released", {})
        with self._changed:
            received.is_released = True
            if received.id:
                self._note_stored(received.id)
            self._changed.notify_all()

    def _wait(self, is_over: Callable[[], bool]) -> None:
        """Waits, with the lock: at most a moment in which no event is being reported."""
        until = time.monotonic() + _QUIET_SECONDS
        while not is_over():
            if self._reporting:
                until = time.monotonic() + _QUIET_SECONDS
            if (left := until - time.monotonic()) <= 0:
                return
            self._changed.wait(left)

    def _find(self, message_id: str) -> _Received | None:
        """Returns the message that is being decrypted if it has this id, or should have it."""
        received = self._current
        if received is None or received.is_released or received.id == message_id:
            return received if received and received.id == message_id else None
        if received.id is None and message_id not in self._stored:
            received.id = message_id
            return received
        if message_id in (waiting := [id_ for id_, _ in self._waiting]):
            # A stanza that arrived before it was not decrypted.
            for _ in range(waiting.index(message_id)):
                self._waiting.popleft()
            received.id, received.expected = self._waiting.popleft()
            return received
        return None

    def _expect(self, events: Callable[[_Received], int]) -> None:
        with self._changed:
            if self._current and not self._current.is_released:
                self._current.expected = events(self._current)
                self._changed.notify_all()

    def _note_stored(self, message_id: str) -> None:
        self._stored[message_id] = None
        while len(self._stored) > _MAX_STORED:
            self._stored.popitem(last=False)


def _parsed(stanza: str) -> tuple[str, dict[str, str]]:
    found = _STANZA.match(stanza)
    return (found[1], dict(_ATTRIBUTE.findall(found[2]))) if found else ("", {})
