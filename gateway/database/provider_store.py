"""What a provider sees of the database: its own named queries, and signals to its engines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.queries import query

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
    """The store of one provider: the queries of the file named after it, if there is one.

    It subscribes to *notifications*, so create it before they run. Every method may raise
    DatabaseUnavailable.
    """

    def __init__(self, database: Database, notifications: Notifications, *, room: str) -> None:
        self._database, self._room = database, room
        self._channel = f"provider:{room}"
        self._ears: set[asyncio.Queue[str]] = set()
        notifications.subscribe(
            self._channel, self._hear, on_reconnect=lambda: self._hear(_EVERYTHING)
        )

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        return await self._database.fetch_dicts(query(self._room, name), **parameters)

    async def signal(self, instance_id: str) -> None:
        """Wakes the engine that holds this instance, on whichever node it runs."""
        await self._database.execute(_NOTIFY, channel=self._channel, payload=instance_id)

    @asynccontextmanager
    async def signals(self) -> AsyncIterator[AsyncIterator[str]]:
        """Ids that were signalled; "" where some may have been missed: look at everything."""
        ear: asyncio.Queue[str] = asyncio.Queue()
        self._ears.add(ear)
        try:
            yield _heard(ear)
        finally:
            self._ears.discard(ear)

    def _hear(self, instance_id: str) -> None:
        for ear in self._ears:
            ear.put_nowait(instance_id)


async def _heard(ear: asyncio.Queue[str]) -> AsyncIterator[str]:
    while True:
        yield await ear.get()
