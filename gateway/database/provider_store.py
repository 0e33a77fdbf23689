"""What a provider keeps: its own named queries and a bell, without a view of the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.queries import queries_in, query

_NOTIFY = query("notifications", "notify")
_EVERYTHING = ""


class PostgresProviderStore:
    """The store of one provider: the room of queries that carries its name.

    To be made before *notifications* runs. Every method may raise DatabaseUnavailable.
    """

    def __init__(self, database: Database, notifications: Notifications, *, room: str) -> None:
        queries_in(room)  # a room that is missing is noticed at start
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
