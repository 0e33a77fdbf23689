"""One connection outside any pool: for migrations, and for checks before the pool exists."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection, OperationalError
from psycopg.conninfo import make_conninfo

from gateway.database.conninfo import connection_parameters, database_failure
from gateway.database.deadlines import STATEMENT_SECONDS, ConnectionWatchdog, PatientConnection
from gateway.database.failures import READ_ONLY, driver_errors_translated
from gateway.errors import DatabaseUnavailable

_TOO_LATE = f"no answer within {STATEMENT_SECONDS:g} seconds"


async def connect_directly(url: str) -> AsyncConnection:
    """Returns one connection outside any pool, in autocommit mode.

    Raises:
        DatabaseUnavailable: Postgres did not answer, or refused; gives its reason.
    """
    try:
        # A name server can be silent, too; connect_timeout does not count its time.
        async with asyncio.timeout(STATEMENT_SECONDS):
            limited_url = make_conninfo(url, **connection_parameters(url))
            return await PatientConnection.connect(limited_url, autocommit=True)
    except OperationalError as error:
        raise DatabaseUnavailable(database_failure(url, error)) from error
    except TimeoutError as error:
        raise DatabaseUnavailable(database_failure(url, OperationalError(_TOO_LATE))) from error


@asynccontextmanager
async def direct_connection(
    url: str, *, seconds: float = STATEMENT_SECONDS
) -> AsyncIterator[AsyncConnection]:
    """Yields a connection that is dropped when the block takes longer than *seconds*.

    Raises:
        DatabaseUnavailable: Postgres did not answer, or cannot serve now.
    """
    connection = await connect_directly(url)
    with ConnectionWatchdog(seconds) as watchdog, driver_errors_translated():
        watchdog.watch(connection)
        async with connection:
            yield connection


async def is_read_only(connection: AsyncConnection) -> bool:
    """Says whether Postgres takes no writes here: a standby, or a server that was set so."""
    cursor = await connection.execute("show transaction_read_only")
    return await cursor.fetchone() == ("on",)


async def require_writable(connection: AsyncConnection) -> None:
    """Raises DatabaseUnavailable, and closes the connection, where Postgres takes no writes.

    Another connection may lead to a server that does.
    """
    if await is_read_only(connection):
        await connection.close()
        raise DatabaseUnavailable(READ_ONLY, refused=True)
