"""The months of history: made ahead, dropped when they are old.

Dropping a month takes its ids with it first, in small statements, so that the one moment in
which everybody waits is the drop itself, and that gives up rather than make others wait long.
"""

from dataclasses import dataclass

from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier

from gateway.database.migrations import create_month_partitions
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.observability.logging import logger

_OLD_MONTHS = query("history", "old_months")
_FORGET_RECEIPTS = query("history", "forget_receipts")
_WAIT_BRIEFLY = query("history", "wait_briefly")
# The place after which to go on, as the primary key has it.
_FORGET_IDS = SQL("""
    with old as (
        select instance_id, message_id, recorded_at from {month}
        where (instance_id, message_id) > (%(after)s::text, %(after_id)s::text)
        order by instance_id, message_id
        limit %(most)s::int
    ), ids as (
        delete from message_ids i using old o
        where i.instance_id = o.instance_id and i.message_id = o.message_id
            and i.recorded_at = o.recorded_at
    ), attempts as (
        delete from message_attempts a using old o
        where a.instance_id = o.instance_id and a.message_id = o.message_id
    )
    select instance_id, message_id from old order by instance_id desc, message_id desc limit 1
""")
_DROP = SQL("drop table if exists {month}")

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class _Month:
    name: str


@dataclass(frozen=True, slots=True)
class _Place:
    instance_id: str = ""
    message_id: str = ""


class HistoryPartitions:
    """*keep_days* of history are kept, in whole months; 0 keeps all."""

    def __init__(self, database: Database, *, keep_days: int) -> None:
        self._database, self._keep_days = database, keep_days

    async def keep(self) -> None:
        """Makes the months to come and drops those that are old, with the receipts in them."""
        async with self._database.transaction() as connection:
            await connection.execute(_WAIT_BRIEFLY)
            await create_month_partitions(connection)
        if not self._keep_days:
            return
        for month in await self._database.fetch_all(_Month, _OLD_MONTHS, days=self._keep_days):
            await self._drop(month.name)
        # After the drop, since a group's message has as many of them as the group has members.
        while await self._database.execute(_FORGET_RECEIPTS, max_count=_AT_ONCE):
            pass

    async def _drop(self, month: str) -> None:
        place: _Place | None = _Place()
        while place:
            place = await self._forget_ids(month, place)
        try:
            async with self._database.transaction() as connection:
                await connection.execute(_WAIT_BRIEFLY)
                await connection.execute(_of(_DROP, month))
        except errors.LockNotAvailable:
            logger.warning("month_dropped_later", month=month)
        else:
            logger.info("month_dropped", month=month)

    async def _forget_ids(self, month: str, place: _Place) -> _Place | None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                _of(_FORGET_IDS, month),
                {"after": place.instance_id, "after_id": place.message_id, "most": _AT_ONCE},
            )
            row = await cursor.fetchone()
        return _Place(*row) if row else None


def _of(statement: SQL, month: str) -> Composed:
    return statement.format(month=Identifier(month))
