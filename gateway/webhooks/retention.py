"""Forgets, by age, what was told and what became of it."""

from typing import Final

from psycopg.sql import SQL

from gateway.database.pool import Database
from gateway.database.queries import query

_FORGET_DELIVERIES = query("webhooks", "forget_deliveries")
_FORGET_EVENTS = query("webhooks", "forget_events")
_FORGET_DEAD_LETTERS = query("webhooks", "forget_dead_letters")

_ROWS_AT_ONCE: Final = 1_000


class Retention:
    """What housekeeping does for callbacks."""

    def __init__(self, database: Database, *, history_days: int, dead_letter_days: int) -> None:
        self._database = database
        self._statements: tuple[tuple[SQL, int], ...] = (
            (_FORGET_DELIVERIES, history_days),
            (_FORGET_EVENTS, history_days),
            (_FORGET_DEAD_LETTERS, dead_letter_days),
        )

    async def forget(self) -> None:
        for statement, days in self._statements:
            while await self._database.execute(statement, days=days, max_count=_ROWS_AT_ONCE):
                pass
