"""When the next delivery queue is due, read from Postgres no more often than that can change."""

from dataclasses import dataclass

from gateway.bounds import clamp
from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.webhooks.deliveries_in_flight import SkippedQueues

_NEXT_DUE = query("webhooks", "next_due")

_MAX_PAUSE_SECONDS = 5.0
_PAUSE_WHILE_RECEIVERS_ARE_BLOCKED_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class _NextDue:
    seconds: float | None


class DueTimes:
    """Remembers the next due time until it has come or `drop` is called.

    Callbacks that are written wake the loop, and claims only take queues away. So a time that was
    read stays a lower bound, except for the queues whose attempts fail: those call `drop`.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._due_at = float("-inf")
        self._skipped: SkippedQueues | None = None

    def drop(self) -> None:
        """Reads again next time: a queue may be due before the time that is known."""
        self._due_at = float("-inf")

    async def seconds(self, skipped: SkippedQueues) -> float:
        """Returns how long nothing but *skipped* is due for certain, at most some seconds."""
        if skipped != self._skipped:
            self._skipped = skipped
            self.drop()  # the time that is known holds for other queues
        now = self._clock.monotonic_seconds()
        if now >= self._due_at:
            limit = _PAUSE_WHILE_RECEIVERS_ARE_BLOCKED_SECONDS if skipped else _MAX_PAUSE_SECONDS
            seconds = await self._read(skipped, limit)
            self._due_at = now + seconds
            return seconds
        return self._due_at - now

    async def _read(self, skipped: SkippedQueues, limit: float) -> float:
        due = await self._database.fetch_one(
            _NextDue,
            _NEXT_DUE,
            blocked=skipped.blocked,
            full_accounts=skipped.full_accounts,
            full_sources=skipped.full_sources,
        )
        if due is None or due.seconds is None:
            return limit
        return clamp(due.seconds, 0.0, limit)
