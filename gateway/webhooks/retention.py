"""Deletes delivery logs, events and dead letters that are past their retention."""

from typing import Final

from psycopg.sql import SQL

from gateway.database.pool import Database
from gateway.database.queries import query

_DELETE_EXPIRED_DELIVERIES = query("webhooks", "delete_expired_deliveries")
_DELETE_EXPIRED_EVENTS = query("webhooks", "delete_expired_events")
_DELETE_EXPIRED_DEAD_LETTERS = query("webhooks", "delete_expired_dead_letters")

_ROWS_AT_ONCE: Final = 1_000


class Retention:
    """Deletes rows past their retention; *history_days* and *dead_letter_days* set it."""

    def __init__(self, database: Database, *, history_days: int, dead_letter_days: int) -> None:
        self._database = database
        self._statements: tuple[tuple[SQL, int], ...] = (
            (_DELETE_EXPIRED_DELIVERIES, history_days),
            (_DELETE_EXPIRED_EVENTS, history_days),
            (_DELETE_EXPIRED_DEAD_LETTERS, dead_letter_days),
        )

    async def delete_expired(self) -> None:
        """Deletes in batches, so that no statement locks many rows for long."""
        for statement, days in self._statements:
            while await self._database.execute(statement, days=days, max_count=_ROWS_AT_ONCE):
                pass
