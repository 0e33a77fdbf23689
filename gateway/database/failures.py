"""Turns the driver's errors into the gateway's, and says why Postgres cannot serve."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from psycopg import DataError, Error, InterfaceError, OperationalError, errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from gateway.errors import DatabaseUnavailable

_LOST_ITS_STATEMENT = (
    "The pooler gave a connection without its prepared statements: set GATEWAY_DIRECT_DATABASE_URL"
)

# This server, or this connection through a pooler, cannot serve now. The server became read-only (a
# failover in place, a full disk) or ended an idle transaction. Or the pooler's connection lacks a
# prepared statement, or has another one of that name. Another connection may lead to a server that
# can serve.
_REFUSALS: Final[Mapping[type[Error], str]] = {
    errors.ReadOnlySqlTransaction: "Postgres is read-only",
    errors.IdleInTransactionSessionTimeout: "Postgres ended a transaction that was idle",
    errors.TransactionTimeout: "Postgres ended a transaction that took too long",
    errors.InvalidSqlStatementName: _LOST_ITS_STATEMENT,
    errors.DuplicatePreparedStatement: _LOST_ITS_STATEMENT,
}
REFUSED: Final = tuple(_REFUSALS)
READ_ONLY: Final = _REFUSALS[errors.ReadOnlySqlTransaction]

_FAILURES: Final[Mapping[type[Exception], str]] = {
    PoolTimeout: "No connection to Postgres was free or could be opened in time",
    PoolClosed: "The connections to Postgres are closed",
    TooManyRequests: "Too many callers wait for a connection to Postgres",
    errors.DiskFull: "The disk of Postgres is full",
    errors.OutOfMemory: "Postgres is out of memory",
    errors.TooManyConnections: "Postgres has no connection left",
    errors.AdminShutdown: "Postgres ended the connection: it is shutting down, or an operator did",
    errors.CrashShutdown: "Postgres ended the connection: another of its processes crashed",
    errors.CannotConnectNow: "Postgres is starting or shutting down",
    errors.QueryCanceled: "Postgres canceled the statement: statement_timeout, or an operator",
}
_LOST_CONNECTION: Final = "The connection to Postgres was lost"

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
    except REFUSED as error:
        raise DatabaseUnavailable(_sentence(_REFUSALS, error), refused=True) from error
    except (OperationalError, InterfaceError, PoolTimeout, PoolClosed, TooManyRequests) as error:
        is_closed = isinstance(error, PoolClosed)
        raise DatabaseUnavailable(_sentence(_FAILURES, error), closed=is_closed) from error
    except Error as error:
        _remove_values(error)
        raise


def cancellations() -> int:
    """Returns how often this task was canceled."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def raise_if_canceled(before: int) -> None:
    """Raises CancelledError if this task was canceled since; the driver may have swallowed that.

    The pool waits for a connection with `asyncio.wait_for`. Before Python 3.12 that drops a
    cancellation at the moment at which the wait ends, as it does for all when the pool is closed. A
    caller that repeats its statement would then never end.
    """
    if cancellations() > before:
        raise asyncio.CancelledError


def _sentence(
    sentences: Mapping[type[Error], str] | Mapping[type[Exception], str], error: Exception
) -> str:
    for kind in type(error).__mro__:
        if kind in sentences:
            return sentences[kind]
    state = error.sqlstate if isinstance(error, Error) else None
    return f"{_LOST_CONNECTION} ({state})" if state else _LOST_CONNECTION


def _remove_values(error: Error) -> None:
    """Leaves the error its state and names: details and data errors quote values of rows."""
    message = None if isinstance(error, DataError) else error.diag.message_primary
    names = (error.diag.table_name, error.diag.column_name, error.diag.constraint_name)
    error.args = (" ".join(filter(None, (error.sqlstate, message, *names))),)
