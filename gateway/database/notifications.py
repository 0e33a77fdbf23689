"""NOTIFY and LISTEN: one connection that passes notifications on, and a sender of wake-ups."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from gateway.clock import Clock
from gateway.database.deadlines import STATEMENT_SECONDS, ConnectionWatchdog
from gateway.database.direct import connect_directly, require_writable
from gateway.database.failures import driver_errors_translated
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop

_NOTIFY = query("notifications", "notify")

Subscriber = Callable[[str], None]
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.1, 5.0
_PROBE_SECONDS = 10.0


class Notifications:
    """Keeps one LISTEN connection open and calls the subscribers of each channel.

    The connection must not go through a transaction pooler. Notifications are lost while it is
    down, so `on_reconnect` runs each time it comes up: a subscriber then looks for what it missed.
    """

    def __init__(
        self, url: str, clock: Clock, *, statement_seconds: float = STATEMENT_SECONDS
    ) -> None:
        """Prepares the connection; Postgres has *statement_seconds* for each of its statements."""
        self._url = make_conninfo(url, application_name="gateway-listen")
        self._clock, self._statement_seconds = clock, statement_seconds
        self._subscribers: dict[str, list[Subscriber]] = {}
        self._on_reconnect: list[Callable[[], None]] = []

    def subscribe(
        self,
        channel: str,
        subscriber: Subscriber,
        *,
        on_reconnect: Callable[[], None] | None = None,
    ) -> None:
        """Calls *subscriber* with each payload; call this before `run_until`."""
        self._subscribers.setdefault(channel, []).append(subscriber)
        if on_reconnect:
            self._on_reconnect.append(on_reconnect)

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Listens until *stopping* is set.

        This is not a PeriodicLoop: one run lasts as long as the connection, and only an error of
        this connection, which is not of the pool, ends it.
        """
        pause_seconds = _MIN_PAUSE_SECONDS
        while not stopping.is_set():
            try:
                await self._listen(stopping)
            except (DatabaseUnavailable, psycopg.Error) as error:
                logger.warning("notifications_lost", error=str(error))
                await self._clock.wait(stopping, pause_seconds)
                pause_seconds = min(pause_seconds * 2, _MAX_PAUSE_SECONDS)

    async def _listen(self, stopping: asyncio.Event) -> None:
        connection = await connect_directly(self._url)
        with driver_errors_translated():
            async with connection:
                with self._deadline(connection):
                    for channel in self._subscribers:
                        await connection.execute(SQL("listen {}").format(Identifier(channel)))
                for run in self._on_reconnect:
                    run()
                await self._read_until(stopping, connection)

    async def _read_until(
        self, stopping: asyncio.Event, connection: psycopg.AsyncConnection
    ) -> None:
        reading = asyncio.ensure_future(self._read(connection))
        stop = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait({reading, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Both tasks end with this block.
            stop.cancel()
            reading.cancel()
            await asyncio.gather(reading, stop, return_exceptions=True)
        if not reading.cancelled() and (error := reading.exception()):
            raise error

    async def _read(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            async for notify in connection.notifies(timeout=_PROBE_SECONDS):
                for subscriber in self._subscribers.get(notify.channel, ()):
                    subscriber(notify.payload)
            # Only a query shows that the server is gone. One that was demoted in place answers, and
            # passes on no notification of the new one.
            with self._deadline(connection):
                await require_writable(connection)

    @contextmanager
    def _deadline(self, connection: psycopg.AsyncConnection) -> Iterator[None]:
        with ConnectionWatchdog(self._statement_seconds) as watchdog, driver_errors_translated():
            watchdog.watch(connection)
            yield


class RemoteNotifier:
    """Wakes other nodes through NOTIFY, at most once per *gap_seconds*.

    It notifies after the commit, not in it: a NOTIFY in every commit halves the rate of commits.
    """

    def __init__(
        self, database: Database, clock: Clock, channel: str, *, gap_seconds: float = 0.1
    ) -> None:
        self._database, self._channel = database, channel
        self._is_due = False
        self._loop = PeriodicLoop(
            f"notifier of {channel}", self._notify_if_due, clock, min_pause_seconds=gap_seconds
        )

    def notify(self) -> None:
        """Requests a notification; returns at once."""
        self._is_due = True
        self._loop.wake()

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Sends notifications until *stopping* is set, then the one that is still due."""
        await self._loop.run_until(stopping)
        try:
            await self._notify_if_due()
        except DatabaseUnavailable as error:
            # The other nodes also look for work by themselves, only later.
            logger.warning("notification_lost", channel=self._channel, error=str(error))

    async def _notify_if_due(self) -> None:
        if not self._is_due:
            return
        self._is_due = False
        try:
            await self._database.execute(_NOTIFY, channel=self._channel, payload="")
        except BaseException:
            self._is_due = True
            raise
