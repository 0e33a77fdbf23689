"""Base URLs of instances: what replaces what, how often a node writes, what another node finds."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable
from gateway.instances.base_urls import (
    CHANGE_SECONDS,
    NARROWING_SECONDS,
    REFRESH_SECONDS,
    BaseUrl,
    BaseUrls,
)
from tests.fixtures.queue import add_instances

INSTANCE, OTHER = "line-001", "line-002"
FALLBACK = "http://127.0.0.1:8080"
PUBLIC, MOVED = "https://wa.example.com", "https://new.example.com"
PRIVATE, MACHINE = "http://gateway:8080", "http://localhost:8080"


def parsed(url: str) -> BaseUrl:
    scheme, _, host = url.partition("://")
    found = BaseUrl.parse(scheme, host)
    assert found is not None
    return found


class ManualClock(Clock):
    """Time that the test moves."""

    seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


class CountingDatabase(Database):
    """Counts the statements, and refuses them while *is_away*."""

    statements = 0
    is_away = False

    async def fetch_one(self, row: type[Any], statement: SQL, **parameters: object) -> Any:
        self.statements += 1
        if self.is_away:
            raise DatabaseUnavailable("away")
        return await super().fetch_one(row, statement, **parameters)


class Node:
    """One node's base URLs; a day passes for it and for the database alike."""

    def __init__(self, database: CountingDatabase, operator: AsyncConnection) -> None:
        self.database, self.operator, self.clock = database, operator, ManualClock()
        self.base_urls = BaseUrls(database, self.clock, public_url=None, fallback=FALLBACK)

    async def note(self, url: str, instance_id: str = INSTANCE) -> None:
        await self.base_urls.note(instance_id, parsed(url))

    async def find(self) -> str:
        return await self.base_urls.find(INSTANCE)

    async def pass_time(self, seconds: float) -> None:
        self.clock.seconds += seconds
        await self.operator.execute(
            "update instance_base_urls set noted_at = noted_at - make_interval(secs => %s)",
            (seconds,),
        )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[CountingDatabase]:
    database = CountingDatabase(database_url, min_size=1, max_size=2)
    await database.open()
    yield database
    await database.pool.close()


@pytest.fixture
async def node(database: CountingDatabase, operator: AsyncConnection) -> Node:
    await add_instances(operator, 2)
    return Node(database, operator)


async def test_find_before_any_request_gives_fallback(node: Node) -> None:
    assert await node.find() == FALLBACK


async def test_find_on_another_node_gives_what_one_node_noted(
    node: Node, database: CountingDatabase
) -> None:
    await node.note(PUBLIC)
    other = Node(database, node.operator)

    assert await other.find() == PUBLIC
    assert await other.base_urls.find(OTHER) == FALLBACK


async def test_note_same_url_writes_once_a_day(node: Node) -> None:
    for _ in range(50):
        await node.note(PUBLIC)
    assert node.database.statements == 1

    await node.pass_time(REFRESH_SECONDS + 1)
    for _ in range(50):
        await node.note(PUBLIC)
    assert node.database.statements == 2


async def test_note_wider_reach_replaces_at_once_and_narrower_does_not(node: Node) -> None:
    seen = []
    for url in (MACHINE, PRIVATE, PUBLIC, PRIVATE, MACHINE):
        await node.note(url)
        seen.append(await node.find())

    assert seen == [MACHINE, PRIVATE, PUBLIC, PUBLIC, PUBLIC]


async def test_note_narrower_on_another_node_does_not_replace(
    node: Node, database: CountingDatabase
) -> None:
    await node.note(PUBLIC)
    await Node(database, node.operator).note(MACHINE)

    assert await node.find() == PUBLIC


async def test_note_narrower_replaces_an_address_out_of_use(node: Node) -> None:
    await node.note(PUBLIC)
    await node.pass_time(NARROWING_SECONDS + 1)
    await node.note(PRIVATE)

    assert await node.find() == PRIVATE


async def test_note_other_url_of_same_reach_waits_then_replaces(node: Node) -> None:
    await node.note(PUBLIC)
    await node.note(MOVED)
    assert await node.find() == PUBLIC

    await node.pass_time(CHANGE_SECONDS + 1)
    await node.note(MOVED)
    assert await node.find() == MOVED


async def test_note_two_urls_in_turn_writes_rarely(node: Node) -> None:
    for _ in range(50):
        await node.note(PUBLIC)
        await node.note(MOVED)
        await node.note(MACHINE)

    assert node.database.statements == 1


async def test_note_refused_change_is_tried_again(node: Node, database: CountingDatabase) -> None:
    await node.note(PUBLIC)
    other = Node(database, node.operator)
    await other.note(MOVED)  # too early for the database
    await other.pass_time(CHANGE_SECONDS + 1)
    await other.note(MOVED)

    assert await node.find() == MOVED


async def test_note_without_database_fails_no_request_and_is_repeated(node: Node) -> None:
    node.database.is_away = True
    await node.note(PUBLIC)
    node.database.is_away = False
    await node.note(PUBLIC)

    assert await node.find() == PUBLIC


async def test_note_of_deleted_instance_stores_nothing(node: Node) -> None:
    await node.note(PUBLIC, "deleted")
    cursor = await node.operator.execute("select count(*) from instance_base_urls")

    assert await cursor.fetchone() == (0,)


async def test_public_url_is_used_for_all_instances(database: CountingDatabase) -> None:
    base_urls = BaseUrls(database, Clock(), public_url=PUBLIC, fallback=FALLBACK)
    await base_urls.note(INSTANCE, parsed(MOVED))

    assert await base_urls.find(INSTANCE) == PUBLIC
    assert database.statements == 0
