"""Looks at the whole database now and then, for metrics and for /ready."""

import asyncio
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.contract.send import Priority
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics

_BACKLOG = query("gauges", "count_waiting")
_TOTALS = query("gauges", "read_totals")
_SESSIONS = query("gauges", "count_sessions")
_STUCK_HEADS = query("gauges", "list_stuck_heads")

_LOOK_EVERY_SECONDS = 15.0
_LOOP_PROBE_SECONDS = 0.25
_MAX_OUTBOX_LAG_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Backlog:
    priority: int
    waiting: int


@dataclass(frozen=True, slots=True)
class _Totals:
    dead_letters: int
    oldest_seconds: float | None
    outbox: int
    outbox_lag_seconds: float | None
    webhook_dead_letters: int


@dataclass(frozen=True, slots=True)
class _Sessions:
    state: str
    instances: int


@dataclass(frozen=True, slots=True)
class _Head:
    instance_id: str
    id: int


class Gauges:
    """Part of the service."""

    def __init__(
        self, database: Database, metrics: Metrics, clock: Clock, *, pace_max_seconds: float
    ) -> None:
        """*pace_max_seconds* is the longest pause of an instance that sets none of its own."""
        self._database, self._metrics, self._clock = database, metrics, clock
        self._pace_max_seconds = pace_max_seconds
        self._outbox_lag_seconds = 0.0
        self._heads: set[_Head] = set()
        self._stuck: set[_Head] = set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self._look()
            except DatabaseUnavailable as error:
                logger.warning("gauges_wait_for_database", error=str(error))
            await self._clock.wait(stopping, _LOOK_EVERY_SECONDS)

    async def _look(self) -> None:
        waiting = {
            row.priority: row.waiting for row in await self._database.fetch_all(_Backlog, _BACKLOG)
        }
        for lane in Priority:
            self._metrics.backlog.labels(lane.name.lower()).set(waiting.get(lane, 0))
        if totals := await self._database.fetch_one(_Totals, _TOTALS):
            self._outbox_lag_seconds = max(0.0, totals.outbox_lag_seconds or 0.0)
            self._metrics.oldest_waiting.set(max(0.0, totals.oldest_seconds or 0.0))
            self._metrics.dead_letters.set(totals.dead_letters)
            self._metrics.outbox.set(totals.outbox)
            self._metrics.outbox_lag.set(self._outbox_lag_seconds)
            self._metrics.webhook_dead_letters.set(totals.webhook_dead_letters)
        self._metrics.sessions.clear()
        for row in await self._database.fetch_all(_Sessions, _SESSIONS):
            self._metrics.sessions.labels(row.state).set(row.instances)
        stuck = await self._database.fetch_all(
            _Head, _STUCK_HEADS, pace_max_seconds=self._pace_max_seconds
        )
        heads = set(stuck)
        # A head is between two messages for a moment; one that still is there was forgotten.
        self._stuck, self._heads = heads & self._heads, heads

    async def queue_lag(self) -> str | None:
        """What /ready says of the queue."""
        return f"{len(self._stuck)} lines do not move" if self._stuck else None

    async def outbox_lag(self) -> str | None:
        """What /ready says of the callbacks."""
        if self._outbox_lag_seconds <= _MAX_OUTBOX_LAG_SECONDS:
            return None
        return f"callbacks have been due for {self._outbox_lag_seconds:.0f} seconds"


class LoopProbe:
    """Part of the service: measures how late the event loop runs what is due."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock

    async def run_until(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            due = self._clock.monotonic_seconds() + _LOOP_PROBE_SECONDS
            await self._clock.wait(stopping, _LOOP_PROBE_SECONDS)
            if not stopping.is_set():
                self._metrics.loop_delay.observe(max(0.0, self._clock.monotonic_seconds() - due))
