"""Finds queues that stand still although a message is due, says why, and makes them go on.

A queue stands still if it is connected, not paused and not on hold, its head is due or one of its
messages is claimed, no worker works on it, and nothing about it has changed for a while. All other
guards of the queue come first: this one finds what they missed.
"""

import asyncio
import uuid
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.periodic_loop import PeriodicLoop
from gateway.send_queue.coordinator import Coordinator
from gateway.sessions.live import ConnectedSessions

_FIND_WAITING_QUEUES = query("send_queue", "find_waiting_queues")
_FIND_UNOWNED_QUEUES = query("send_queue", "find_unowned_queues")
_FREE_UNOWNED_QUEUE = query("send_queue", "free_unowned_queue")

_LOOKS_PER_STALL = 3
_SHOWN_MINUTES, _MAX_SHOWN = 15, 1_000


class StallReason(StrEnum):
    """Why a queue stands still."""

    WAKE_UP_LOST = "wake_up_lost"
    """The worker sleeps, although the head of its queue is due."""
    ROW_ABANDONED = "row_abandoned"
    """A message is claimed, and no worker of this node has it."""
    WORKER_MISSING = "worker_missing"
    """The session is connected, and no worker runs for it."""
    WORKER_SILENT = "worker_silent"
    """The worker waits for something much longer than that may take."""
    SESSION_MISSING = "session_missing"
    """This node has the lease, and no connected session."""
    LEASE_MISSING = "lease_missing"
    """No live node has the lease."""


@dataclass(frozen=True, slots=True)
class _Queue:
    """A queue of this node in which a message is due or claimed."""

    instance_id: str
    head_id: int | None
    claimed_id: int | None
    claim_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class _Unowned:
    instance_id: str


@dataclass(slots=True)
class _Stall:
    """A queue that stands still; `state` changes as soon as it moves."""

    state: Hashable
    reason: StallReason
    since: float
    checked_at: float
    """When it was found or mended last."""
    is_alarm: bool = False


class QueueWatchdog:
    """Watches the queues of this node's leases, and those whose lease no live node has."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        *,
        node_id: str,
        connected: ConnectedSessions,
        workers: Coordinator,
        revive: Callable[[str], None],
        stalled_seconds: float,
    ) -> None:
        """Prepares the watchdog.

        Args:
            database: the pool.
            clock: time.
            metrics: count alarms.
            node_id: this node.
            connected: the sessions of this node that may send.
            workers: of this node.
            revive: opens the session of an instance again.
            stalled_seconds: how long a queue stands still before that is an alarm.
        """
        self._database, self._clock, self._metrics = database, clock, metrics
        metrics.expect_stalls(StallReason)
        self._node_id, self._connected, self._workers = node_id, connected, workers
        self._revive, self._stalled_seconds = revive, stalled_seconds
        self._stalls: dict[str, _Stall] = {}
        self._alarms = deque[tuple[float, StallReason]](maxlen=_MAX_SHOWN)
        self._loop = PeriodicLoop("watchdog", self.look, clock)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    def warnings(self) -> Mapping[str, str]:
        """Says for /ready how many queues stand still, and why some did a short while ago."""
        since = self._clock.monotonic_seconds() - _SHOWN_MINUTES * 60
        while self._alarms and self._alarms[0][0] < since:
            self._alarms.popleft()
        if not self._alarms:
            return {}
        reasons = Counter(reason for _at, reason in self._alarms)
        named = ", ".join(f"{reason} ({count})" for reason, count in sorted(reasons.items()))
        return {
            "stalled queues": f"{self._count_alarms()} queues stand still now; alarms of the last "
            f"{_SHOWN_MINUTES} minutes: {named}"
        }

    async def look(self) -> float:
        """Looks once, mends what has stood still too long, and returns the pause in seconds."""
        try:
            found = await self._standing_queues()
        except DatabaseUnavailable:
            self._stalls.clear()  # no worker could work meanwhile
            raise
        now = self._clock.monotonic_seconds()
        for instance_id, (state, reason) in found.items():
            stall = self._stalls.get(instance_id)
            if stall is None or stall.state != state:
                self._note_move(instance_id)
                self._stalls[instance_id] = _Stall(state, reason, now, now)
            elif now - stall.checked_at >= self._stalled_seconds:
                stall.reason, stall.checked_at = reason, now
                await self._raise_alarm(instance_id, stall)
        for instance_id in self._stalls.keys() - found.keys():
            self._note_move(instance_id)
        self._metrics.stalled_queues.set(self._count_alarms())
        return self._stalled_seconds / _LOOKS_PER_STALL

    def _count_alarms(self) -> int:
        return sum(stall.is_alarm for stall in self._stalls.values())

    async def _standing_queues(self) -> dict[str, tuple[Hashable, StallReason]]:
        """Returns the state of each queue on which no worker works now, and the likely reason."""
        unowned = await self._database.fetch_all(_Unowned, _FIND_UNOWNED_QUEUES)
        waiting = await self._database.fetch_all(
            _Queue, _FIND_WAITING_QUEUES, node_id=self._node_id
        )
        found: dict[str, tuple[Hashable, StallReason]] = {
            queue.instance_id: (None, StallReason.LEASE_MISSING) for queue in unowned
        }
        for queue in waiting:
            if reason := self._reason(queue):
                activity = self._workers.activity(queue.instance_id)
                found[queue.instance_id] = ((queue, activity and activity.claims), reason)
        return found

    def _reason(self, queue: _Queue) -> StallReason | None:
        """Returns why no worker works on the queue; None where a worker does."""
        activity = self._workers.activity(queue.instance_id)
        if activity and activity.is_working(grace_seconds=self._stalled_seconds):
            return None
        if queue.instance_id not in self._connected:
            return StallReason.SESSION_MISSING
        if activity is None:
            return StallReason.WORKER_MISSING
        if not activity.is_asleep:
            return StallReason.WORKER_SILENT
        return StallReason.WAKE_UP_LOST if queue.claimed_id is None else StallReason.ROW_ABANDONED

    def _note_move(self, instance_id: str) -> None:
        stall = self._stalls.pop(instance_id, None)
        if stall and stall.is_alarm:
            logger.info("queue_moves_again", instance_id=instance_id, reason=stall.reason.value)

    async def _raise_alarm(self, instance_id: str, stall: _Stall) -> None:
        logger.error(
            "queue_stalled",
            instance_id=instance_id,
            reason=stall.reason.value,
            seconds=round(self._clock.monotonic_seconds() - stall.since, 1),
        )
        self._metrics.stalled(stall.reason.value)
        self._alarms.append((self._clock.monotonic_seconds(), stall.reason))
        is_repeated, stall.is_alarm = stall.is_alarm, True
        await self._mend(instance_id, stall.reason, is_repeated=is_repeated)

    async def _mend(self, instance_id: str, reason: StallReason, *, is_repeated: bool) -> None:
        """Makes the queue go on; a repeated alarm replaces a worker that only needed a wake-up."""
        match reason:
            case StallReason.WAKE_UP_LOST if not is_repeated:
                self._workers.wake([instance_id])
            case StallReason.WAKE_UP_LOST | StallReason.ROW_ABANDONED | StallReason.WORKER_MISSING:
                self._workers.restart(instance_id)
            case StallReason.WORKER_SILENT:
                self._workers.restart(instance_id, cancel=True)
            case StallReason.SESSION_MISSING:
                self._revive(instance_id)
            case StallReason.LEASE_MISSING:
                await self._database.execute(_FREE_UNOWNED_QUEUE, instance_id=instance_id)
            case _:
                assert_never(reason)
