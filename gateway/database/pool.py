"""The connection pool: named queries, each with a deadline."""

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import orjson
from psycopg import AsyncConnection, adapters
from psycopg.adapt import AdaptersMap
from psycopg.errors import DiskFull
from psycopg.rows import class_row, dict_row
from psycopg.sql import SQL, Composed
from psycopg.types.array import ListBinaryDumper
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from gateway.database.conninfo import connection_parameters
from gateway.database.deadlines import (
    STATEMENT_SECONDS,
    ConnectionWatchdog,
    PatientConnection,
    patience,
)
from gateway.database.failures import (
    REFUSED,
    cancellations,
    driver_errors_translated,
    raise_if_canceled,
)
from gateway.database.planning import Plans
from gateway.database.sealing import Sealing
from gateway.errors import DatabaseUnavailable

# The pool doubles its pauses between attempts to connect until it gives up; then the next caller
# makes it begin again with a short pause.
_RECONNECT_SECONDS = 5.0

Row = TypeVar("Row")
Turn = Callable[[], AbstractAsyncContextManager[object]]


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


class _WarmPool(AsyncConnectionPool):
    """Lends the connection that came back last.

    The process of Postgres behind it has its plans and caches warm. The library lends the one that
    has waited longest: at 7 messages per second, each of ten processes ran a statement every
    0.3 s, and all of them were cold.
    """

    async def _get_ready_connection(
        self,
        timeout: float | None,  # noqa: ASYNC109 - the library's signature
    ) -> AsyncConnection | None:
        # The coldest goes first once it has lived long enough: the library replaces it when it
        # comes back, and otherwise would not look at it.
        if self._pool and self._pool[0]._expire_at > time.monotonic():  # noqa: SLF001 - as above
            self._pool.rotate(1)
        return await super()._get_ready_connection(timeout)


@dataclass(slots=True)
class _Connections:
    """What all views of one pool know of its connections."""

    plans: WeakKeyDictionary[AsyncConnection, Plans] = field(default_factory=WeakKeyDictionary)
    drained_at: float = float("-inf")
    disk_full_at: float = float("-inf")


class Database:
    """Runs named queries on a pool of connections; its methods may raise DatabaseUnavailable.

    Each use of a connection has a deadline, from the wait for the connection to the commit. At the
    deadline the connection is dropped and the caller gets DatabaseUnavailable: it does not know
    what Postgres did.
    """

    def __init__(
        self,
        url: str,
        *,
        min_size: int = 2,
        max_size: int = 10,
        timeout_seconds: float = 5.0,
        prepare: bool = True,
        statement_seconds: float = STATEMENT_SECONDS,
        sealing: Sealing | None = None,
        application_name: str = "gateway",
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Creates the pool; it connects in `open`.

        Args:
            url: a libpq URL.
            min_size: the connections that stay open.
            max_size: the largest number of connections.
            timeout_seconds: how long a caller waits for a connection.
            prepare: False behind a transaction pooler, where prepared statements fail.
            statement_seconds: the deadline of work that has no name in `DatabaseDeadline`.
            sealing: encrypts and decrypts content; without it, content stays as it is.
            application_name: what Postgres shows for these connections.
            seconds: a monotonic clock.
        """
        self._seconds = seconds
        self._connections = _Connections()
        self._url, self._prepare, self._sealing = url, prepare, sealing
        self.statement_seconds = statement_seconds
        self._deadline_seconds: float | None = None
        self._plans_once: bool | None = False
        self._plans_each_time = False
        self._turn: Turn = nullcontext
        self.pool = _WarmPool(
            url,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout_seconds,
            reconnect_timeout=_RECONNECT_SECONDS,
            connection_class=PatientConnection,
            open=False,
            kwargs={
                **connection_parameters(url),
                "autocommit": True,
                "prepare_threshold": 2 if prepare else None,
                "application_name": application_name,
                "context": _adapters(),
                "cursor_factory": sealing.cursor_factory() if sealing else None,
            },
        )

    @property
    def seal_prefix(self) -> str | None:
        """What a text begins with that is sealed under the present key; None without a seal."""
        return self._sealing.seal.text_prefix if self._sealing else None

    def single_connection(self) -> "Database":
        """Returns another pool of one connection, for work that must not wait for this pool."""
        return Database(
            self._url,
            min_size=1,
            max_size=1,
            prepare=self._prepare,
            statement_seconds=self.statement_seconds,
            sealing=self._sealing,
        )

    def within(self, seconds: float) -> "Database":
        """Returns a view of this pool whose work has *seconds*, such as a `DatabaseDeadline`.

        The patience of a caller of the API does not shorten them.
        """
        part = copy.copy(self)
        part._deadline_seconds = float(seconds)  # noqa: SLF001 - of the same class
        return part

    def limited_to(self, connections: int) -> "Database":
        """Returns a view of this pool that uses at most *connections* at the same time.

        Its callers wait here without a timeout, and leave other callers their connections.
        """
        part = copy.copy(self)
        places = asyncio.Semaphore(connections)
        part._turn = lambda: places  # noqa: SLF001 - of the same class
        return part

    def for_look_ups(self) -> "Database":
        """Returns a view of this pool for look-ups of unknown names: a quarter of it.

        A request with a made-up token costs a statement, and nothing limits how many come.
        """
        return self.limited_to(max(1, self.pool.max_size // 4))

    def in_turns(self, turn: Turn) -> "Database":
        """Returns a view of this pool that uses each connection in a *turn*, as of an account.

        Who waits for another server between two statements occupies no turn meanwhile. A caller
        must have no turn of this kind already.
        """
        part = copy.copy(self)
        part._turn = turn  # noqa: SLF001 - of the same class
        return part

    def planned_once(self) -> "Database":
        """Returns a view of this pool for statements that run for every message.

        Postgres plans each once for all parameters, and never as a scan of a whole table. Left to
        itself it plans a statement with arrays again each time, because it takes an array of one
        element for cheaper than an unknown one; at 66 messages per second that is 3.4 ms of
        processor time per message. A plan that was made while a table was empty uses the index.

        Behind a transaction pooler nothing changes: there, no setting of a connection may be made,
        and no plan lasts.
        """
        part = copy.copy(self)
        part._plans_once = True  # noqa: SLF001 - of the same class
        return part

    def planned_either_way(self) -> "Database":
        """Returns a view of this pool for statements that need neither way of planning.

        A connection plans them as its statement before: to change that is a statement of its own,
        and another one for the next statement that needs the other way.
        """
        part = copy.copy(self)
        part._plans_once = None  # noqa: SLF001 - of the same class
        return part

    def planned_each_time(self) -> "Database":
        """Returns a view of this pool for reading with a plan for the given parameters each time.

        For a statement whose plan for all parameters would read all messages of an instance:
        without the values, Postgres expects that several bounds of time leave a row or none.
        """
        part = copy.copy(self)
        part._plans_once, part._plans_each_time = False, True  # noqa: SLF001 - of the same class
        return part

    @property
    def _psycopg_prepare(self) -> bool | None:
        """A statement that psycopg does not prepare is planned as it comes; None leaves it open."""
        return False if self._plans_each_time else None

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
        """Yields a connection; its deadline counts from the turn, see `limited_to`, `in_turns`."""
        before = cancellations()
        try:
            async with self._turn():
                with self._watchdog() as watchdog, driver_errors_translated():
                    timeout = min(self.pool.timeout, watchdog.seconds)
                    async with self.pool.connection(timeout=timeout) as connection:
                        raise_if_canceled(before)
                        watchdog.watch(connection)
                        try:
                            await self._prepare_planning(connection)
                            yield connection
                        except REFUSED:
                            await connection.close()  # the pool then opens another
                            raise
                        except DiskFull:
                            self._connections.disk_full_at = self._seconds()
                            raise
                        finally:
                            if watchdog.has_expired or connection.broken:
                                await self._drain(connection)
        except DatabaseUnavailable:
            raise_if_canceled(before)
            raise

    def _watchdog(self) -> ConnectionWatchdog:
        if self._deadline_seconds is None:
            return ConnectionWatchdog(self.statement_seconds, patience())
        return ConnectionWatchdog(self._deadline_seconds)

    def seconds_since_disk_full(self) -> float:
        """Returns how long ago a statement last failed because the disk of Postgres was full."""
        return self._seconds() - self._connections.disk_full_at

    async def _drain(self, lost: AsyncConnection) -> None:
        """Closes the idle connections too: they lead where the lost or silent one leads.

        Connections opened after the last time are not closed again for one that is older.
        """
        connections = self._connections
        used = connections.plans.get(lost)
        if used and used.first_used_at > connections.drained_at:
            connections.drained_at = self._seconds()
            await self.pool.drain()

    async def _prepare_planning(self, connection: AsyncConnection) -> None:
        now = self._seconds()
        plans = self._connections.plans.setdefault(connection, Plans(now, now))
        if self._prepare and (self._plans_once is not None or plans.once is None):
            await plans.plan_once(connection, once=bool(self._plans_once))
        await plans.discard_old(connection, now)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch_all(self, row: type[Row], statement: SQL, **parameters: object) -> list[Row]:
        """Returns every row as an instance of *row*, whose fields have the columns' names."""
        async with self.connection() as connection:
            return await _fetch_all(connection, row, statement, parameters, self._psycopg_prepare)

    async def fetch_one(self, row: type[Row], statement: SQL, **parameters: object) -> Row | None:
        """Returns the first row, or None where there is none."""
        async with self.connection() as connection:
            rows = await _fetch_all(connection, row, statement, parameters, self._psycopg_prepare)
            return rows[0] if rows else None

    async def fetch_dicts(self, statement: SQL, **parameters: object) -> list[dict[str, Any]]:
        async with self.connection() as connection, connection.cursor(row_factory=dict_row) as c:
            await c.execute(statement, parameters, prepare=self._psycopg_prepare)
            return await c.fetchall() if c.description else []

    async def execute(self, statement: SQL | Composed, **parameters: object) -> int:
        """Runs a statement and returns how many rows it touched."""
        async with self.connection() as connection:
            return (await connection.execute(statement, parameters)).rowcount


async def fetch_all(
    connection: AsyncConnection, row: type[Row], statement: SQL, **parameters: object
) -> list[Row]:
    """Returns every row as an instance of *row*, on a connection of the caller."""
    return await _fetch_all(connection, row, statement, parameters, None)


async def _fetch_all(
    connection: AsyncConnection,
    row: type[Row],
    statement: SQL,
    parameters: Mapping[str, object],
    prepare: bool | None,  # noqa: FBT001 - psycopg's, which has three states
) -> list[Row]:
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement, parameters, prepare=prepare)
        return await cursor.fetchall()
