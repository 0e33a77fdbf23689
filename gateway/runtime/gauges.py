"""Reads the state of all queues and callbacks from the database, for metrics and for /ready."""

import asyncio
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.contract.send import Priority
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.observability.metrics import Metrics
from gateway.periodic_loop import PeriodicLoop
from gateway.runtime.gc_tuning import GarbageCollection
from gateway.runtime.node_context import NodeContext
from gateway.runtime.supervisor import Stage

_COUNT_WAITING = query("gauges", "count_waiting")
_READ_TOTALS = query("gauges", "read_totals")
_COUNT_SESSIONS = query("gauges", "count_sessions")
_LIST_STUCK_HEADS = query("gauges", "list_stuck_heads")

_READ_EVERY_SECONDS = 15.0
_MAX_COUNTING_SHARE, _MAX_SKIPPED = 0.05, 3
_LOOP_PROBE_SECONDS = 0.25
_MAX_OUTBOX_LAG_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Backlog:
    priority: int
    instance_id: str
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
    """Updates the gauges of the metrics, and answers two checks of /ready from the same rows."""

    def __init__(
        self, database: Database, metrics: Metrics, clock: Clock, *, pace_max_seconds: float
    ) -> None:
        """*pace_max_seconds* is the longest pause of an instance that sets none of its own."""
        self._database, self._metrics = database, metrics
        self._loop = PeriodicLoop("gauges", self._read, clock)
        self._clock = clock
        self._pace_max_seconds = pace_max_seconds
        self._outbox_lag_seconds = 0.0
        self._skipped_counts = 0
        self._heads: set[_Head] = set()
        self._stuck: set[_Head] = set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _read(self) -> float:
        if self._skipped_counts:
            self._skipped_counts -= 1
        else:
            began = self._clock.monotonic_seconds()
            await self._show_backlog()
            await self._show_totals()
            self._skipped_counts = counts_to_skip(self._clock.monotonic_seconds() - began)
        await self._show_sessions()
        await self._find_stuck()
        return _READ_EVERY_SECONDS

    async def _show_backlog(self) -> None:
        rows = await self._database.fetch_all(
            _Backlog, _COUNT_WAITING, by_instance=self._metrics.by_instance
        )
        nothing = (
            {} if self._metrics.by_instance else {(lane.name.lower(), ""): 0 for lane in Priority}
        )
        self._metrics.show_backlog(
            nothing
            | {(Priority(row.priority).name.lower(), row.instance_id): row.waiting for row in rows}
        )

    async def _show_totals(self) -> None:
        if totals := await self._database.fetch_one(_Totals, _READ_TOTALS):
            self._outbox_lag_seconds = max(0.0, totals.outbox_lag_seconds or 0.0)
            self._metrics.oldest_waiting.set(max(0.0, totals.oldest_seconds or 0.0))
            self._metrics.dead_letters.set(totals.dead_letters)
            self._metrics.outbox.set(totals.outbox)
            self._metrics.outbox_lag.set(self._outbox_lag_seconds)
            self._metrics.webhook_dead_letters.set(totals.webhook_dead_letters)

    async def _show_sessions(self) -> None:
        sessions = await self._database.fetch_all(_Sessions, _COUNT_SESSIONS)
        self._metrics.sessions.clear()
        for row in sessions:
            self._metrics.sessions.labels(row.state).set(row.instances)

    async def _find_stuck(self) -> None:
        stuck = await self._database.fetch_all(
            _Head, _LIST_STUCK_HEADS, pace_max_seconds=self._pace_max_seconds
        )
        heads = set(stuck)
        # Every head is due for a moment before a worker claims it. It is stuck where the previous
        # reading found it, too.
        self._stuck, self._heads = heads & self._heads, heads

    async def queue_lag(self) -> str | None:
        """Says for /ready how many queues are stuck; None where all move."""
        return f"{len(self._stuck)} queues do not move" if self._stuck else None

    async def outbox_lag(self) -> str | None:
        """Says for /ready how late callbacks are; None where they are on time."""
        if self._outbox_lag_seconds <= _MAX_OUTBOX_LAG_SECONDS:
            return None
        return f"callbacks have been due for {self._outbox_lag_seconds:.0f} seconds"


def counts_to_skip(seconds: float) -> int:
    """Returns how many readings do not count what waits, after a count that took *seconds*.

    The more waits, the longer Postgres counts, about half a second for a million messages. Counts
    of up to 3 seconds take a twentieth of the time; longer ones are a minute apart.
    """
    return min(int(seconds / (_MAX_COUNTING_SHARE * _READ_EVERY_SECONDS)), _MAX_SKIPPED)


class LoopProbe:
    """Measures how late the event loop runs a task that is due."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        self._loop = PeriodicLoop("loop probe", self._measure, clock)
        self._due_at: float | None = None

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _measure(self) -> float:
        now = self._clock.monotonic_seconds()
        if self._due_at is not None:
            self._metrics.loop_delay.observe(max(0.0, now - self._due_at))
        self._due_at = now + _LOOP_PROBE_SECONDS
        return _LOOP_PROBE_SECONDS


def start_gauges(node: NodeContext, *, pace_max_seconds: float) -> Gauges:
    """Starts what keeps the metrics of queues, pool, process and event loop."""
    gauges = Gauges(
        node.database.within(DatabaseDeadline.GAUGES).planned_either_way(),
        node.metrics,
        node.clock,
        pace_max_seconds=pace_max_seconds,
    )
    node.metrics.watch_process()
    node.metrics.watch_pool("database", node.database.pool.get_stats)
    probe, garbage = LoopProbe(node.metrics, node.clock), GarbageCollection(node.clock)
    node.start(Stage.SENDERS, gauges=gauges, loop_probe=probe, garbage=garbage)
    return gauges
