"""Rows of the provider expire in Postgres, and its engine stops without a database."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import DatabaseUnavailable
from gateway.providers.whatsmeow.engine import WhatsmeowEngine
from gateway.providers.whatsmeow.key_files import delete_orphaned_key_files
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store
from gateway.sessions.library_pool import LibraryPool
from gateway.sessions.provider import ProviderContext, ProviderStore
from tests.fixtures.patience import PATIENCE_SECONDS


async def test_sends_expire_after_a_week_and_polls_after_90_days(
    database_url: str, operator: AsyncConnection
) -> None:
    clock = Clock()
    await operator.execute(
        """insert into whatsmeow.sends (instance_id, provider_message_id, message_id, at)
           select 'one', n || ' days ago', 'ours', now() - make_interval(days => n)
           from generate_series(1, 2500) n"""
    )
    await operator.execute(
        """insert into whatsmeow.polls (instance_id, provider_message_id, options, at)
           values ('one', 'young', '{}', now() - interval '89 days'),
                  ('one', 'old', '{}', now() - interval '91 days')"""
    )
    database = Database(database_url, min_size=1, max_size=1)
    await database.open()
    try:
        rows = PostgresProviderStore(
            database, Notifications(database_url, clock), provider="whatsmeow"
        )
        await Store(rows, clock).delete_expired()
    finally:
        await database.pool.close()

    cursor = await operator.execute("select count(*), max(at) < now() from whatsmeow.sends")
    assert await cursor.fetchall() == [(6, True)]
    cursor = await operator.execute("select provider_message_id from whatsmeow.polls")
    assert await cursor.fetchall() == [("young",)]


class AwayStore:
    """A database that does not answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def fetch(self, _name: str, **_parameters: object) -> list[dict[str, Any]]:
        self.asked.set()
        raise DatabaseUnavailable("it is away")


class AwayPool:
    """Connections for the library, to a database that does not answer."""

    async def run_until(self, stopping: asyncio.Event) -> None:
        await stopping.wait()


async def test_engine_without_database_stops_at_once(tmp_path: Path) -> None:
    away, stopping = AwayStore(), asyncio.Event()
    provider_context = ProviderContext(
        {},
        tmp_path,
        Clock(),
        cast("ProviderStore", away),
        library_pool=lambda _options: cast("LibraryPool", AwayPool()),
    )
    running = asyncio.create_task(
        WhatsmeowEngine(provider_context, WhatsmeowSettings()).run_until(stopping)
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        await away.asked.wait()
        stopping.set()
        await running


async def test_key_files_of_instances_without_a_device_are_deleted(
    database_url: str, operator: AsyncConnection, tmp_path: Path
) -> None:
    await operator.execute(
        """insert into whatsmeow.devices (instance_id, device, kept_in)
           values ('linked', 'd', 'file')"""
    )
    now = datetime.now(UTC)
    old = (now - timedelta(days=2)).timestamp()
    for name in ("linked.db", "gone.db", "gone.db-wal", "young.db"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (old, old if name != "young.db" else now.timestamp()))
    database = Database(database_url, min_size=1, max_size=1)
    await database.open()
    try:
        notifications = Notifications(database_url, Clock())
        rows = PostgresProviderStore(database, notifications, provider="whatsmeow")
        owners = await Store(rows, Clock()).key_file_owners()
    finally:
        await database.pool.close()

    assert delete_orphaned_key_files(tmp_path, owners, now) == ["gone"]
    assert names_in(tmp_path) == {"linked.db", "young.db"}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
