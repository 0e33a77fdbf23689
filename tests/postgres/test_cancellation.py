"""A task that is canceled ends, whatever the driver makes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from psycopg.sql import SQL
from psycopg_pool import PoolTimeout

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Count, Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import DatabaseUnavailable
from gateway.providers.baileys.store import BaileysStore
from gateway.providers.whatsmeow.store import Store

_COUNT = SQL("select 1 as count")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, min_size=1, max_size=1)
    await database.open()
    yield database
    await database.pool.close()


async def test_cancellation_that_the_pool_swallows_with_an_error_is_raised(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def swallowing(**_options: object) -> AsyncIterator[None]:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise PoolTimeout from None
        yield

    waiting = asyncio.Event()
    monkeypatch.setattr(database.pool, "connection", swallowing)

    await _canceled_once(database, waiting)


async def test_cancellation_that_the_pool_swallows_for_a_connection_is_raised(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = database.pool.connection

    @asynccontextmanager
    async def swallowing(**_options: object) -> AsyncIterator[object]:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            async with real() as connection:
                yield connection

    waiting = asyncio.Event()
    monkeypatch.setattr(database.pool, "connection", swallowing)

    await _canceled_once(database, waiting)


async def _canceled_once(database: Database, waiting: asyncio.Event) -> None:
    async def repeat() -> None:
        while True:
            try:
                await database.fetch_one(Count, _COUNT)
            except DatabaseUnavailable:
                continue

    task = asyncio.create_task(repeat())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("provider", ["baileys", "whatsmeow"])
async def test_store_with_closed_connections_repeats_nothing(
    database_url: str, provider: str
) -> None:
    database, clock = Database(database_url, min_size=1, max_size=1), Clock()
    await database.open()
    await database.pool.close()
    notifications = Notifications(database_url, clock)
    store = PostgresProviderStore(database, notifications, provider=provider)
    of_provider = BaileysStore if provider == "baileys" else Store

    with pytest.raises(DatabaseUnavailable) as raised:
        await of_provider(store, clock).device("instance")
    assert raised.value.closed
