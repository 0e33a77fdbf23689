"""Creates the monthly partitions of history ahead of time, and drops the expired ones.

Before a month is dropped, its ids are deleted in small batches. So only the drop itself locks all
of history, and what is sent meanwhile cannot be recorded. While the drop waits for a transaction
that reads history, all others queue behind it. So it waits for a moment only, and tries again
after a pause: 20 ms are enough between short transactions, and the longest wait is for a reader
that stays. Postgres cannot detach a partition concurrently beside a default partition.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection, errors
from psycopg.sql import SQL, Composed, Identifier

from gateway.clock import Clock
from gateway.database.migrations import create_month_partitions
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.observability.logging import logger

_FIND_EXPIRED_MONTHS = query("history", "find_expired_months")
_DELETE_EXPIRED_RECEIPTS = query("history", "delete_expired_receipts")
_LIMIT_LOCK_WAIT = query("history", "limit_lock_wait")
# Deletes a batch in the order of the primary key, and returns its last key. Each id is looked up by
# its index: without statistics, Postgres would join each batch with all ids of history.
_DELETE_IDS = SQL("""
    with expired as materialized (
        select instance_id, message_id, recorded_at from {month}
        where (instance_id, message_id) > (%(after)s::text, %(after_id)s::text)
        order by instance_id, message_id
        limit %(max_count)s::int
    ), ids as (
        delete from message_ids
        where ctid = any(array(
            select p.tid
            from expired o
            cross join lateral (
                select i.ctid as tid from message_ids i
                where i.instance_id = o.instance_id and i.message_id = o.message_id
                    and i.recorded_at = o.recorded_at
                offset 0
            ) p
        ))
    ), attempts as (
        delete from message_attempts
        where ctid = any(array(
            select p.tid
            from expired o
            cross join lateral (
                select a.ctid as tid from message_attempts a
                where a.instance_id = o.instance_id and a.message_id = o.message_id
                offset 0
            ) p
        ))
    )
    select instance_id, message_id from expired order by instance_id desc, message_id desc limit 1
""")
_DROP = SQL("drop table if exists {month}")

_BATCH_SIZE = 2_000
_LOCK_MILLISECONDS: Sequence[int] = (20,) * 10 + (50,) * 5 + (100,) * 3
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Month:
    name: str


@dataclass(frozen=True, slots=True)
class _Key:
    instance_id: str = ""
    message_id: str = ""


class HistoryPartitions:
    """Keeps the partitions of history in step with the calendar and the retention."""

    def __init__(self, database: Database, clock: Clock, *, retention_days: int) -> None:
        """Prepares the maintenance; *retention_days* 0 keeps all months."""
        self._database, self._clock = database, clock
        self._retention_days = retention_days

    async def maintain(self) -> None:
        """Creates the coming months; drops expired months with their ids and receipts."""
        if not await self._with_short_lock(create_month_partitions):
            logger.warning("month_creation_postponed")
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

        async def drop(connection: AsyncConnection) -> None:
            await connection.execute(_of(_DROP, month))

        if await self._with_short_lock(drop):
            logger.info("month_dropped", month=month)
        else:
            logger.warning("month_drop_postponed", month=month)

    async def _with_short_lock(self, work: Callable[[AsyncConnection], Awaitable[None]]) -> bool:
        """Does *work*, which locks all of history; returns False if readers of history stay."""
        for attempt, milliseconds in enumerate(_LOCK_MILLISECONDS):
            if attempt:
                await self._clock.sleep(_PAUSE_SECONDS)
            try:
                async with self._database.transaction() as connection:
                    await connection.execute(
                        _LIMIT_LOCK_WAIT, {"milliseconds": f"{milliseconds}ms"}
                    )
                    await work(connection)
            except errors.LockNotAvailable:
                continue
            return True
        return False

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
