"""The store of a provider: its own named queries and notifications, and no other access."""

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
    """Runs the queries in `sql/queries/<provider>.sql`, and passes signals between nodes.

    Create it before *notifications* runs. Every method may raise DatabaseUnavailable.
    """

    def __init__(self, database: Database, notifications: Notifications, *, provider: str) -> None:
        queries_in(provider)  # fails at start where the file is missing
        self._database, self._provider = database, provider
        self._channel = f"provider:{provider}"
        self._subscribers: set[asyncio.Queue[str]] = set()
        notifications.subscribe(
            self._channel, self._on_signal, on_reconnect=lambda: self._on_signal(_EVERYTHING)
        )

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        return await self._database.fetch_dicts(query(self._provider, name), **parameters)

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
