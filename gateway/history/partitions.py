"""Creates the monthly partitions of history ahead of time, and drops the expired ones.

Before a month is dropped, its ids are deleted in small batches. So only the drop itself locks all
of history, and it gives up after two seconds so that other transactions do not wait long.
"""

from dataclasses import dataclass

from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier

from gateway.database.migrations import create_month_partitions
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.observability.logging import logger

_FIND_EXPIRED_MONTHS = query("history", "find_expired_months")
_DELETE_EXPIRED_RECEIPTS = query("history", "delete_expired_receipts")
_LIMIT_LOCK_WAIT = query("history", "limit_lock_wait")
# Deletes a batch in the order of the primary key, and returns its last key.
_DELETE_IDS = SQL("""
    with expired as (
        select instance_id, message_id, recorded_at from {month}
        where (instance_id, message_id) > (%(after)s::text, %(after_id)s::text)
        order by instance_id, message_id
        limit %(max_count)s::int
    ), ids as (
        delete from message_ids i using expired o
        where i.instance_id = o.instance_id and i.message_id = o.message_id
            and i.recorded_at = o.recorded_at
    ), attempts as (
        delete from message_attempts a using expired o
        where a.instance_id = o.instance_id and a.message_id = o.message_id
    )
    select instance_id, message_id from expired order by instance_id desc, message_id desc limit 1
""")
_DROP = SQL("drop table if exists {month}")

_BATCH_SIZE = 2_000


@dataclass(frozen=True, slots=True)
class _Month:
    name: str


@dataclass(frozen=True, slots=True)
class _Key:
    instance_id: str = ""
    message_id: str = ""


class HistoryPartitions:
    """Keeps the partitions of history in step with the calendar and the retention."""

    def __init__(self, database: Database, *, retention_days: int) -> None:
        """Prepares the maintenance; *retention_days* 0 keeps all months."""
        self._database, self._retention_days = database, retention_days

    async def maintain(self) -> None:
        """Creates the coming months; drops expired months with their ids and receipts."""
        async with self._database.transaction() as connection:
            await connection.execute(_LIMIT_LOCK_WAIT)
            await create_month_partitions(connection)
        if not self._retention_days:
            return
        for month in await self._database.fetch_all(
            _Month, _FIND_EXPIRED_MONTHS, days=self._retention_days
        ):
            await self._drop(month.name)
        # Receipts last: a group message has one for each member, so this can take long.
        while await self._database.execute(_DELETE_EXPIRED_RECEIPTS, max_count=_BATCH_SIZE):
            pass

    async def _drop(self, month: str) -> None:
        key: _Key | None = _Key()
        while key:
            key = await self._delete_ids(month, key)
        try:
            async with self._database.transaction() as connection:
                await connection.execute(_LIMIT_LOCK_WAIT)
                await connection.execute(_of(_DROP, month))
        except errors.LockNotAvailable:
            logger.warning("month_drop_postponed", month=month)
        else:
            logger.info("month_dropped", month=month)

    async def _delete_ids(self, month: str, after: _Key) -> _Key | None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                _of(_DELETE_IDS, month),
                {
                    "after": after.instance_id,
                    "after_id": after.message_id,
                    "max_count": _BATCH_SIZE,
                },
            )
            row = await cursor.fetchone()
        return _Key(*row) if row else None


def _of(statement: SQL, month: str) -> Composed:
    return statement.format(month=Identifier(month))
