"""Takes the head of each queue, for all workers of this process in one statement."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.batching import Batch
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.instances.store import Instance
from gateway.send_queue.claim_cursor import (
    FIRST_POSITION,
    ClaimCursor,
    ClaimedMessage,
    positions_of,
)
from gateway.send_queue.order import MAX_PARKED, QueueOrder

_CLAIM = query("send_queue", "claim")
_ARRANGE = query("send_queue", "arrange")
_FIND_OWNED = query("send_queue", "find_owned")
_WITHHOLD_FIRST_CONTACTS = query("send_queue", "withhold_first_contacts")
_MARK_IDLE = query("send_queue", "mark_idle")
_SENT_TODAY = query("send_queue", "sent_today")
_FIND_INSTANCE = query("instances", "find_instance")
_END_DAILY_LIMIT_HOLD = query("send_queue", "end_daily_limit_hold")

_MAX_RUN = 500


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
class _Withholding:
    instance_id: str
    moved: int
    is_on: bool


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
        wake_schedule: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepares the claims.

        Args:
            database: the pool.
            new_uuid: ids of claims.
            order: of queues without an order of their own.
            interval_seconds: of the batches of claims and of queues that become idle.
            wake_schedule: is called after messages were withheld until a time.
        """
        self._wake_schedule = wake_schedule
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

    async def claim_due(self) -> None:
        """Waits until the interval of claims is over."""
        await self._claims.due()

    async def sleep_due(self) -> None:
        """Waits until the interval of queues that become idle is over."""
        await self._sleeps.due()

    async def claim(self, cursor: ClaimCursor) -> ClaimedMessage | None:
        """Claims the head of the queue.

        Returns None if the queue is empty, paused or on hold, or if another transaction has locked
        its head. Call it only while the worker owns no row of this queue.

        Raises:
            DatabaseUnavailable: a row may have been claimed; the next call with *cursor* gets it.
        """
        cursor.claim_id = cursor.claim_id or self._new_uuid()
        while True:
            try:
                claimed = await self._claims.submit(cursor)
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
        await self._withhold(cursors)
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
            first_position=FIRST_POSITION,
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
            first_position=FIRST_POSITION,
            ready_ids=[row_id for cursor in queues for row_id in cursor.ready_ids],
            default_order=self._order,
            max_parked=MAX_PARKED,
            max_run=_MAX_RUN,
        ):
            arranged[row.instance_id].note_arranged(moved=row.moved, has_parked=row.has_parked)

    async def _withhold(self, cursors: list[ClaimCursor]) -> None:
        """Withholds first contacts, in the queues of numbers that may not make any now."""
        queues = {cursor.instance_id: cursor for cursor in cursors if cursor.withholds}
        if not queues:
            return
        try:
            withheld = await self._database.fetch_all(
                _Withholding,
                _WITHHOLD_FIRST_CONTACTS,
                instance_ids=list(queues),
                epochs=[cursor.epoch for cursor in queues.values()],
                reordered=[cursor.reordered for cursor in queues.values()],
                **positions_of(list(queues.values())),
                first_position=FIRST_POSITION,
                max_run=_MAX_RUN,
            )
        except DatabaseUnavailable:
            self._wake_schedule()  # it may have withheld some, which the next one does not report
            raise
        for row in withheld:
            queues[row.instance_id].moved += row.moved
            queues[row.instance_id].withholds = row.is_on
        if any(row.moved for row in withheld):
            self._wake_schedule()

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
