"""Says why a message waits: a code for programs, and a sentence for people.

Nothing is stored for it. The row and its queue say most; where the worker of this node has the
message, its memory says how long the pause lasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from gateway.clock import Clock
from gateway.contract.send import Priority
from gateway.contract.zapi.instance_queue import WaitingCode
from gateway.database.payload_seal import Unopened
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import UnknownInstance
from gateway.instances.store import Instance
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.claim_cursor import LANE_WEIGHTS
from gateway.send_queue.outcome import HoldKind
from gateway.send_queue.pacing import SendPolicy

_QUEUE_STATE = query("send_queue", "queue_state")
_FIND_PLACES = query("send_queue", "find_places")

_MAX_PLACES: Final = 1_000
_LANES: Final = tuple(Priority)


@dataclass(frozen=True, slots=True)
class WaitingReason:
    """Why a message waits; `until` and the messages that go `before` it, where they are known.

    `sentence` says the same in English.
    """

    code: WaitingCode
    sentence: str
    until: datetime | None = None
    before: int | None = None


class WaitingRow(Protocol):
    """The columns of a queued message that say why it waits; `state` is its stored status."""

    @property
    def id(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def payload(self) -> dict[str, Any]: ...
    @property
    def state(self) -> str: ...
    @property
    def parked_for(self) -> str | None: ...
    @property
    def withheld_for(self) -> str | None: ...
    @property
    def deferrals(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def is_due(self) -> bool: ...
    @property
    def claimed_at(self) -> datetime | None: ...
    @property
    def attempt_started_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class QueueState:
    """What holds the queue as a whole; a hold that has ended is None."""

    connected: bool
    paused: bool
    hold_until: datetime | None
    hold_reason: str | None
    hold_kind: HoldKind | None
    hold_seconds: float | None
    first_contacts_until: datetime | None = None

    @property
    def awaits_confirmation(self) -> bool:
        """Whether the hold ends when the owner confirms a linking, at no time."""
        return self.hold_kind == "linking"


@dataclass(frozen=True, slots=True)
class _Place:
    """How many messages of its lane are before a message, and how many each lane has at least."""

    id: int
    ahead: int | None
    high: int
    normal: int
    bulk: int
    head_rests_until: datetime | None
    has_claimed: bool

    def size(self, lane: Priority) -> int:
        return (self.high, self.normal, self.bulk)[_LANES.index(lane)]

    def ahead_in(self, lane: Priority, *, own: Priority) -> int:
        """Returns about how many messages of another lane go before it, by the weights of lanes."""
        turns = 1 + (self.ahead or 0)
        return min(self.size(lane), turns * LANE_WEIGHTS[lane] // LANE_WEIGHTS[own])


@dataclass(frozen=True, slots=True)
class WaitingReasons:
    """Says of the messages of one instance why each waits.

    `activity` is what the worker of this node does; None if another node has the instance.
    """

    database: Database
    clock: Clock
    policy: SendPolicy
    instance: Instance
    activity: WorkerActivity | None = field(default=None, kw_only=True)

    async def of(self, rows: Sequence[WaitingRow]) -> list[WaitingReason | None]:
        """Returns the reasons in the order of *rows*; None for a message that is being sent."""
        waiting = [row for row in rows if row.attempt_started_at is None]
        if not waiting:
            return [None] * len(rows)
        queue = await read_queue_state(self.database, self.instance.id)
        reasons = {row.id: _own_reason(row, queue) for row in waiting}
        in_turn = [row for row in waiting if reasons[row.id] is None]
        places = await self._places([row.id for row in in_turn if row.state == "pending"])
        for row in in_turn:
            place = places.get(row.id)
            reasons[row.id] = self._of_place(row, place) if place else self._of_claimed(row)
        return [reasons.get(row.id) for row in rows]

    async def _places(self, ids: list[int]) -> dict[int, _Place]:
        if not ids:
            return {}
        found = await self.database.fetch_all(
            _Place, _FIND_PLACES, instance_id=self.instance.id, ids=ids, max_count=_MAX_PLACES
        )
        return {place.id: place for place in found}

    def _of_claimed(self, row: WaitingRow) -> WaitingReason:
        """Says what the worker does with the next message."""
        if self.activity is None or self.activity.row_id != row.id:
            return self._of_claimed_elsewhere(row)
        if self.activity.awaits_file:
            return _FILE
        pauses_until, now = self.activity.pauses_until, self.clock.monotonic_seconds()
        if pauses_until is None or pauses_until <= now:
            return _PREPARED
        return _pacing(self.clock.now() + timedelta(seconds=pauses_until - now))

    def _of_claimed_elsewhere(self, row: WaitingRow) -> WaitingReason:
        """Says when the pause ends at the latest; only the node of the worker knows the time."""
        delay = 0 if isinstance(row.payload, Unopened) else row.payload.get("delay_message") or 0
        pause = timedelta(seconds=self.policy.max_pause_seconds(self.instance) + delay)
        if row.claimed_at is None or (ends_at := row.claimed_at + pause) <= self.clock.now():
            return _PREPARED
        return _pacing(ends_at, at_most=True)

    def _of_place(self, row: WaitingRow, place: _Place) -> WaitingReason:
        own = Priority(row.priority)
        if place.ahead is None:
            return _FAR_BACK if place.size(own) >= _MAX_PLACES else _PREPARED
        if place.ahead and place.head_rests_until:
            return WaitingReason(
                "turn",
                "It is behind another message of its lane, whose next attempt is at "
                f"{_shown(place.head_rests_until)}.",
                place.head_rests_until,
            )
        others = {lane: place.ahead_in(lane, own=own) for lane in _LANES if lane != own}
        before = place.ahead + sum(others.values()) + place.has_claimed
        if not place.ahead and any(count for lane, count in others.items() if lane < own):
            return WaitingReason(
                "lane",
                "It is the first of its lane; messages of lanes with a higher priority go first"
                f"{self._in_seconds(before)}.",
                before=before,
            )
        return self._of_turn(before, is_exact=not sum(others.values()))

    def _of_turn(self, before: int, *, is_exact: bool) -> WaitingReason:
        if not before:
            return WaitingReason("turn", "It is the next message.", before=0)
        about = "" if is_exact else "about "
        messages = "message" if before == 1 else "messages"
        return WaitingReason(
            "turn",
            f"Its turn comes after {about}{before} {messages}{self._in_seconds(before)}.",
            before=before,
        )

    def _in_seconds(self, before: int) -> str:
        seconds = round(before * self.policy.mean_pause_seconds(self.instance))
        return f", in about {seconds} seconds" if seconds > 1 else ""


async def read_queue_state(database: Database, instance_id: str) -> QueueState:
    """Raises UnknownInstance if the instance was deleted."""
    queue = await database.fetch_one(QueueState, _QUEUE_STATE, instance_id=instance_id)
    if queue is None:
        raise UnknownInstance
    return queue


_FILE: Final = WaitingReason("file", "Its file is being fetched.")
_PREPARED: Final = WaitingReason("turn", "It is the next message, and is being prepared.", before=0)
_FAR_BACK: Final = WaitingReason(
    "turn", f"Its turn comes after more than {_MAX_PLACES} messages.", before=_MAX_PLACES
)
_DUE: Final = WaitingReason("turn", "Its time has come; it joins its lane in a moment.")
_BEHIND: Final = WaitingReason(
    "chat",
    "It is behind another message of its chat, which waits for its file or its next attempt.",
)


_UNCONFIRMED: Final = WaitingReason(
    "held", "A phone was linked with a link; the queue waits until you confirm that phone."
)


def _own_reason(row: WaitingRow, queue: QueueState) -> WaitingReason | None:
    """Returns why the message, or its whole queue, waits; None where only its turn is missing.

    The queue comes before a file or a retry: without it nothing moves.
    """
    if row.state == "scheduled" and row.withheld_for:
        return _queue_reason(queue) or _withheld_reason(row)
    if row.state == "scheduled" and not row.is_due:
        return WaitingReason("scheduled", f"It is scheduled for {_shown(row.due_at)}.", row.due_at)
    if reason := _queue_reason(queue) or _parked_reason(row):
        return reason
    return _DUE if row.state == "scheduled" else None


def _queue_reason(queue: QueueState) -> WaitingReason | None:
    if queue.paused:
        return WaitingReason("paused", "The queue is paused.")
    if not queue.connected:
        return WaitingReason("disconnected", "The instance is not connected to WhatsApp.")
    if queue.awaits_confirmation:
        return _UNCONFIRMED
    if queue.hold_until is None:
        return None
    until = _shown(queue.hold_until)
    if queue.hold_kind == "daily_limit":
        return WaitingReason(
            "daily_limit",
            f"The daily limit is reached; the queue goes on at {until}.",
            queue.hold_until,
        )
    return WaitingReason(
        "held",
        f"WhatsApp limits the number; the queue is on hold until {until}.",
        queue.hold_until,
    )


def _withheld_reason(row: WaitingRow) -> WaitingReason:
    return WaitingReason(
        "first_contact",
        "WhatsApp lets the number write to known chats only; this message goes on at "
        f"{_shown(row.due_at)}, or soon after the person writes.",
        row.due_at,
    )


def _parked_reason(row: WaitingRow) -> WaitingReason | None:
    if row.parked_for == "file":
        return _FILE
    has_failed = row.attempts > 0 or row.deferrals > 0
    is_pending = row.state == "pending" and has_failed and not row.is_due
    if row.parked_for == "retry" or is_pending:
        at = _shown(row.due_at)
        return WaitingReason(
            "retry", f"The last attempt failed; the next one is at {at}.", row.due_at
        )
    return _BEHIND if row.state == "behind" else None


def _pacing(until: datetime, *, at_most: bool = False) -> WaitingReason:
    lasts = "lasts until" if not at_most else "ends by"
    return WaitingReason(
        "pacing", f"It is the next message; the pause before it {lasts} {_shown(until)}.", until
    )


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
