"""The connection pool; the one place that turns the driver's errors into the gateway's."""

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
from gateway.database.sealing import Sealing
from gateway.errors import DatabaseUnavailable

_CONNECT_TIMEOUT_SECONDS = 5
_PLANS_LAST_SECONDS, _PLANS_LAST_USES = 5.0, 10

Row = TypeVar("Row")

# This server, or this connection through a pooler, cannot serve now. The server became read-only (a
# failover in place, a full disk) or ended an idle transaction. Or the pooler's connection lacks a
# prepared statement, or has another one of that name. Another connection may lead to a server that
# can serve.
_REFUSED = (
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.InvalidSqlStatementName,
    errors.DuplicatePreparedStatement,
)

# The statement lost a race against another transaction; the server works.
_LOST_A_RACE = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)


@contextmanager
def driver_errors_translated() -> Iterator[None]:
    """Turns a database that cannot serve now into DatabaseUnavailable; lets the rest through."""
    try:
        yield
    except _LOST_A_RACE as error:
        _remove_values(error)
        raise
    except _REFUSED as error:
        raise DatabaseUnavailable(
            f"Postgres cannot serve now: {type(error).__name__}", refused=True
        ) from error
    except (OperationalError, InterfaceError, PoolTimeout, PoolClosed, TooManyRequests) as error:
        raise DatabaseUnavailable(f"Postgres did not answer: {type(error).__name__}") from error
    except Error as error:
        _remove_values(error)
        raise


async def connect_directly(url: str) -> AsyncConnection:
    """Returns one connection outside any pool, in autocommit mode.

    Raises:
        DatabaseUnavailable: Postgres did not answer, or refused; gives its reason.
    """
    given = conninfo_to_dict(url).get("connect_timeout")
    url_with_timeout = make_conninfo(url, connect_timeout=given or _CONNECT_TIMEOUT_SECONDS)
    try:
        return await AsyncConnection.connect(url_with_timeout, autocommit=True)
    except OperationalError as error:
        raise DatabaseUnavailable(database_failure(url, error)) from error


def _remove_values(error: Error) -> None:
    """Leaves the error its state and names: details and data errors quote values of rows."""
    message = None if isinstance(error, DataError) else error.diag.message_primary
    names = (error.diag.table_name, error.diag.column_name, error.diag.constraint_name)
    error.args = (" ".join(filter(None, (error.sqlstate, message, *names))),)


def _adapters() -> AdaptersMap:
    """Returns faster adapters than psycopg's own for lists and JSON, the most frequent types."""
    faster = AdaptersMap(adapters)
    faster.register_dumper(list, ListBinaryDumper)
    set_json_loads(orjson.loads, faster)
    return faster


@dataclass(frozen=True, slots=True)
class Count:
    """The row of a query that returns one number, named `count`."""

    count: int


@dataclass(slots=True)
class _Plans:
    """When the plans of one connection were last discarded, and its uses after that."""

    discarded_at: float
    uses: int = 0


class Database:
    """Runs named queries on a pool of connections; its methods may raise DatabaseUnavailable."""

    def __init__(
        self,
        url: str,
        *,
        min_size: int = 2,
        max_size: int = 10,
        timeout_seconds: float = 5.0,
        prepare: bool = True,
        sealing: Sealing | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Creates the pool; it connects in `open`.

        Args:
            url: a libpq URL.
            min_size: the connections that stay open.
            max_size: the largest number of connections.
            timeout_seconds: how long a caller waits for a connection.
            prepare: False behind a transaction pooler, where prepared statements fail.
            sealing: encrypts and decrypts content; without it, content stays as it is.
            seconds: a monotonic clock.
        """
        self._seconds = seconds
        self._plans = WeakKeyDictionary[AsyncConnection, _Plans]()
        self._url, self._prepare, self._sealing = url, prepare, sealing
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
                "cursor_factory": sealing.cursor_factory() if sealing else None,
            },
        )

    def single_connection(self) -> "Database":
        """Returns another pool of one connection, for work that must not wait for this pool."""
        return Database(
            self._url, min_size=1, max_size=1, prepare=self._prepare, sealing=self._sealing
        )

    def limited_to(self, connections: int) -> "Database":
        """Returns a view of this pool that uses at most *connections* at the same time.

        Its callers wait here without a timeout, and leave other callers their connections.
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
                    await self._discard_old_plans(connection)
                    yield connection
                except _REFUSED:
                    await connection.close()  # the pool then opens another
                    raise

    async def _discard_old_plans(self, connection: AsyncConnection) -> None:
        """Makes Postgres plan again after some seconds of use.

        Otherwise a plan that was made for an empty table stays in use for a minute while the table
        fills. An idle connection discards nothing.
        """
        now = self._seconds()
        plans = self._plans.setdefault(connection, _Plans(now))
        plans.uses += 1
        if now - plans.discarded_at >= _PLANS_LAST_SECONDS and plans.uses > _PLANS_LAST_USES:
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
                await connection.close()  # a new connection may lead to a writable server
                raise DatabaseUnavailable("Postgres is read-only", refused=True)

    async def fetch_all(self, row: type[Row], statement: SQL, **parameters: object) -> list[Row]:
        """Returns every row as an instance of *row*, whose fields have the columns' names."""
        async with self.connection() as connection:
            return await fetch_all(connection, row, statement, **parameters)

    async def fetch_one(self, row: type[Row], statement: SQL, **parameters: object) -> Row | None:
        """Returns the first row, or None where there is none."""
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
    """Returns every row as an instance of *row*, on a connection of the caller."""
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()
