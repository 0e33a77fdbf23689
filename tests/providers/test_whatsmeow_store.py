"""What the provider keeps, on a real Postgres."""

import asyncio
from pathlib import Path
from typing import Any, cast

from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import DatabaseUnavailable
from gateway.providers.whatsmeow.engine import WhatsmeowEngine
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store
from gateway.sessions.provider import ProviderContext, ProviderStore
from tests.fixtures.patience import PATIENCE_SECONDS


async def test_ids_are_kept_for_a_week_and_the_options_of_polls_for_three_months(
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
        room = PostgresProviderStore(
            database, Notifications(database_url, clock), provider="whatsmeow"
        )
        await Store(room, clock).forget_what_is_old()
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


async def test_an_engine_that_waits_for_the_database_ends_when_it_is_told(tmp_path: Path) -> None:
    away, stopping = AwayStore(), asyncio.Event()
    provider_context = ProviderContext({}, tmp_path, Clock(), cast("ProviderStore", away))
    running = asyncio.create_task(
        WhatsmeowEngine(provider_context, WhatsmeowSettings()).run_until(stopping)
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        await away.asked.wait()
        stopping.set()
        await running
