"""Takes the head of a line, for all workers of this process in one statement."""

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

_CLAIM = query("send_queue", "claim")
_SLEEP_LINES = query("send_queue", "sleep_lines")
_SENT_TODAY = query("send_queue", "sent_today")
_FIND_INSTANCE = query("instances", "find_instance")
_LIFT_DAILY_LIMIT = query("send_queue", "lift_daily_limit")

_FIRST_POSITION = -(2**63)
_MAX_DOUBTFUL_CLAIMS = 8
_LANES: Final = tuple(Priority)
_WEIGHTS: Final[Mapping[Priority, int]] = {
    Priority.HIGH: 4,
    Priority.NORMAL: 2,
    Priority.BULK: 1,
}


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that only this worker may send."""

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
    """Of the claim that took it; None where a node of an older version did."""
    reordered: int


def _nothing_claimed() -> dict[Priority, int]:
    return dict.fromkeys(_LANES, _FIRST_POSITION)


@dataclass(slots=True)
class ClaimCursor:
    """What a worker remembers of its line between two claims.

    `served` is how far each lane has come, in messages divided by weight: the lane that is
    furthest behind goes next. `claimed_up_to` spares the claim the dead versions of rows that
    left; a row that appears before it raises the line's `reordered`.

    `claim_id` is made before the worker asks and stays until it brings a row. Where an answer was
    lost, asking again with the same id finds the row that the lost claim took. A statement whose
    connection is gone can still arrive after that and take another row, so an id with a lost
    answer is `doubtful`: each later claim names it too. So is the id of a row that was dropped.
    """

    instance_id: str
    epoch: int
    reordered: int = -1
    claimed_up_to: dict[Priority, int] = field(default_factory=_nothing_claimed)
    served: dict[Priority, float] = field(default_factory=lambda: dict.fromkeys(_LANES, 0.0))
    claim_id: uuid.UUID | None = None
    last_claim_id: uuid.UUID | None = None
    """Of the last row that came."""
    answer_lost: bool = False
    """Whether an answer to a claim with `claim_id` was lost."""
    doubtful: deque[uuid.UUID] = field(default_factory=lambda: deque(maxlen=_MAX_DOUBTFUL_CLAIMS))

    def lanes(self) -> list[Priority]:
        """In the order in which they are to be tried."""
        return sorted(_LANES, key=lambda lane: (self.served[lane], lane))

    def remember(self, claimed: Claimed) -> None:
        lane = Priority(claimed.priority)
        for other in self.lanes():
            if other is lane:
                break
            # It had nothing to send, and must not save that up for a burst.
            self.served[other] = self.served[lane]
        self.served[lane] += 1 / _WEIGHTS[lane]
        if claimed.reordered != self.reordered:
            self.reordered = claimed.reordered
            self.claimed_up_to = _nothing_claimed()
        self.claimed_up_to[lane] = claimed.position
        self._end_claim()

    def drop_row(self) -> None:
        """The worker holds the last row no more, and could not say what became of it."""
        if self.last_claim_id and self.last_claim_id not in self.doubtful:
            self.doubtful.append(self.last_claim_id)

    def _end_claim(self) -> None:
        if self.answer_lost and self.claim_id:
            self.doubtful.append(self.claim_id)
        self.last_claim_id, self.claim_id, self.answer_lost = self.claim_id, None, False


@dataclass(frozen=True, slots=True)
class _Slept:
    instance_id: str
    seconds_until_due: float | None


@dataclass(frozen=True, slots=True)
class Day:
    """What left a line since midnight (UTC), and when the next day begins."""

    sent: int
    ends_at: datetime


class Claimer:
    """Part of the service."""

    def __init__(self, database: Database, new_uuid: Callable[[], uuid.UUID] = uuid.uuid4) -> None:
        self._database, self._new_uuid = database, new_uuid
        self._claims = Batch[ClaimCursor, Claimed | None](self._claim)
        self._sleeps = Batch[ClaimCursor, float | None](self._sleep)

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claims.run_until(stopping))
            group.create_task(self._sleeps.run_until(stopping))

    async def claim(self, cursor: ClaimCursor) -> Claimed | None:
        """The head of the line, or None: empty, held, paused, or just being changed.

        To be called only by a worker that holds no row of the line.

        Raises:
            DatabaseUnavailable: a row may have been claimed; the next call with *line* gets it.
        """
        cursor.claim_id = cursor.claim_id or self._new_uuid()
        try:
            claimed = await self._claims.submit(cursor)
        except DatabaseUnavailable:
            cursor.answer_lost = True
            raise
        if claimed:
            cursor.remember(claimed)
        return claimed

    async def sleep(self, cursor: ClaimCursor) -> float | None:
        """Marks the line idle, so that the next enqueue wakes us.

        Claim once more afterwards. Returns the seconds until its head is due, None if it is
        empty; both are the database's view.
        """
        return await self._sleeps.submit(cursor)

    async def sent_today(self, instance_id: str, *, max_count: int) -> Day:
        """Counts no further than *most*."""
        day = await self._database.fetch_one(
            Day, _SENT_TODAY, instance_id=instance_id, max_count=max_count
        )
        assert day is not None
        return day

    async def stored_instance(self, instance_id: str) -> Instance | None:
        """The instance as the database has it; an open session may remember an older one."""
        return await self._database.fetch_one(Instance, _FIND_INSTANCE, id=instance_id)

    async def lift_daily_limit(self, instance_id: str) -> None:
        """Ends a hold by the daily limit, so that the queue compares with the limit again."""
        await self._database.execute(_LIFT_DAILY_LIMIT, instance_id=instance_id)

    async def _claim(self, cursors: list[ClaimCursor]) -> Sequence[Claimed | None]:
        lanes = [cursor.lanes() for cursor in cursors]
        rows = await self._database.fetch_all(
            Claimed,
            _CLAIM,
            instance_ids=[cursor.instance_id for cursor in cursors],
            epochs=[cursor.epoch for cursor in cursors],
            claim_ids=[cursor.claim_id for cursor in cursors],
            earlier_claim_ids=[claim_id for cursor in cursors for claim_id in cursor.doubtful],
            reordered=[cursor.reordered for cursor in cursors],
            first=[int(first) for first, _, _ in lanes],
            second=[int(second) for _, second, _ in lanes],
            third=[int(third) for _, _, third in lanes],
            from_high=[cursor.claimed_up_to[Priority.HIGH] for cursor in cursors],
            from_normal=[cursor.claimed_up_to[Priority.NORMAL] for cursor in cursors],
            from_bulk=[cursor.claimed_up_to[Priority.BULK] for cursor in cursors],
            first_position=_FIRST_POSITION,
        )
        claimed = {row.instance_id: row for row in rows}
        return [claimed.get(cursor.instance_id) for cursor in cursors]

    async def _sleep(self, cursors: list[ClaimCursor]) -> Sequence[float | None]:
        rows = await self._database.fetch_all(
            _Slept, _SLEEP_LINES, instance_ids=[cursor.instance_id for cursor in cursors]
        )
        due = {row.instance_id: row.seconds_until_due for row in rows}
        return [due.get(cursor.instance_id) for cursor in cursors]
