"""The pool, and the one place where the driver's errors become ours."""

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import orjson
from psycopg import (
    AsyncConnection,
    DataError,
    Error,
    InterfaceError,
    OperationalError,
    adapters,
    errors,
)
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import class_row, dict_row
from psycopg.sql import SQL, Composed
from psycopg.types.array import ListBinaryDumper
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from gateway.database.conninfo import database_failure
from gateway.errors import DatabaseUnavailable

_CONNECT_TIMEOUT_SECONDS = 5
_PLANS_LAST_SECONDS, _PLANS_LAST_USES = 5.0, 10

Row = TypeVar("Row")

# These say that this server, or this connection through a pooler, cannot serve now: the server was
# made read-only (a failover in place, a full disk) or ended an idle transaction, or the pooler's
# connection does not know a prepared statement, or knows one of that name. Another connection may
# lead to a server that can.
_REFUSED = (
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.InvalidSqlStatementName,
    errors.DuplicatePreparedStatement,
)

# These say that the statement lost a race, not that the server is gone.
_LOST_A_RACE = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)


@contextmanager
def driver_errors_translated() -> Iterator[None]:
    """Turns a database that cannot serve now into DatabaseUnavailable; lets the rest through."""
    try:
        yield
    except _LOST_A_RACE as error:
        _forget_values(error)
        raise
    except _REFUSED as error:
        raise DatabaseUnavailable(
            f"Postgres cannot serve now: {type(error).__name__}", refused=True
        ) from error
    except (OperationalError, InterfaceError, PoolTimeout, PoolClosed, TooManyRequests) as error:
        raise DatabaseUnavailable(f"Postgres did not answer: {type(error).__name__}") from error
    except Error as error:
        _forget_values(error)
        raise


async def connect_directly(url: str) -> AsyncConnection:
    """One connection outside any pool, in autocommit mode.

    Raises:
        DatabaseUnavailable: Postgres did not answer or refused; says which, and its reason.
    """
    given = conninfo_to_dict(url).get("connect_timeout")
    patient_url = make_conninfo(url, connect_timeout=given or _CONNECT_TIMEOUT_SECONDS)
    try:
        return await AsyncConnection.connect(patient_url, autocommit=True)
    except OperationalError as error:
        raise DatabaseUnavailable(database_failure(url, error)) from error


def _forget_values(error: Error) -> None:
    """Details, and what is wrong with data, quote values that no log may show."""
    told = None if isinstance(error, DataError) else error.diag.message_primary
    named = (error.diag.table_name, error.diag.column_name, error.diag.constraint_name)
    error.args = (" ".join(filter(None, (error.sqlstate, told, *named))),)


def _adapters() -> AdaptersMap:
    """Psycopg's own are slow for what comes most: lists as text, and JSON."""
    ours = AdaptersMap(adapters)
    ours.register_dumper(list, ListBinaryDumper)
    set_json_loads(orjson.loads, ours)
    return ours


@dataclass(frozen=True, slots=True)
class RowCount:
    """The row of a statement that counts."""

    count: int


@dataclass(slots=True)
class _Plans:
    """Of one connection; at rest nothing is worth planning again."""

    made_at: float
    uses: int = 0


class Database:
    """Part of the service: named queries against a pool; methods may raise DatabaseUnavailable."""

    def __init__(
        self,
        url: str,
        *,
        min_size: int = 2,
        max_size: int = 10,
        timeout_seconds: float = 5.0,
        prepare: bool = True,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares a pool; nothing connects before `open`.

        Args:
            url: a libpq URL.
            min_size: connections kept open.
            max_size: connections at most.
            timeout_seconds: how long a caller waits for a connection.
            prepare: False behind a transaction pooler, which would break prepared statements.
            seconds: a clock that never goes back.
        """
        self._seconds = seconds
        self._plans = WeakKeyDictionary[AsyncConnection, _Plans]()
        self._url, self._prepare = url, prepare
        self._turns: AbstractAsyncContextManager[object] = nullcontext()
        self.pool = AsyncConnectionPool(
            url,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout_seconds,
            open=False,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 2 if prepare else None,
                "connect_timeout": 5,
                "application_name": "gateway",
                "context": _adapters(),
            },
        )

    def apart(self) -> "Database":
        """One connection to the same place, for what must not wait until the pool has one."""
        return Database(self._url, min_size=1, max_size=1, prepare=self._prepare)

    def at_most(self, connections: int) -> "Database":
        """A part of the same pool for what comes in floods.

        It queues here, for as long as it takes, and leaves the others their connections.
        """
        part = copy.copy(self)
        part._turns = asyncio.Semaphore(connections)  # noqa: SLF001 - of the same class
        return part

    async def open(self) -> None:
        """Starts connecting, without waiting for it."""
        await self.pool.open(wait=False)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self.open()
        try:
            await stopping.wait()
        finally:
            await self.pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        with driver_errors_translated():
            async with self._turns, self.pool.connection() as connection:
                try:
                    await self._plan_anew(connection)
                    yield connection
                except _REFUSED:
                    await connection.close()  # the pool then opens another
                    raise

    async def _plan_anew(self, connection: AsyncConnection) -> None:
        """A plan made for an empty table would be kept for a minute, however fast it fills."""
        now = self._seconds()
        plans = self._plans.setdefault(connection, _Plans(now))
        plans.uses += 1
        if now - plans.made_at >= _PLANS_LAST_SECONDS and plans.uses > _PLANS_LAST_USES:
            self._plans[connection] = _Plans(now)
            await connection.execute("discard plans")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """Raises DatabaseUnavailable unless Postgres answers and takes writes."""
        async with self.connection() as connection:
            cursor = await connection.execute("show transaction_read_only")
            if await cursor.fetchone() == ("on",):
                await connection.close()  # another one may lead to a server that is not
                raise DatabaseUnavailable("Postgres is read-only", refused=True)

    async def fetch_all(self, row: type[Row], statement: SQL, **parameters: object) -> list[Row]:
        """Every row as an instance of *row*, whose fields are named as the columns."""
        async with self.connection() as connection:
            return await fetch_all(connection, row, statement, **parameters)

    async def fetch_one(self, row: type[Row], statement: SQL, **parameters: object) -> Row | None:
        """The first row, or None."""
        async with self.connection() as connection:
            rows = await fetch_all(connection, row, statement, **parameters)
            return rows[0] if rows else None

    async def fetch_dicts(self, statement: SQL, **parameters: object) -> list[dict[str, Any]]:
        async with self.connection() as connection, connection.cursor(row_factory=dict_row) as c:
            await c.execute(statement, parameters)
            return await c.fetchall() if c.description else []

    async def execute(self, statement: SQL | Composed, **parameters: object) -> int:
        """Runs a statement and returns how many rows it touched."""
        async with self.connection() as connection:
            return (await connection.execute(statement, parameters)).rowcount


async def fetch_all(
    connection: AsyncConnection, row: type[Row], statement: SQL, **parameters: object
) -> list[Row]:
    """Every row as an instance of *row*, inside a transaction of the caller's."""
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()
