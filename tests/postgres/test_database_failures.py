"""An error of the database says which one it is, as which user, and why it failed."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from gateway.database.conninfo import check_url
from gateway.database.direct import connect_directly
from gateway.database.migrations import migrate
from gateway.database.pool import Database
from gateway.errors import Conflict, DatabaseUnavailable, InvalidSettings, StartRefused
from gateway.instances.creation import NewAccount, Registry
from gateway.instances.tokens import TokenVault
from gateway.runtime.provider_selection import secret_settings_of
from tests.fixtures.service import free_port

PASSWORD = "a-password-to-hide"


async def failure(url: str) -> str:
    check_url("DATABASE_URL", url)
    with pytest.raises(DatabaseUnavailable) as caught:
        await connect_directly(url)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


@contextmanager
def server_without_tls() -> Iterator[int]:
    """Answers every request for TLS as a Postgres without TLS does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(8)
                connection.sendall(b"N")
                connection.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


async def test_failure_unknown_host_names_host_database_and_user() -> None:
    said = await failure(f"postgresql://ana:{PASSWORD}@nowhere.invalid/wa")

    assert said.startswith(
        "Postgres at nowhere.invalid:5432 cannot be used (database wa, user ana): "
        "failed to resolve host 'nowhere.invalid'"
    )


async def test_failure_closed_port_names_the_port() -> None:
    port = free_port()

    assert await failure(f"postgresql://ana:{PASSWORD}@127.0.0.1:{port}/wa") == (
        f"Postgres at 127.0.0.1:{port} cannot be used (database wa, user ana): Connection refused"
    )


async def test_failure_refused_tls_says_so() -> None:
    with server_without_tls() as port:
        said = await failure(f"postgresql://ana:{PASSWORD}@127.0.0.1:{port}/wa?sslmode=require")

    assert said.endswith("server does not support SSL, but SSL was required")


async def test_failure_missing_database_quotes_postgres(postgres_server_url: str) -> None:
    said = await failure(make_conninfo(postgres_server_url, dbname="missing"))

    assert said.endswith('database "missing" does not exist')


@pytest.mark.parametrize(
    "user_info",
    ["u:p@ss", "u:pass/word", "gw:p@ss/word#x", "gw:12#ss", "gw:1/ss", "u:p?ss"],
)
def test_url_with_unescaped_password_is_refused_unquoted(user_info: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        check_url("DATABASE_URL", f"postgresql://{user_info}@127.0.0.1:5432/gateway")

    assert str(caught.value) == (
        "DATABASE_URL: its parts are ambiguous: in the user name and the password "
        "@ : / # and ? must be percent-encoded, as %40 %3A %2F %23 and %3F"
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40%2Fs%23@h1:1,h2:2/x?application_name=a@b",
        "postgres://[::1]:5432/x",
        "postgresql:///x?host=/run&user=a@b",
        "host=/run password='p@s/s#'",
    ],
)
def test_url_with_escaped_password_is_accepted(url: str) -> None:
    check_url("DATABASE_URL", url)


async def test_migration_without_the_right_to_create_names_the_cure(
    empty_database_url: str,
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("create role reader login")
        try:
            with pytest.raises(StartRefused, match=r"permission denied .*make this user the owner"):
                await migrate(make_conninfo(empty_database_url, user="reader"))
        finally:
            connection.execute("drop role reader")


async def test_accounts_created_at_once_with_one_name_leave_one(database_url: str) -> None:
    database = Database(database_url)
    await database.open()
    registry = Registry(
        database,
        TokenVault(("s" * 32,), os.urandom),
        os.urandom,
        secret_settings=secret_settings_of,
    )
    try:
        made = await asyncio.gather(
            *(
                registry.add_account(name, client_token_required=True, unique_name=True)
                for name in ("Shop", "SHOP", "shop")
            ),
            return_exceptions=True,
        )
    finally:
        await database.pool.close()

    assert sum(isinstance(each, NewAccount) for each in made) == 1
    assert sum(isinstance(each, Conflict) for each in made) == 2
