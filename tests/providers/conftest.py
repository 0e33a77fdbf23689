"""The fake WhatsApp, one database for all tests of a module, and nodes that run a provider."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.fixtures.postgres import (
    PostgresServer,
    folder_in_memory,
    new_database,
    public_folder,
)
from tests.providers import baileys_node, sandbox_node, whatsmeow_node
from tests.providers.baileys_client.client import (
    BaileysClient,
    BaileysProcess,
    running_baileys,
    why_not,
)
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

Town = whatsmeow_node.Node | baileys_node.Node


@pytest.fixture(scope="session")
def whatsapp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeWhatsApp]:
    with running_fake(tmp_path_factory.mktemp("whatsapp")) as fake:
        yield fake


@pytest.fixture(scope="module")
def shared_database_url(
    postgres_server: PostgresServer,
    migrated_postgres: NoopExecutor,
    request: pytest.FixtureRequest,
) -> Iterator[str]:
    """The URL of a migrated database of this module's own."""
    name = f"gateway_{request.path.stem}_{os.getpid()}"
    with new_database(postgres_server, name, migrated_postgres.template_dbname) as url:
        yield url


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[sandbox_node.Node]:
    """A node that runs the sandbox and delivers its events."""
    async with sandbox_node.node_at(database_url) as node, node.delivering():
        yield node


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a module for each provider that its PROVIDERS names; without it, for whatsmeow."""
    if "town" in metafunc.fixturenames:
        providers = getattr(metafunc.module, "PROVIDERS", ("whatsmeow",))
        metafunc.parametrize("town", providers, indirect=True, scope="module")


@pytest.fixture(scope="module")
async def town(
    request: pytest.FixtureRequest, shared_database_url: str, whatsapp: FakeWhatsApp
) -> AsyncIterator[Town]:
    """One node of a provider for all tests of a module that do not disturb each other."""
    if request.param == "baileys":
        async with baileys_node.node_at(shared_database_url, whatsapp) as node:
            yield node
        return
    with public_folder(folder_in_memory()) as folder:
        async with whatsmeow_node.node_at(
            shared_database_url, folder, whatsapp, keys="file"
        ) as town:
            yield town


@pytest.fixture(scope="module")
async def linked_pair(town: Town) -> whatsmeow_node.Pair:
    """Two phones that stay linked, because linking takes the time."""
    ana, bob = await asyncio.gather(town.linked("ana"), town.linked("bob"))
    return ana, bob


@pytest.fixture(scope="module")
async def baileys(whatsapp: FakeWhatsApp) -> AsyncIterator[BaileysProcess]:
    """A process of Baileys for all tests of a module."""
    if reason := why_not():
        pytest.skip(f"Baileys does not run: {reason}")
    async with running_baileys(whatsapp) as process:
        yield process


@pytest.fixture(scope="module")
async def cleo(baileys: BaileysProcess) -> BaileysClient:
    """A person whose linked device is a client of Baileys."""
    return await baileys.linked("cleo", whatsmeow_node.new_phone())


@pytest.fixture(scope="module")
async def dora(baileys: BaileysProcess) -> BaileysClient:
    """Another such person."""
    return await baileys.linked("dora", whatsmeow_node.new_phone())


@pytest.fixture
async def pair(linked_pair: whatsmeow_node.Pair) -> whatsmeow_node.Pair:
    """Ana and Bob, connected, after every message of an earlier test has arrived."""
    await whatsmeow_node.exchange_fences(*linked_pair)
    return linked_pair
