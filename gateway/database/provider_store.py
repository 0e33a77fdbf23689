"""The store of a provider: its own named queries and notifications, and no other access."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from gateway.database.notifications import Notifications
from gateway.database.payload_seal import Unopened
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.observability.logging import logger

_NOTIFY = query("notifications", "notify")
_EVERYTHING = ""


class ConnectionQueries:
    """The queries of the file named after a provider, on one connection of the caller's."""

    def __init__(self, connection: AsyncConnection, *, provider: str) -> None:
        self._connection, self._file = connection, provider

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query(self._file, name), parameters)
            return await cursor.fetchall() if cursor.description else []


class PostgresProviderStore:
    """Runs the queries in `sql/queries/<provider>.sql`, if there are any, and passes signals.

    Create it before *notifications* runs. Every method may raise DatabaseUnavailable.
    """

    def __init__(self, database: Database, notifications: Notifications, *, provider: str) -> None:
        self._database, self._provider = database, provider
        self._channel = f"provider:{provider}"
        self._subscribers: set[asyncio.Queue[str]] = set()
        notifications.subscribe(
            self._channel, self._on_signal, on_reconnect=lambda: self._on_signal(_EVERYTHING)
        )

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """Runs a query; leaves out rows whose content no key opens, until the key is back."""
        rows = await self._database.fetch_dicts(query(self._provider, name), **parameters)
        opened = [row for row in rows if not any(isinstance(v, Unopened) for v in row.values())]
        if len(opened) < len(rows):
            logger.error(
                "payload_not_opened",
                provider=self._provider,
                statement=name,
                count=len(rows) - len(opened),
            )
        return opened

    @property
    def seal_prefix(self) -> str | None:
        return self._database.seal_prefix

    async def signal(self, instance_id: str) -> None:
        """Wakes the engine that runs this instance, on every node."""
        await self._database.execute(_NOTIFY, channel=self._channel, payload=instance_id)

    @asynccontextmanager
    async def signals(self) -> AsyncIterator[AsyncIterator[str]]:
        """Yields the ids of signalled instances, and "" where signals may have been lost.

        After "" the caller must check every instance.
        """
        subscriber: asyncio.Queue[str] = asyncio.Queue()
        self._subscribers.add(subscriber)
        try:
            yield _ids_from(subscriber)
        finally:
            self._subscribers.discard(subscriber)

    def _on_signal(self, instance_id: str) -> None:
        for subscriber in self._subscribers:
            subscriber.put_nowait(instance_id)


async def _ids_from(subscriber: asyncio.Queue[str]) -> AsyncIterator[str]:
    while True:
        yield await subscriber.get()
