"""One LISTEN connection that reconnects and tells whoever subscribed; a bell for other nodes."""

import asyncio
from collections.abc import Callable

import psycopg
from psycopg.sql import SQL, Identifier

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.wakeups import waking

_NOTIFY = query("notifications", "notify")

Listener = Callable[[str], None]
_MAX_PAUSE_SECONDS = 5.0
_PROBE_SECONDS = 30.0


class Notifications:
    """Part of the service; `url` must not go through a transaction pooler.

    A notification can be lost while the connection is down: `on_reconnect` callbacks run each
    time it comes (back) up, so that whoever relies on it can look for what was missed.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock = url, clock
        self._listeners: dict[str, list[Listener]] = {}
        self._on_reconnect: list[Callable[[], None]] = []

    def subscribe(
        self, channel: str, listener: Listener, *, on_reconnect: Callable[[], None] | None = None
    ) -> None:
        """Calls *listener* with each payload; to be called before the part runs."""
        self._listeners.setdefault(channel, []).append(listener)
        if on_reconnect:
            self._on_reconnect.append(on_reconnect)

    async def run_until(self, stopping: asyncio.Event) -> None:
        pause = 0.1
        while not stopping.is_set():
            try:
                await self._listen(stopping)
                pause = 0.1
            except psycopg.Error as error:
                logger.warning("notifications_lost", error=type(error).__name__)
                await self._clock.wait(stopping, pause)
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    async def _listen(self, stopping: asyncio.Event) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=5, application_name="gateway-listen"
        ) as connection:
            for channel in self._listeners:
                await connection.execute(SQL("listen {}").format(Identifier(channel)))
            for run in self._on_reconnect:
                run()
            reading = asyncio.ensure_future(self._read(connection))
            stop = asyncio.ensure_future(stopping.wait())
            try:
                await asyncio.wait({reading, stop}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stop.cancel()
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            if reading.done() and not reading.cancelled() and (error := reading.exception()):
                raise error

    async def _read(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            async for notify in connection.notifies(timeout=_PROBE_SECONDS):
                for listener in self._listeners.get(notify.channel, ()):
                    listener(notify.payload)
            # A dead peer is noticed by asking it something.
            await connection.execute("select 1")


class RemoteNotifier:
    """Part of the service: rings on other nodes, after the fact and seldom.

    A notification in every commit would halve the rate of commits.
    """

    def __init__(
        self, database: Database, clock: Clock, channel: str, *, gap_seconds: float = 0.1
    ) -> None:
        self._database, self._clock = database, clock
        self._channel, self._gap_seconds = channel, gap_seconds
        self._wakeup = asyncio.Event()

    def notify(self) -> None:
        self._wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                await self._wakeup.wait()
                self._wakeup.clear()
                try:
                    await self._database.execute(_NOTIFY, channel=self._channel, payload="")
                except DatabaseUnavailable as error:
                    logger.warning("bell_not_rung", channel=self._channel, error=str(error))
                await self._clock.wait(stopping, self._gap_seconds)
