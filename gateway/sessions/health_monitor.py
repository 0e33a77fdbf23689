"""Checks the active connection of each instance of this node, and opens failing ones again.

Each round checks what is due, says in one statement what changed, and opens sessions again whose
repair is due. A connection that only a person can mend is not checked.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from gateway.clock import Clock
from gateway.contract.extensions.connections import ReceiptAlarm
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import GatewayError, Refused
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.periodic_loop import PeriodicLoop
from gateway.randomness import Uniform
from gateway.sessions.connection import ConnectionState
from gateway.sessions.connection_callbacks import ConnectionCallbacks
from gateway.sessions.health import EventCounter
from gateway.sessions.keeper import Keeper
from gateway.sessions.live import LiveSession
from gateway.sessions.receipt_watch import ReceiptWatch
from gateway.sessions.watched_connection import WatchedConnection, summary_of

_FIND_EVENT_COUNTS = query("connections", "find_event_counts")
_RECORD_HEALTH = query("connections", "record_health")

_CHECK_SECONDS: Final = 15.0
_ROUND_SECONDS: Final = 5.0
_MAX_CHECKS_AT_ONCE: Final = 500
_LAG_SECONDS = 300.0
_WRITE_SECONDS, _COUNT_SECONDS = 300.0, 60.0
_NOT_CHECKED: Final = frozenset(
    {
        ConnectionState.UNPAIRED,
        ConnectionState.LOGGED_OUT,
        ConnectionState.REPLACED,
        ConnectionState.BANNED,
    }
)
_NO_SESSION: Final = "The session does not open; the log of the gateway says why."


@dataclass(frozen=True, slots=True)
class _Base:
    instance_id: str
    reported: int
    stored: int
    processed: int


class HealthMonitor:
    """The health of the connections whose leases this node owns."""

    def __init__(
        self,
        keeper: Keeper,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        uniform: Uniform,
        *,
        callbacks: ConnectionCallbacks,
        health_seconds: float,
        receipt_alarm: ReceiptAlarm,
    ) -> None:
        """Prepares the monitor.

        Args:
            keeper: has the sessions, and opens them again.
            database: the pool.
            clock: time.
            metrics: of this node.
            uniform: spreads the first checks.
            callbacks: says that the cap of refusals is reached.
            health_seconds: from one check of a connection to the next.
            receipt_alarm: of instances that have none of their own.
        """
        self._keeper, self._clock = keeper, clock
        self._database = database.planned_once()
        self._metrics, self._uniform = metrics.connections, uniform
        self._callbacks = callbacks
        self._health_seconds = health_seconds
        self._receipts = ReceiptWatch(self._database, receipt_alarm)
        self._watched: dict[str, WatchedConnection] = {}
        self._slots = asyncio.Semaphore(_MAX_CHECKS_AT_ONCE)
        self._loop = PeriodicLoop("connection_health", self.run_once, clock)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    def summary(self) -> Mapping[str, Mapping[str, Any]]:
        """Returns the health by provider, as `GET /providers` shows it."""
        found: dict[str, list[WatchedConnection]] = {}
        for each in self._watched.values():
            if each.provider and each.circuit.status != "unknown":
                found.setdefault(each.provider, []).append(each)
        return {name: summary_of(watched) for name, watched in sorted(found.items())}

    async def run_once(self) -> float:
        """Checks what is due, writes it, and returns the seconds until the next round."""
        now = self._clock.monotonic_seconds()
        await self._follow_leases(now)
        due = [each for each in self._watched.values() if each.next_check_at <= now]
        await self._receipts.look(due, now)
        async with asyncio.TaskGroup() as tasks:
            for each in due:
                tasks.create_task(self._check(each))
        self._metrics.show(
            Counter(each.circuit.status for each in self._watched.values()),
            Counter(each.alarm for each in self._watched.values() if each.alarm),
        )
        await self._write(now)
        untold = [each for each in self._watched.values() if each.is_refusal_untold]
        await self._callbacks.refused(untold)
        for each in untold:
            each.is_refusal_untold = False
        next_at = min((each.next_check_at for each in self._watched.values()), default=now)
        left = next_at - self._clock.monotonic_seconds()
        # Connections that are due soon share a round, and its statements.
        shortest = max(1.0, min(_ROUND_SECONDS, self._health_seconds / 5))
        return min(self._health_seconds, max(shortest, left))

    async def _follow_leases(self, now: float) -> None:
        """Begins to watch new leases, and stops to watch lost ones."""
        owned = {lease.instance_id: (lease.epoch, live) for lease, live in self._keeper.owned()}
        new = [
            instance_id
            for instance_id, (epoch, _live) in owned.items()
            if instance_id not in self._watched or self._watched[instance_id].epoch != epoch
        ]
        bases = await self._bases(new)
        self._watched = {key: each for key, each in self._watched.items() if key in owned}
        for instance_id in new:
            self._watched[instance_id] = WatchedConnection(
                instance_id,
                owned[instance_id][0],
                now + self._uniform(0.0, self._health_seconds),
                bases.get(instance_id, EventCounter()),
            )
        for instance_id, each in self._watched.items():
            each.follow(owned[instance_id][1])
            self._count_events(each)
        for instance_id in self._keeper.take_forced():
            if each_forced := self._watched.get(instance_id):
                each_forced.plan.reset()
                soon = now + self._health_seconds  # or the caller would wait a minute to see it
                each_forced.next_check_at = min(each_forced.next_check_at, soon)

    def _count_events(self, each: WatchedConnection) -> None:
        counts, before = each.counted_here, each.metered
        if each.provider and counts != before:
            self._metrics.counted(
                each.provider,
                reported=counts.reported - before.reported,
                stored=counts.stored - before.stored,
                processed=counts.processed - before.processed,
            )
            each.metered = counts

    async def _bases(self, instance_ids: Sequence[str]) -> dict[str, EventCounter]:
        if not instance_ids:
            return {}
        rows = await self._database.fetch_all(
            _Base, _FIND_EVENT_COUNTS, instance_ids=list(instance_ids)
        )
        return {
            row.instance_id: EventCounter(row.reported, row.stored, row.processed) for row in rows
        }

    async def _check(self, watched: WatchedConnection) -> None:
        """Checks one connection, and opens it again if it fails and that is due."""
        async with self._slots:
            state = self._state_of(watched)
            if state in _NOT_CHECKED:
                assert state
                watched.reason, watched.failure, watched.latency_ms = state.sentence, None, None
                watched.circuit.reset()
                watched.plan.reset()
            else:
                await self._ask(watched, state)
        now = self._clock.monotonic_seconds()
        watched.checked_at = self._clock.now()
        watched.next_check_at = now + watched.circuit.pause_seconds(self._health_seconds)
        self._note_change(watched)
        if watched.failure and watched.circuit.status == "unhealthy":
            self._repair(watched, now)

    def _state_of(self, watched: WatchedConnection) -> ConnectionState | None:
        return watched.live.state if watched.live else None

    async def _ask(self, watched: WatchedConnection, state: ConnectionState | None) -> None:
        began = self._clock.monotonic_seconds()
        watched.refused, watched.alarm = state is ConnectionState.OUTDATED, None
        if state is ConnectionState.CONNECTED and watched.live:
            watched.failure = await self._failure_of(watched, watched.live)
        else:
            watched.failure = state.sentence if state else _NO_SESSION
        now = self._clock.monotonic_seconds()
        seconds = now - began
        watched.reason = watched.failure or self._complaint(watched, now)
        watched.latency_ms = None if watched.failure else round(seconds * 1_000)
        self._metrics.checked(watched.provider, is_good=not watched.reason, seconds=seconds)
        if watched.reason:
            watched.circuit.note_bad()
            return
        watched.circuit.note_good(now)
        if watched.circuit.status == "healthy":
            watched.plan.reset()

    async def _failure_of(self, watched: WatchedConnection, live: LiveSession) -> str | None:
        """Has the provider ask WhatsApp; returns what went wrong."""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await live.session.check_health()
        except Refused as error:
            watched.refused = True
            return str(error)
        except TimeoutError:
            return f"WhatsApp did not answer within {_CHECK_SECONDS:g} seconds."
        except GatewayError as error:
            return str(error) or type(error).__name__
        except Exception as error:  # noqa: BLE001 - one session must not end the checks of others
            report_error(error, component="health", instance_id=watched.instance_id)
            return f"The check failed: {type(error).__name__}"
        return None

    def _complaint(self, watched: WatchedConnection, now: float) -> str | None:
        """Returns what is bad although WhatsApp answers; opening again would not help."""
        assert watched.live
        watched.alarm = "receipts_missing" if watched.missing_receipts else None
        lag_seconds = watched.lag.seconds(watched.live.events, now)
        if lag_seconds >= _LAG_SECONDS:
            counts, watched.alarm = watched.live.events, "events_waiting"
            return (
                f"Of {counts.reported} events {counts.stored} are stored and {counts.processed} "
                f"processed, and for {round(lag_seconds)} seconds none went on."
            )
        return watched.missing_receipts

    def _note_change(self, watched: WatchedConnection) -> None:
        status = watched.circuit.status
        before, watched.noted = watched.noted, status
        if watched.since is None or status != before:
            watched.since = watched.checked_at
        if status != before:
            is_bad = status == "unhealthy"
            self._metrics.changed(status)
            (logger.error if is_bad else logger.info)(
                "connection_health_changed",
                instance_id=watched.instance_id,
                provider=watched.provider,
                health=status,
                before=before,
                reason=watched.reason if is_bad else None,
            )

    def _repair(self, watched: WatchedConnection, now: float) -> None:
        was_capped = watched.plan.is_capped
        if not watched.plan.note_bad(now, refused=watched.refused):
            return
        self._metrics.repaired(refused=watched.refused)
        logger.warning(
            "connection_repair_started",
            instance_id=watched.instance_id,
            attempt=watched.plan.count,
            refused=watched.refused,
        )
        if watched.plan.is_capped and not was_capped:
            watched.is_refusal_untold = True
            logger.error(
                "connection_refused", instance_id=watched.instance_id, reason=watched.reason
            )
        self._keeper.revive(watched.instance_id)

    async def _write(self, now: float) -> None:
        """Stores what changed, and the rest from time to time."""
        written = [each for each in self._watched.values() if self._is_to_write(each, now)]
        if not written:
            return
        wall = self._clock.now()
        await self._database.execute(
            _RECORD_HEALTH,
            instance_ids=[each.instance_id for each in written],
            epochs=[each.epoch for each in written],
            healths=[each.circuit.status for each in written],
            reasons=[each.reason for each in written],
            sinces=[each.since for each in written],
            checked_ats=[each.checked_at for each in written],
            latencies_ms=[each.latency_ms for each in written],
            error_rates=[each.circuit.error_rate for each in written],
            repairs=[each.plan.count for each in written],
            next_repair_ats=[
                None
                if each.plan.due_at is None
                else wall + timedelta(seconds=each.plan.due_at - now)
                for each in written
            ],
            reported=[each.counts.reported for each in written],
            stored=[each.counts.stored for each in written],
            processed=[each.counts.processed for each in written],
        )
        for each in written:
            each.written, each.written_at, each.written_counts = each.shown, now, each.counts

    def _is_to_write(self, each: WatchedConnection, now: float) -> bool:
        if each.checked_at is None:
            return False
        if each.shown != each.written:
            return True
        pause = _WRITE_SECONDS if each.counts == each.written_counts else _COUNT_SECONDS
        return now - each.written_at >= pause
