"""Clients of an engine's library share a few connections, and each writes only under its lease.

The client is libpq, which sends what the library's driver sends as long as it prepares nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg import AsyncConnection, DatabaseError, OperationalError, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway.clock import Clock
from gateway.database.library_pool.pool import PostgresLibraryPool
from gateway.database.pool import Database
from gateway.providers.whatsmeow.process import Child
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.pgbouncer import running_pgbouncer
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.queue import add_instance_rows, blocked_sessions, rows
from tests.fixtures.service import free_port, until
from tests.fixtures.tcp_postgres import (
    HOST,
    TcpPostgres,
    in_front_with_tls,
    running_tcp_postgres,
)

CLIENTS, CONNECTIONS = 30, 2
_APPLICATION = "library pool of a test"


@asynccontextmanager
async def pool_of(
    url: str,
    folder: Path,
    *,
    prepare: bool = True,
    connections: int = CONNECTIONS,
    idle_seconds: float = 10.0,
) -> AsyncIterator[PostgresLibraryPool]:
    database = Database(
        url, min_size=1, max_size=connections, prepare=prepare, application_name=_APPLICATION
    )
    pool = PostgresLibraryPool(
        database,
        Clock(),
        schema="whatsmeow",
        folder=folder,
        prepare=prepare,
        idle_seconds=idle_seconds,
    )
    ended = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pool.run_until(ended))
        try:
            yield pool
        finally:
            ended.set()


@pytest.fixture
async def instance_id(operator: AsyncConnection) -> str:
    """An instance whose lease has epoch 1, and a table of the library with its keys."""
    await operator.execute("create table whatsmeow.keys (id text primary key, value bytea)")
    (instance_id,) = await add_instance_rows(operator, 1)
    return instance_id


@pytest.fixture
async def pool(database_url: str, tmp_path: Path) -> AsyncIterator[PostgresLibraryPool]:
    async with pool_of(database_url, tmp_path) as pool:
        yield pool


def libpq_url(url: str) -> str:
    given = dict(parse_qsl(urlsplit(url).query))
    assert given.pop("binary_parameters") == "yes"
    return make_conninfo("", **given)


async def client_at(url: str) -> AsyncConnection:
    return await AsyncConnection.connect(
        libpq_url(url), autocommit=True, prepare_threshold=None, connect_timeout=10
    )


async def put(client: AsyncConnection, key: str, value: bytes) -> None:
    await client.execute(
        """insert into keys (id, value) values (%s, %s)
           on conflict (id) do update set value = excluded.value""",
        [key, value],
    )


async def stored(operator: AsyncConnection) -> dict[str, bytes]:
    return dict(await rows(operator, "select id, value from whatsmeow.keys"))


async def connections(operator: AsyncConnection) -> int:
    (count,) = await rows(
        operator,
        "select count(*) from pg_stat_activity where application_name = %s",
        _APPLICATION,
    )
    return int(count)


async def test_library_pool_many_clients_share_two_connections(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str
) -> None:
    url = await pool.admit(instance_id, 1)
    clients = await asyncio.gather(*(client_at(url) for _ in range(CLIENTS)))

    async def work(number: int, client: AsyncConnection) -> None:
        for turn in range(5):
            await put(client, f"alone {number}", b"%d" % turn)
        async with client.transaction():
            await put(client, f"one {number}", b"\0\xff")
            await put(client, f"other {number}", b"")
        cursor = await client.execute(
            "select value, null from keys where id = %s", [f"one {number}"]
        )
        assert await cursor.fetchall() == [(b"\0\xff", None)]

    await asyncio.gather(*(work(*each) for each in enumerate(clients)))
    assert await connections(operator) <= CONNECTIONS
    assert len(await stored(operator)) == 3 * CLIENTS
    for client in clients:
        await client.close()


async def test_library_pool_client_leaves_a_connection_to_others(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str
) -> None:
    url = await pool.admit(instance_id, 1)
    busy = await asyncio.gather(*(client_at(url) for _ in range(2 * CONNECTIONS)))
    await operator.execute("select pg_advisory_lock(15)")
    waiting = [
        asyncio.create_task(client.execute("select pg_advisory_xact_lock(15)")) for client in busy
    ]
    await until(lambda: blocked_sessions(operator), bool)
    async with await client_at(await pool.admit_visitor()) as other:
        assert await (await other.execute("select 7")).fetchone() == (7,)
    assert not any(task.done() for task in waiting)
    await operator.execute("select pg_advisory_unlock(15)")
    await asyncio.gather(*waiting)
    for client in busy:
        await client.close()


async def test_library_pool_write_after_another_epoch_is_refused(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str
) -> None:
    async with await client_at(await pool.admit(instance_id, 1)) as client:
        await put(client, "key", b"of the owner")
        await operator.execute("update instance_leases set epoch = 2")
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="another epoch than 1"):
            await put(client, "key", b"too late")
        with pytest.raises(errors.ObjectNotInPrerequisiteState):
            async with client.transaction():
                await put(client, "key", b"too late")
        with pytest.raises(errors.ObjectNotInPrerequisiteState):  # several statements in one go
            await client.execute("delete from keys; select 1")
        cursor = await client.execute("select value from keys")
        assert await cursor.fetchall() == [(b"of the owner",)]
    assert await stored(operator) == {"key": b"of the owner"}


async def test_library_pool_takeover_waits_for_the_transaction(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str, database_url: str
) -> None:
    async with (
        await client_at(await pool.admit(instance_id, 1)) as client,
        await AsyncConnection.connect(database_url, autocommit=True) as taker,
    ):
        async with client.transaction():
            await put(client, "key", b"of the owner")
            taking = asyncio.create_task(taker.execute("update instance_leases set epoch = 2"))
            await until(lambda: blocked_sessions(operator), bool)
            await put(client, "further", b"of the owner")
        await taking
        assert len(await stored(operator)) == 2


async def test_library_pool_next_client_ends_the_one_before(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str
) -> None:
    earlier = await client_at(await pool.admit(instance_id, 1))
    await earlier.execute("begin")
    await put(earlier, "key", b"never committed")
    async with await client_at(await pool.admit(instance_id, 1)) as client:
        with pytest.raises(OperationalError):
            await earlier.execute("commit")
        await put(client, "other", b"committed")
        assert await stored(operator) == {"other": b"committed"}
    await pool.dismiss(instance_id)
    with pytest.raises(OperationalError, match="closed"):
        await client_at(await _url_of_a_dismissed(pool, instance_id))
    await earlier.close()


async def _url_of_a_dismissed(pool: PostgresLibraryPool, instance_id: str) -> str:
    url = await pool.admit(instance_id, 1)
    await pool.dismiss(instance_id)
    return url


async def test_library_pool_transaction_of_a_client_that_goes_is_rolled_back(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str
) -> None:
    url = await pool.admit(instance_id, 1)
    for _ in range(2 * CONNECTIONS):
        client = await client_at(url)
        await client.execute("begin")
        await put(client, "key", b"never committed")
        client.pgconn.finish()
    async with await client_at(url) as client:
        await put(client, "other", b"committed")
    assert await stored(operator) == {"other": b"committed"}


async def cut(operator: AsyncConnection) -> None:
    await operator.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s",
        [_APPLICATION],
    )


async def test_library_pool_statement_outlives_its_connection(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str
) -> None:
    async with await client_at(await pool.admit(instance_id, 1)) as client:
        for turn in range(5):
            await put(client, "key", b"%d" % turn)
            await cut(operator)
            cursor = await client.execute("select value from keys where id = 'key'")
            assert await cursor.fetchall() == [(b"%d" % turn,)]
            await cut(operator)


async def test_library_pool_lost_transaction_fails_as_a_whole(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str
) -> None:
    async with await client_at(await pool.admit(instance_id, 1)) as client:
        await client.execute("begin")
        await put(client, "key", b"lost")
        await cut(operator)
        with pytest.raises(DatabaseError):
            await put(client, "further", b"lost")
        with pytest.raises(errors.InFailedSqlTransaction):
            await put(client, "further", b"lost")
        await client.execute("rollback")
        await put(client, "other", b"committed")
    assert await stored(operator) == {"other": b"committed"}


async def test_library_pool_error_leaves_the_connection_usable(
    pool: PostgresLibraryPool, operator: AsyncConnection, instance_id: str
) -> None:
    async with await client_at(await pool.admit(instance_id, 1)) as client:
        with pytest.raises(errors.UndefinedTable):
            await client.execute("select * from nothing where id = %s", ["x"])
        for _ in range(3):  # also once it is prepared
            with pytest.raises(errors.UniqueViolation):
                await client.execute("insert into keys values (%s, ''), (%s, '')", ["a", "a"])
        with pytest.raises(errors.UniqueViolation):
            async with client.transaction():
                await client.execute("insert into keys values (%s, ''), (%s, '')", ["a", "a"])
        await put(client, "key", b"value")
    assert await stored(operator) == {"key": b"value"}


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
    deadline = time.monotonic() + PATIENCE_SECONDS
    child = await Child.start({"PATH": "/usr/bin:/bin"}, tmp_path, deadline=deadline)
    try:
        yield child
    finally:
        await child.end()


async def opens(child: Child, url: str, folder: Path, **options: Any) -> None:
    """The library creates its tables, and finds them again."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("create schema if not exists whatsmeow")
        async with pool_of(url, folder, **options) as pool:
            store = await pool.admit_visitor()
            for _ in range(3):
                assert await child.call("one", "open_store", store=store) == []
        cursor = await connection.execute("select count(*) from whatsmeow.whatsmeow_device")
        assert await cursor.fetchall() == [(0,)]
        await connection.execute("drop schema whatsmeow cascade")


async def test_library_pool_library_opens_its_store_wherever_the_gateway_does(
    plain: TcpPostgres, encrypted: TcpPostgres, child: Child, tmp_path: Path
) -> None:
    several = {"host": f"{HOST},{HOST}", "port": f"{free_port()},{plain.port}"}
    authority = {"sslmode": "verify-full", "sslrootcert": str(encrypted.certificate)}
    for url in (
        plain.url(keepalives_idle=30, application_name="mine"),
        plain.url(target_session_attrs="read-write", **several),
        encrypted.url(**authority),
    ):
        await opens(child, url, tmp_path)


async def test_library_pool_library_opens_its_store_through_a_pooler(
    postgres_server: PostgresServer, database_url: str, child: Child, tmp_path: Path
) -> None:
    name = conninfo_to_dict(database_url)["dbname"]
    with running_pgbouncer(postgres_server) as pooler:
        await opens(child, make_conninfo(pooler, dbname=name), tmp_path, prepare=False)


async def test_library_pool_finds_room_for_its_socket(database_url: str, tmp_path: Path) -> None:
    left = tmp_path / "library-pool-of-a-killed-process"
    left.mkdir()
    deep = tmp_path / ("x" * 90)
    for folder in (tmp_path, deep):
        async with (
            pool_of(database_url, folder) as pool,
            await client_at(await pool.admit_visitor()) as client,
        ):
            cursor = await client.execute("select 1")
            assert await cursor.fetchall() == [(1,)]
    assert not left.exists()


async def test_library_pool_idle_transaction_gives_the_lease_up(
    operator: AsyncConnection, instance_id: str, database_url: str, tmp_path: Path
) -> None:
    """A process that is stopped within a transaction does not keep the lease from others."""
    async with (
        pool_of(database_url, tmp_path, idle_seconds=0.1) as pool,
        await client_at(await pool.admit(instance_id, 1)) as client,
    ):
        await client.execute("begin")
        await put(client, "key", b"never committed")
        await operator.execute("update instance_leases set epoch = 2")
        with pytest.raises(DatabaseError):
            await put(client, "further", b"too late")
        await client.execute("rollback")
        assert await stored(operator) == {}
