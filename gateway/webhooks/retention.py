"""Forgets, by age, what was told and what became of it."""

import asyncio
from typing import Final

from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger

_FORGET_DELIVERIES = query("webhooks", "forget_deliveries")
_FORGET_EVENTS = query("webhooks", "forget_events")
_FORGET_DEAD_LETTERS = query("webhooks", "forget_dead_letters")

_EVERY_SECONDS: Final = 300.0
_ROWS_AT_ONCE: Final = 1_000


class Retention:
    """Part of the service."""

    def __init__(
        self, database: Database, clock: Clock, *, history_days: int, dead_letter_days: int
    ) -> None:
        self._database, self._clock = database, clock
        self._statements: tuple[tuple[SQL, int], ...] = (
            (_FORGET_DELIVERIES, history_days),
            (_FORGET_EVENTS, history_days),
            (_FORGET_DEAD_LETTERS, dead_letter_days),
        )

    async def run_until(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.forget(stopping)
            except DatabaseUnavailable as error:
                logger.warning("retention_waits_for_database", error=str(error))
            await self._clock.wait(stopping, _EVERY_SECONDS)

    async def forget(self, stopping: asyncio.Event | None = None) -> int:
        """Returns how many rows went."""
        forgotten = 0
        for statement, days in self._statements:
            while gone := await self._database.execute(statement, days=days, most=_ROWS_AT_ONCE):
                forgotten += gone
                if stopping and stopping.is_set():
                    return forgotten
        return forgotten
