"""The fake WhatsApp, and one database for all tests of a module."""

import os
from collections.abc import Iterator

import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.fixtures.postgres import PostgresServer, new_database
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake


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
