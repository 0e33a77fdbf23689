"""Moves due messages into their queues, and wakes workers that missed a wake-up.

One loop for all instances of this node. Without scheduled messages it runs its statements every
half minute, however many instances there are. The check for missed wake-ups looks at every queue:
with 20,000 instances it reads 80,000 to 140,000 pages, so it never runs more often.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.periodic_loop import PeriodicLoop

_PROMOTE_DUE = query("send_queue", "promote_due")
_NEXT_SCHEDULED = query("send_queue", "next_scheduled")
_RELEASE_KNOWN = query("send_queue", "release_known")
_FIND_STALLED_QUEUES = query("send_queue", "find_stalled_queues")

_CHECK_SECONDS = 30.0
_MIN_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Queue:
    instance_id: str


@dataclass(frozen=True, slots=True)
class _Next:
    seconds_until_due: float | None


class Schedule:
    """Promotes scheduled messages of this node's instances when they are due."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        node_id: str,
        wake: Callable[[Collection[str]], None],
        check_seconds: float = _CHECK_SECONDS,
    ) -> None:
        """Prepares the schedule.

        Args:
            database: the pool.
            clock: time.
            node_id: this node.
            wake: wakes the workers of these instances.
            check_seconds: the longest pause between two checks for stalled queues.
        """
        self._database, self._node_id = database, node_id
        self._wake, self._check_seconds = wake, check_seconds
        self._clock, self._check_at = clock, float("-inf")
        self._loop = PeriodicLoop(
            "schedule", self.run_once, clock, min_pause_seconds=_MIN_PAUSE_SECONDS
        )

    def wake(self) -> None:
        """Runs a check soon: a message may have been scheduled."""
        self._loop.wake()

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def run_once(self) -> float:
        """Promotes, wakes workers, and returns the seconds until the next check."""
        promoted = await self._database.fetch_all(_Queue, _PROMOTE_DUE, node_id=self._node_id)
        released = await self._database.fetch_all(_Queue, _RELEASE_KNOWN, node_id=self._node_id)
        stalled = await self._stalled()
        self._wake({queue.instance_id for queue in (*promoted, *released, *stalled)})
        due = await self._database.fetch_one(_Next, _NEXT_SCHEDULED, node_id=self._node_id)
        pause = max(0.0, self._check_at - self._clock.monotonic_seconds())
        if due is None or due.seconds_until_due is None:
            return pause
        return min(pause, max(0.0, due.seconds_until_due))

    async def _stalled(self) -> list[_Queue]:
        """Returns queues whose workers may have missed a wake-up, if the next check is due."""
        now = self._clock.monotonic_seconds()
        if now < self._check_at:
            return []
        stalled = await self._database.fetch_all(
            _Queue, _FIND_STALLED_QUEUES, node_id=self._node_id
        )
        self._check_at = now + self._check_seconds
        return stalled
