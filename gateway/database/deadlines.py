"""How long Postgres has to answer, and what happens to a connection that does not."""

import asyncio
import os
import socket
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from psycopg import AsyncConnection, Error, OperationalError
from psycopg.abc import PQGen

from gateway.errors import DatabaseUnavailable

STATEMENT_SECONDS: Final = 10.0
"""The deadline of every statement without a name below; GATEWAY_STATEMENT_SECONDS sets it."""

_CALLER_SHARE: Final = 0.95
"""What a caller of the API waits for Postgres, of the deadline: the rest is for the answer."""


class DatabaseDeadline:
    """Deadlines of work that takes longer than a statement may, or less; in seconds."""

    READINESS: Final = 1.5
    """The checks of /ready, which answers within two seconds."""
    GAUGES: Final = 60.0
    """Counts over whole tables."""
    PRUNING: Final = 60.0
    """One batch of rows that expired, or of a deleted instance; one month of history."""
    ERASURE: Final = 120.0
    """Everything about one person, or the removal of one instance."""
    REPLAY: Final = 120.0
    """The callbacks of a span of time, or many failed messages or dead letters."""
    LIBRARY_TRANSACTION: Final = 30.0
    """A transaction of an engine's library, with the pauses between its statements."""
    UPLOAD: Final = 300.0
    """A file that is stored while its row is locked."""
    MIGRATION: Final = 6 * 3_600.0
    """Every missing migration, and the wait for another process that migrates."""


_CANCEL_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 60.0

Result = TypeVar("Result")


@dataclass(slots=True)
class Patience:
    """The seconds that one caller still waits for Postgres, over all its statements."""

    seconds_left: float


class ConnectionWatchdog:
    """Drops a connection whose work is not done at its deadline.

    It shuts the socket down. The statement that waits for it then fails at once, whatever the peer
    does. Canceling the task instead would make psycopg ask the silent server to cancel, and wait.

    The driver's errors must be translated inside the block: DatabaseUnavailable then says that the
    deadline passed, if it did.
    """

    # A class instead of a generator, because it runs for every statement.
    __slots__ = ("_began", "_caller", "_connection", "_timer", "has_expired", "seconds")

    def __init__(self, seconds: float, caller: Patience | None = None) -> None:
        """Prepares the watchdog; the time of the block is taken off what *caller* still waits."""
        self.seconds = min(seconds, caller.seconds_left) if caller else seconds
        self.has_expired = False
        self._caller = caller
        self._connection: AsyncConnection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._timer = loop.call_at(self._began + self.seconds, self._expire)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        if self._timer:
            self._timer.cancel()
        self._connection = None
        if self._caller:
            self._caller.seconds_left -= asyncio.get_running_loop().time() - self._began
        if self.has_expired and isinstance(error, DatabaseUnavailable):
            raise DatabaseUnavailable(
                f"Postgres did not answer within {self.seconds:.3g} seconds"
            ) from error

    def watch(self, connection: AsyncConnection) -> None:
        self._connection = connection
        if self.has_expired:
            shut_down(connection)

    def _expire(self) -> None:
        self.has_expired = True
        if self._connection:
            shut_down(self._connection)


def shut_down(connection: AsyncConnection) -> None:
    """Ends both directions of the socket; the driver then finds that the connection is lost.

    The descriptor stays open until the driver closes it, so no other socket gets its number
    while the event loop still watches it.
    """
    with (
        suppress(OperationalError, OSError),  # it is closed already
        socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate,
    ):
        duplicate.shutdown(socket.SHUT_RDWR)


class PatientConnection(AsyncConnection):
    """A connection whose statement can be canceled although the server is silent.

    When a task is canceled, psycopg asks the server to cancel its statement, and waits for the end
    of both. Where the server does not take the request, this connection is dropped.
    """

    async def wait(
        self,
        gen: PQGen[Result],
        interval: float = _WAIT_SECONDS,
        *further: Any,  # noqa: ANN401 - what versions of psycopg add
        **named: Any,  # noqa: ANN401 - the same
    ) -> Result:
        """Waits without psycopg's look at Ctrl-C every 0.1 s: the event loop handles signals.

        The connection that listens waits all the time, and woke an idle process ten times a second.
        """
        return await super().wait(gen, interval, *further, **named)

    async def cancel_safe(
        self,
        *,
        timeout: float = _CANCEL_SECONDS,  # noqa: ASYNC109 - psycopg's signature
    ) -> None:
        try:
            await super().cancel_safe(timeout=min(timeout, _CANCEL_SECONDS))
        except Error:
            shut_down(self)
            raise


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


def caller_seconds(statement_seconds: float) -> float:
    """Returns how long a caller of the API waits for Postgres in all."""
    return _CALLER_SHARE * statement_seconds


class _CallerWait:
    # A class instead of a generator, because each request has one.
    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._token: Token[Patience | None] | None = None

    def __enter__(self) -> None:
        self._token = _patience.set(Patience(self._seconds))

    def __exit__(self, *_error: object) -> None:
        assert self._token is not None
        _patience.reset(self._token)


def waiting_at_most(seconds: float) -> AbstractContextManager[None]:
    """Bounds the time that the statements in this block may take together.

    Work with a named deadline does not count.
    """
    return _CallerWait(seconds)


def patience() -> Patience | None:
    """Returns what the caller of this task still waits; None where no caller waits."""
    return _patience.get()
