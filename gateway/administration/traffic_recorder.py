"""Writes the traffic that a node counted, and how many messages wait, for charts.

Counts are written by one statement after each period, and one at the stop.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.observability.traffic import TrafficCounts, TrafficSums
from gateway.periodic_loop import PeriodicLoop

_RECORD = query("traffic", "record")
_SAMPLE_WAITING = query("traffic", "sample_waiting")
_DELETE_EXPIRED = query("traffic", "delete_expired")
_DELETE_EXPIRED_FLUSHES = query("traffic", "delete_expired_flushes")

_RETRY_SECONDS = 5.0
_DELAY_SECONDS = 0.5  # a timer may end a little early: the period must be over
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class _Flush:
    """Sums under the id with which they are written; a repeated statement adds them once."""

    id: uuid.UUID
    sums: Sequence[TrafficSums]


class TrafficRecorder:
    """Writes the sums of ended periods. It must stop after all that counts.

    A killed node loses the sums that it has not written: those of the present period, and of
    periods that ended while Postgres was unavailable.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        counts: TrafficCounts,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._database, self._counts, self._new_uuid = database, counts, new_uuid
        self._doubtful: _Flush | None = None
        """A flush that Postgres may have written or not; it is repeated under its id."""
        self._loop = PeriodicLoop("traffic", self._step, clock, retry_seconds=_RETRY_SECONDS)

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Writes until *stopping*, then once what is left."""
        await self._loop.run_until(stopping)
        try:
            await self.flush(ended=False)
        except DatabaseUnavailable as error:
            logger.warning("traffic_lost", error=str(error))

    async def flush(self, *, ended: bool = True) -> None:
        """Writes the sums of periods that have *ended*, or of all; raises DatabaseUnavailable."""
        if self._doubtful:
            await self._write(self._doubtful)
        if sums := self._counts.take(ended=ended):
            await self._write(_Flush(self._new_uuid(), sums))

    async def _step(self) -> float:
        await self.flush()
        return self._counts.seconds_to_next_period() + _DELAY_SECONDS

    async def _write(self, flush: _Flush) -> None:
        self._doubtful = flush
        sums = orjson.dumps(flush.sums).decode()
        await self._database.execute(_RECORD, flush_id=flush.id, sums=sums)
        self._doubtful = None


@dataclass(frozen=True, slots=True)
class WaitingSampler:
    """Notes how many messages wait, in all queues: it need run on one node only."""

    database: Database
    counts: TrafficCounts

    async def sample(self) -> None:
        """Keeps the most of the present period; repeated, it changes nothing."""
        await self.database.execute(_SAMPLE_WAITING, at=self.counts.period())


@dataclass(frozen=True, slots=True)
class TrafficRetention:
    """Deletes sums that are older than *days*."""

    database: Database
    days: int

    async def delete_expired(self) -> None:
        """Deletes in batches, so that no statement locks many rows for long."""
        while await self.database.execute(_DELETE_EXPIRED, days=self.days, max_count=_ROWS_AT_ONCE):
            pass
        await self.database.execute(_DELETE_EXPIRED_FLUSHES)
