"""The engine library opens its store with the URL that the gateway gives its driver."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from gateway.database.library_url import library_url
from gateway.errors import DatabaseUnavailable
from gateway.providers.whatsmeow.process import Child
from gateway.whatsapp_web.session import VerbFailed
from tests.fixtures.pgbouncer import running_pgbouncer
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.service import free_port
from tests.fixtures.tcp_postgres import (
    HOST,
    PASSWORD,
    USER,
    TcpPostgres,
    in_front_with_tls,
    running_tcp_postgres,
)

_PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def plain() -> Iterator[TcpPostgres]:
    with running_tcp_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def encrypted(
    plain: TcpPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TcpPostgres]:
    with in_front_with_tls(plain, tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[Child]:
    """Runs a process with the library."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    child = await Child.start({"PATH": "/usr/bin:/bin"}, tmp_path, deadline=deadline)
    try:
        yield child
    finally:
        await child.end()


def parameters_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@asynccontextmanager
async def schema_in(url: str) -> AsyncIterator[None]:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("create schema if not exists whatsmeow")
        yield
        cursor = await connection.execute(
            "select count(*) from information_schema.tables"
            " where table_schema = 'whatsmeow' and table_name = 'whatsmeow_device'"
        )
        assert await cursor.fetchall() == [(1,)]


async def opens(child: Child, url: str) -> None:
    """The library creates its tables in the schema that the URL names."""
    async with schema_in(url):
        store = await library_url(url, schema="whatsmeow")
        assert await child.call("one", "open_store", store=store) == []


async def test_library_url_tcp_without_tls_opens_the_store(
    plain: TcpPostgres, child: Child
) -> None:
    url = plain.url(keepalives_idle=30, tcp_user_timeout=5000, application_name="mine")
    await opens(child, url)
    given = parameters_of(await library_url(url, schema="whatsmeow"))
    assert given["sslmode"] == "disable"
    assert (given["user"], given["password"]) == (USER, PASSWORD)
    assert given["application_name"] == "gateway whatsmeow"
    assert not {"keepalives_idle", "tcp_user_timeout"} & given.keys()

    several = plain.url(
        host=f"{HOST},{HOST}",
        port=f"{free_port()},{plain.port}",
        target_session_attrs="read-write",
    )
    await opens(child, several)


async def test_library_url_tls_has_what_libpq_agreed_on(
    encrypted: TcpPostgres, child: Child
) -> None:
    authority = {"sslrootcert": str(encrypted.certificate)}
    for asked, given, more in (
        ("prefer", "require", {}),
        ("verify-ca", "verify-ca", authority),
        ("verify-full", "verify-full", authority),
    ):
        url = encrypted.url(sslmode=asked, **more)
        await opens(child, url)
        assert parameters_of(await library_url(url, schema="whatsmeow"))["sslmode"] == given


async def test_library_url_socket_opens_the_store(database_url: str, child: Child) -> None:
    await opens(child, database_url)
    given = parameters_of(await library_url(database_url, schema="whatsmeow"))
    assert given["sslmode"] == "disable"


async def test_library_url_pooler_refuses_with_a_reason(
    postgres_server: PostgresServer, database_url: str, child: Child
) -> None:
    with running_pgbouncer(postgres_server) as pooler:
        name = parameters_of(await library_url(database_url, schema="x"))["dbname"]
        store = await library_url(make_conninfo(pooler, dbname=name), schema="whatsmeow")
        with pytest.raises(VerbFailed, match="search_path") as refused:
            await child.call("one", "open_store", store=store)
        assert refused.value.failure == "KeyStoreClosed"


async def test_library_url_uses_password_file_and_environment(
    plain: TcpPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passwords = tmp_path / "passwords"
    passwords.write_text(f"*:*:*:*:{escaped}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGUSER", USER)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    url = make_conninfo(host=HOST, port=plain.port, dbname="gateway")
    given = parameters_of(await library_url(url, schema="whatsmeow"))
    assert (given["user"], given["password"]) == (USER, PASSWORD)
    assert "passfile" not in given


async def test_library_url_refusal_shows_no_password(plain: TcpPostgres) -> None:
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as refused:
        await library_url(plain.url(password="wrong secret"), schema="whatsmeow")
    assert "wrong secret" not in str(refused.value)
