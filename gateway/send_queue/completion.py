"""Waits until messages have their final state, for callers who sent `Prefer: wait=N`.

All callers that wait on this node share one statement. It runs when this node records an outcome,
and four times a second for outcomes of other nodes. Without waiting callers it does not run.
"""

import asyncio
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.periodic_loop import PeriodicLoop

_FIND_PROGRESS = query("send_queue", "find_progress")

_POLL_SECONDS = 0.25
_MIN_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class MessageProgress:
    """The state of a message; `settled` (a column) means that the state is final."""

    instance_id: str
    message_id: str
    status: str
    error: str | None
    settled: bool

    @property
    def is_final(self) -> bool:
        return self.settled


@dataclass(slots=True, eq=False)
class _Waiter:
    instance_id: str
    done: asyncio.Event = field(default_factory=asyncio.Event)
    progress: MessageProgress | None = None
    callers: int = 0  # a repeated request waits for the same message


class CompletionWaiters:
    """Lets callers wait for outcomes; when it stops, each of them gets the state of its message."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._waiters: dict[str, _Waiter] = {}
        self._stopped = False
        self._loop = PeriodicLoop(
            "completion_waiters",
            self._poll,
            clock,
            retry_seconds=_POLL_SECONDS,
            min_pause_seconds=_MIN_PAUSE_SECONDS,
        )

    def wake(self) -> None:
        """Polls now: this node recorded an outcome."""
        if self._waiters:
            self._loop.wake()

    async def wait_for(
        self, instance_id: str, message_id: str, *, max_seconds: float
    ) -> MessageProgress | None:
        """Returns the final state, or the state after *max_seconds*; None if it is not known."""
        waiter = self._waiters.setdefault(message_id, _Waiter(instance_id))
        waiter.callers += 1
        self._loop.wake()
        try:
            if not self._stopped:
                await self._clock.wait(waiter.done, max_seconds)
        finally:
            waiter.callers -= 1
            if not waiter.callers:
                del self._waiters[message_id]
        return waiter.progress

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)
        self._stopped = True
        for waiter in self._waiters.values():
            waiter.done.set()

    async def _poll(self) -> float | None:
        """Reads the states that callers wait for; returns the pause until the next poll."""
        waiters = dict(self._waiters)
        if not waiters:
            return None
        rows = await self._database.fetch_all(
            MessageProgress,
            _FIND_PROGRESS,
            instance_ids=[waiter.instance_id for waiter in waiters.values()],
            message_ids=list(waiters),
        )
        for row in rows:
            waiters[row.message_id].progress = row
            if row.settled:
                waiters[row.message_id].done.set()
        return _POLL_SECONDS
