"""Gives events their positions also without readers, so that few events wait for one."""

import asyncio

from gateway.clock import Clock
from gateway.periodic_loop import PeriodicLoop
from gateway.webhooks.event_log import EventLog

_PAUSE_SECONDS = 2.0


class PositionAssigner:
    """Assigns positions every two seconds; a reader does not wait for it."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._loop = PeriodicLoop("event_positions", self._assign, clock)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _assign(self) -> float:
        return 0.1 if await self._log.assign_positions() else _PAUSE_SECONDS
