"""Takes the head of each queue, for all workers of this process in one statement."""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gateway.batching import Batch
from gateway.contract.send import Priority
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.instances.store import Instance
from gateway.send_queue.order import MAX_PARKED, QueueOrder

_CLAIM = query("send_queue", "claim")
_ARRANGE = query("send_queue", "arrange")
_FIND_OWNED = query("send_queue", "find_owned")
_MARK_IDLE = query("send_queue", "mark_idle")
_SENT_TODAY = query("send_queue", "sent_today")
_FIND_INSTANCE = query("instances", "find_instance")
_END_DAILY_LIMIT_HOLD = query("send_queue", "end_daily_limit_hold")

_FIRST_POSITION = -(2**63)
_MAX_DOUBTFUL_CLAIMS = 8
_MAX_RUN = 500
_LANES: Final = tuple(Priority)
LANE_WEIGHTS: Final[Mapping[Priority, int]] = {
    Priority.HIGH: 4,
    Priority.NORMAL: 2,
    Priority.BULK: 1,
}


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A queued message that only this worker may send."""

    instance_id: str
    id: int
    zaap_id: str
    message_id: str
    type: str
    version: int
    phone: str
    payload: Mapping[str, Any]
    priority: int
    position: int
    attempts: int
    max_attempts: int
    created_at: datetime
    claimed_epoch: int
    claim_id: uuid.UUID | None
    """The claim that took the row; None if a node of an older version took it."""
    is_expired: bool
    """The message expired before it was claimed. It must fail, and no attempt may start."""
    reordered: int
    known_chat: str | None = field(default=None, kw_only=True)
    """The number by which WhatsApp knows the recipient; None if unknown, and for a group."""

    @property
    def track_id(self) -> str | None:
        """The caller's own reference."""
        return self.payload.get("track_id")

    @property
    def wanted_at(self) -> datetime:
        """When the caller wanted it sent: when it was accepted, or the time it is scheduled for."""
        scheduled_for = self.payload.get("scheduled_for")
        if scheduled_for is None:
            return self.created_at
        return max(self.created_at, datetime.fromisoformat(scheduled_for))

    @property
    def chat(self) -> str:
        """The one name of its chat, whichever name of the person the caller wrote."""
        return self.known_chat or self.phone


def _nothing_claimed() -> dict[Priority, int]:
    return dict.fromkeys(_LANES, _FIRST_POSITION)


@dataclass(slots=True)
class ClaimCursor:
    """Where a worker stands in its queue between two claims.

    Lanes: `served` counts the messages of each lane, divided by the lane's weight. The lane with
    the lowest count goes next. `claimed_up_to` is the position from which each lane is read, so
    that a claim does not visit the dead versions of rows that have left. A row that appears before
    that position raises the queue's `reordered`; the lanes are then read from the front again.

    Lost answers: the worker makes `claim_id` before it claims, and keeps it until a row comes. If
    an answer is lost, a repeated claim with the same id gets the row that the lost claim took.
    Postgres may run a statement after its connection was lost. Such a statement could take another
    row, so an id whose answer was lost becomes `doubtful`, and later claims name it as well. The id
    of a row that the worker dropped becomes doubtful too.

    Parked messages: while `has_parked`, each claim arranges the queue first. The worker sets it
    before it parks a message; only a statement that finds no parked message clears it.
    """

    instance_id: str
    epoch: int
    reordered: int = -1
    claimed_up_to: dict[Priority, int] = field(default_factory=_nothing_claimed)
    served: dict[Priority, float] = field(default_factory=lambda: dict.fromkeys(_LANES, 0.0))
    claim_id: uuid.UUID | None = None
    last_claim_id: uuid.UUID | None = None
    """The claim that brought the last row."""
    answer_lost: bool = False
    """Whether Postgres' answer to a claim with `claim_id` was lost."""
    doubtful: deque[uuid.UUID] = field(default_factory=lambda: deque(maxlen=_MAX_DOUBTFUL_CLAIMS))
    has_parked: bool = True
    """Whether the queue may have parked messages, or messages behind them."""
    all_files: bool = True
    """Whether every message that awaits its file is due: a new worker fetches the files again."""
    ready_ids: set[int] = field(default_factory=set)
    """The messages whose files have come, or failed to come."""
    moved: int = 0
    """How many messages the last claim parked, put behind or returned."""

    def lanes(self) -> list[Priority]:
        """Returns the lanes in the order in which a claim reads them."""
        return sorted(_LANES, key=lambda lane: (self.served[lane], lane))

    def advance(self, claimed: ClaimedMessage) -> None:
        """Notes a claimed row: its lane was served, and reading goes on after it."""
        lane = Priority(claimed.priority)
        for other in self.lanes():
            if other is lane:
                break
            # The lane was empty. It catches up here, or it would send a burst later.
            self.served[other] = self.served[lane]
        self.served[lane] += 1 / LANE_WEIGHTS[lane]
        if claimed.reordered != self.reordered:
            self.reordered = claimed.reordered
            self.claimed_up_to = _nothing_claimed()
        self.claimed_up_to[lane] = claimed.position
        self.ready_ids.discard(claimed.id)
        self._end_claim()

    def note_arranged(self, *, moved: int, has_parked: bool) -> None:
        """Notes that the queue was arranged before a claim."""
        self.moved, self.has_parked, self.all_files = moved, has_parked, False

    def drop_row(self) -> None:
        """Notes that the worker gave up the last row without recording an outcome."""
        if self.last_claim_id and self.last_claim_id not in self.doubtful:
            self.doubtful.append(self.last_claim_id)

    def _end_claim(self) -> None:
        if self.answer_lost and self.claim_id:
            self.doubtful.append(self.claim_id)
        self.last_claim_id, self.claim_id, self.answer_lost = self.claim_id, None, False


@dataclass(frozen=True, slots=True)
class _IdleQueue:
    instance_id: str
    seconds_until_due: float | None


@dataclass(frozen=True, slots=True)
class _Arranged:
    instance_id: str
    moved: int
    has_parked: bool


@dataclass(frozen=True, slots=True)
class _Owned:
    instance_id: str
    id: int


@dataclass(frozen=True, slots=True)
class Day:
    """How many messages of an instance were sent since midnight (UTC), and when the day ends."""

    sent: int
    ends_at: datetime


class Claimer:
    """Claims messages, and reads what a worker needs to know before it sends one."""

    def __init__(
        self,
        database: Database,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
        *,
        order: QueueOrder = "chat",
        interval_seconds: float = 0.0,
    ) -> None:
        """Prepares the claims.

        Args:
            database: the pool.
            new_uuid: ids of claims.
            order: of queues without an order of their own.
            interval_seconds: of the batches of claims and of queues that become idle.
        """
        self._database, self._new_uuid, self._order = database, new_uuid, order
        self._claims = Batch[ClaimCursor, ClaimedMessage | None](
            self._claim, interval_seconds=interval_seconds
        )
        self._sleeps = Batch[ClaimCursor, float | None](
            self._sleep, interval_seconds=interval_seconds
        )
        self._checks = Batch[ClaimedMessage, bool](self._check)

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claims.run_until(stopping))
            group.create_task(self._sleeps.run_until(stopping))
            group.create_task(self._checks.run_until(stopping))

    async def claim(self, cursor: ClaimCursor, *, at_once: bool = False) -> ClaimedMessage | None:
        """Claims the head of the queue; with *at_once* no interval counts.

        Returns None if the queue is empty, paused or on hold, or if another transaction has locked
        its head. Call it only while the worker owns no row of this queue.

        Raises:
            DatabaseUnavailable: a row may have been claimed; the next call with *cursor* gets it.
        """
        cursor.claim_id = cursor.claim_id or self._new_uuid()
        while True:
            try:
                claimed = await self._claims.submit(cursor, at_once=at_once)
            except DatabaseUnavailable:
                cursor.answer_lost = True
                raise
            if claimed:
                cursor.advance(claimed)
                return claimed
            if not cursor.moved:  # else other messages are at the front now
                return None

    async def sleep(self, cursor: ClaimCursor) -> float | None:
        """Marks the queue idle, so that the next enqueue wakes its worker.

        Returns the seconds until the head of the queue is due, by the database's clock, or None if
        the queue is empty or does not move. They count every message that was accepted before the
        mark: if there is one, the caller must claim again.
        """
        seconds_until_due = await self._sleeps.submit(cursor)
        if seconds_until_due is not None:
            cursor.has_parked = True  # a message waits: the next claim may let others pass it
        return seconds_until_due

    async def owns(self, claimed: ClaimedMessage) -> bool:
        """Says whether the message may still be sent under its claim.

        False if it was canceled or has expired, or if a later claim took the row.
        """
        return await self._checks.submit(claimed)

    async def sent_today(self, instance_id: str, *, max_count: int) -> Day:
        """Counts the messages sent today, up to *max_count*."""
        day = await self._database.fetch_one(
            Day, _SENT_TODAY, instance_id=instance_id, max_count=max_count
        )
        assert day is not None
        return day

    async def stored_instance(self, instance_id: str) -> Instance | None:
        """Returns the instance from the database; an open session may have an older copy."""
        return await self._database.fetch_one(Instance, _FIND_INSTANCE, id=instance_id)

    async def end_daily_limit_hold(self, instance_id: str) -> None:
        """Ends a hold whose reason is the daily limit; the worker then checks the limit again."""
        await self._database.execute(_END_DAILY_LIMIT_HOLD, instance_id=instance_id)

    async def _claim(self, cursors: list[ClaimCursor]) -> Sequence[ClaimedMessage | None]:
        await self._arrange(cursors)
        lanes = [cursor.lanes() for cursor in cursors]
        rows = await self._database.fetch_all(
            ClaimedMessage,
            _CLAIM,
            instance_ids=[cursor.instance_id for cursor in cursors],
            epochs=[cursor.epoch for cursor in cursors],
            claim_ids=[cursor.claim_id for cursor in cursors],
            earlier_claim_ids=[claim_id for cursor in cursors for claim_id in cursor.doubtful],
            reordered=[cursor.reordered for cursor in cursors],
            first=[int(first) for first, _, _ in lanes],
            second=[int(second) for _, second, _ in lanes],
            third=[int(third) for _, _, third in lanes],
            **positions_of(cursors),
            first_position=_FIRST_POSITION,
        )
        claimed = {row.instance_id: row for row in rows}
        return [claimed.get(cursor.instance_id) for cursor in cursors]

    async def _arrange(self, cursors: list[ClaimCursor]) -> None:
        """Lets other chats pass parked messages, in the queues that may have some."""
        for cursor in cursors:
            cursor.moved = 0
        arranged = {cursor.instance_id: cursor for cursor in cursors if cursor.has_parked}
        if not arranged:
            return
        queues = list(arranged.values())
        for row in await self._database.fetch_all(
            _Arranged,
            _ARRANGE,
            instance_ids=list(arranged),
            epochs=[cursor.epoch for cursor in queues],
            all_files=[cursor.all_files for cursor in queues],
            reordered=[cursor.reordered for cursor in queues],
            **positions_of(queues),
            first_position=_FIRST_POSITION,
            ready_ids=[row_id for cursor in queues for row_id in cursor.ready_ids],
            default_order=self._order,
            max_parked=MAX_PARKED,
            max_run=_MAX_RUN,
        ):
            arranged[row.instance_id].note_arranged(moved=row.moved, has_parked=row.has_parked)

    async def _sleep(self, cursors: list[ClaimCursor]) -> Sequence[float | None]:
        rows = await self._database.fetch_all(
            _IdleQueue, _MARK_IDLE, instance_ids=[cursor.instance_id for cursor in cursors]
        )
        due = {row.instance_id: row.seconds_until_due for row in rows}
        return [due.get(cursor.instance_id) for cursor in cursors]

    async def _check(self, rows: list[ClaimedMessage]) -> Sequence[bool]:
        owned = await self._database.fetch_all(
            _Owned,
            _FIND_OWNED,
            instance_ids=[row.instance_id for row in rows],
            ids=[row.id for row in rows],
            claim_ids=[row.claim_id for row in rows],
        )
        found = {(row.instance_id, row.id) for row in owned}
        return [(row.instance_id, row.id) in found for row in rows]


def positions_of(cursors: Sequence[ClaimCursor]) -> dict[str, list[int]]:
    """Returns the positions from which each lane is read, as parameters of a statement."""
    return {
        "from_high": [cursor.claimed_up_to[Priority.HIGH] for cursor in cursors],
        "from_normal": [cursor.claimed_up_to[Priority.NORMAL] for cursor in cursors],
        "from_bulk": [cursor.claimed_up_to[Priority.BULK] for cursor in cursors],
    }
