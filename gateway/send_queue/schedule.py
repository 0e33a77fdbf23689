"""Lets due messages join their line, and now and then looks for lines everybody forgot.

One timer for the whole process: at rest it costs a statement every half minute, however many
instances there are.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.bounds import clamp
from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.wakeups import waking

_PROMOTE_DUE = query("send_queue", "promote_due")
_NEXT_SCHEDULED = query("send_queue", "next_scheduled")
_FORGOTTEN_LINES = query("send_queue", "forgotten_lines")

_SWEEP_SECONDS = 30.0
_MIN_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Line:
    instance_id: str


@dataclass(frozen=True, slots=True)
class _Next:
    seconds_until_due: float | None


class Schedule:
    """Part of the service."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        node_id: str,
        wake: Callable[[Collection[str]], None],
        sweep_seconds: float = _SWEEP_SECONDS,
    ) -> None:
        self._database, self._clock, self._node_id = database, clock, node_id
        self._wake, self._sweep_seconds = wake, sweep_seconds
        self._wakeup = asyncio.Event()

    def wake(self) -> None:
        """Something may have been scheduled."""
        self._wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                try:
                    pause = await self._round()
                except DatabaseUnavailable as error:
                    logger.warning("schedule_waits_for_database", error=str(error))
                    pause = 1.0
                await self._clock.wait(stopping, _MIN_PAUSE_SECONDS)
                await self._clock.wait(self._wakeup, pause)
                self._wakeup.clear()

    async def _round(self) -> float:
        """Returns how long to rest, in seconds."""
        promoted = await self._database.fetch_all(_Line, _PROMOTE_DUE, node_id=self._node_id)
        forgotten = await self._database.fetch_all(_Line, _FORGOTTEN_LINES, node_id=self._node_id)
        self._wake({line.instance_id for line in (*promoted, *forgotten)})
        due = await self._database.fetch_one(_Next, _NEXT_SCHEDULED, node_id=self._node_id)
        if due is None or due.seconds_until_due is None:
            return self._sweep_seconds
        return clamp(due.seconds_until_due, 0.0, self._sweep_seconds)
