"""Every provider keeps the promises of the port: sends, events, leases, failures."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from gateway.contract.operation import Value
from gateway.contract.wire import Wire
from gateway.contract.zapi.messages.text import SendText
from gateway.database.provider_store import ConnectionQueries
from gateway.errors import (
    NotConnected,
    NotSupported,
    Refused,
    TryAgainLater,
    Unconfirmed,
)
from gateway.providers.loading import load_provider, provider_names
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    ErasedPerson,
    MessageAcknowledged,
    MessageReceived,
    Provider,
)
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.conformance import (
    INSTANCE,
    WORLDS,
    World,
    connected,
    opened,
    seen_when,
)
from tests.providers.fake_whatsapp.client import FakeWhatsApp

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=provider_names())
def provider(request: pytest.FixtureRequest) -> Provider:
    return load_provider(request.param)


@pytest.fixture(scope="module")
async def world(
    provider: Provider,
    shared_database_url: str,
    whatsapp: FakeWhatsApp,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    """The world of the provider: one that has none here fails, and is not left out."""
    folder = tmp_path_factory.mktemp("world")
    async with WORLDS[provider.name](shared_database_url, folder, whatsapp) as world:
        yield world


@pytest.fixture
def name() -> str:
    """A message id that no other test uses."""
    return f"M{next(_numbers)}"


def text(world: World, message: str) -> SendText:
    return SendText(phone=world.friend, message=message)


def test_provider_fits_the_port(provider: Provider) -> None:
    assert isinstance(provider, Provider)
    assert provider.name in provider_names()
    assert provider.supports(SendText)
    assert not provider.supports(Wire)
    assert all(field.description for field in provider.settings.model_fields.values())


async def test_unknown_operation_is_not_supported(world: World) -> None:
    async with connected(world) as listening:
        with pytest.raises(NotSupported):
            await listening.session.execute(Value())  # type: ignore[arg-type]
        with pytest.raises(NotSupported):
            await listening.send(Value(), "M")  # type: ignore[arg-type]


async def test_sent_message_arrives_and_gets_a_receipt(world: World, name: str) -> None:
    async with connected(world) as listening:
        receipt = await listening.send(text(world, name), name)
        assert receipt.provider_message_id
        delivered = await listening.next(
            MessageAcknowledged, lambda status: name in status.provider_message_ids
        )
        assert delivered.status == "delivered"
    assert (await seen_when(world, name)).count(name) == 1


async def test_repeated_send_arrives_as_often_as_promised(
    world: World, provider: Provider, name: str
) -> None:
    async with connected(world) as listening:
        for _ in range(2):
            await listening.send(text(world, name), name)
        await listening.send(text(world, f"{name} last"), f"{name} last")
    times = (await seen_when(world, f"{name} last")).count(name)
    assert times == (1 if provider.can_repeat_send else 2)


async def test_session_without_its_lease_sends_nothing(world: World, name: str) -> None:
    until = float("inf")
    async with opened(world, epoch=2, may_act_until=lambda: until) as listening:
        await listening.until(ConnectionState.CONNECTED)
        with pytest.raises(NotConnected):
            await listening.send(text(world, name), name, epoch=1)
        until = time.monotonic()
        with pytest.raises(NotConnected):
            await listening.send(text(world, name), name)
    with pytest.raises(NotConnected):
        await listening.send(text(world, name), name)
    async with asyncio.timeout(PATIENCE_SECONDS):  # closed, it ends
        async for _ in listening.session.events():
            pass

    async with connected(world, epoch=2) as listening:
        await listening.send(text(world, f"{name} last"), f"{name} last")
    assert name not in await seen_when(world, f"{name} last")


async def test_failed_send_raises_the_matching_error(world: World, name: str) -> None:
    async with connected(world, epoch=2) as listening:
        for failure in (Refused, TryAgainLater):
            await world.fail_next(failure)
            with pytest.raises(failure):
                await listening.send(text(world, name), name)
        await listening.send(text(world, f"{name} last"), f"{name} last")
        await world.fail_next(Unconfirmed)
        with pytest.raises(Unconfirmed):
            await listening.send(text(world, f"{name} lost"), f"{name} lost", seconds=4)
    assert name not in await seen_when(world, f"{name} last")


async def test_events_come_in_order_until_they_are_acknowledged(world: World, name: str) -> None:
    texts = [f"{name} {number}" for number in range(3)]
    async with connected(world, epoch=2) as listening:
        for each in texts:
            await world.write(each)
        first, delivery = await listening.delivery(MessageReceived)
        assert first.content == {"text": {"message": texts[0]}}
        assert (first.chat, first.sender, first.from_me) == (world.friend, world.friend, False)
    async with opened(world, epoch=2) as listening:
        again, repeated = await listening.delivery(MessageReceived)
        assert (again, repeated.event_id) == (first, delivery.event_id)
        for _ in range(2):
            await repeated.acknowledge()
        assert [await listening.text() for _ in range(2)] == texts[1:]
    async with connected(world, epoch=2) as listening:
        await world.write(f"{name} last")
        assert await listening.text() == f"{name} last"


async def test_lost_connection_is_reported_and_loses_nothing(world: World, name: str) -> None:
    texts = [f"{name} {number}" for number in range(5)]
    async with connected(world, epoch=2) as listening:
        await world.cut()
        await listening.until(ConnectionState.DISCONNECTED)
        with pytest.raises(NotConnected):
            await listening.send(text(world, name), name)
        with pytest.raises(NotConnected):
            await listening.session.check_health()
        for each in texts:
            await world.write(each)
        await world.mend()
        await listening.until(ConnectionState.CONNECTED)
        await listening.session.check_health()
        assert [await listening.text() for _ in texts] == texts
        await listening.send(text(world, f"{name} last"), f"{name} last")
    assert name not in await seen_when(world, f"{name} last")


class Rows:
    """What the schema of a provider holds of the instance of these tests."""

    def __init__(self, connection: AsyncConnection, provider: Provider) -> None:
        self.connection, self.provider = connection, provider

    async def naming(self, text: str) -> dict[str, int]:
        """Counts the rows in which *text* stands, by table."""
        found = {}
        for table in await self._tables():
            statement = SQL("select count(*) from {0} t where instance_id = %s and t::text ~ %s")
            place = Identifier(self.provider.name, table)
            cursor = await self.connection.execute(statement.format(place), (INSTANCE, text))
            found[table] = (await cursor.fetchall())[0][0]
        return {table: count for table, count in found.items() if count}

    async def _tables(self) -> list[str]:
        cursor = await self.connection.execute(
            """select table_name from information_schema.columns
               where table_schema = %s and column_name = 'instance_id'""",
            (self.provider.name,),
        )
        return [table for (table,) in await cursor.fetchall()]


@pytest.fixture
async def rows(shared_database_url: str, provider: Provider) -> AsyncIterator[Rows]:
    async with await AsyncConnection.connect(shared_database_url, autocommit=True) as connection:
        yield Rows(connection, provider)


async def test_erasing_a_person_leaves_no_row_that_names_them(
    world: World, provider: Provider, rows: Rows, name: str
) -> None:
    async with connected(world, epoch=2) as told:
        await told.send(text(world, name), name)
        assert name in await seen_when(world, name)
        await world.write(f"{name} waits")
        received, _unacknowledged = await told.delivery(MessageReceived)
    assert await rows.naming(world.friend)
    queries = ConnectionQueries(rows.connection, provider=provider.name)
    person = ErasedPerson([world.friend], [received.provider_message_id])

    assert await provider.erase_person(queries, INSTANCE, person)

    assert await rows.naming(world.friend) == {}
    assert await provider.erase_person(queries, INSTANCE, person) == 0
    assert await rows.naming(""), "the instance itself stays"


async def test_deleting_an_instance_leaves_no_row(
    world: World, provider: Provider, rows: Rows, name: str
) -> None:
    """Runs last in its module: the world's instance is gone after it."""
    async with connected(world, epoch=2):
        for number in range(3):
            await world.write(f"{name} {number}")
    assert await rows.naming("")
    queries = ConnectionQueries(rows.connection, provider=provider.name)

    calls = 0
    while await provider.delete_instance(queries, INSTANCE, max_rows=1):
        calls += 1

    assert calls > 1, "it deletes no more rows than it may"
    assert await rows.naming("") == {}


def test_personal_data_is_described_in_words(provider: Provider) -> None:
    assert all(kind.what and kind.until for kind in provider.personal_data)
