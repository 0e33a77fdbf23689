"""A server that takes bytes and answers nothing holds no caller longer than the deadline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.database.deadlines import DatabaseDeadline, waiting_at_most
from gateway.database.direct import connect_directly, direct_connection
from gateway.database.migrations import migrate
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.write_probe import WriteProbe
from gateway.errors import DatabaseUnavailable
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres_proxy import BadConnection, bad_connection
from tests.fixtures.service import until

SOON = 0.3
BACKEND = SQL("select pg_backend_pid() as pid")
ONE = SQL("select 1 as one")


@asynccontextmanager
async def open_database(
    url: str, *, size: int = 1, statement_seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[Database]:
    database = Database(url, min_size=size, max_size=size, statement_seconds=statement_seconds)
    await database.open()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await database.pool.wait()
            yield database
    finally:
        await database.pool.close()


async def is_answered(database: Database) -> bool:
    try:
        await database.execute(ONE)
    except DatabaseUnavailable:
        return False
    return True


async def test_statement_on_a_silent_server_ends_at_its_deadline(database_url: str) -> None:
    async with bad_connection(database_url) as proxy, open_database(proxy.url) as database:
        (before,) = await database.fetch_dicts(BACKEND)
        proxy.freeze()
        with pytest.raises(DatabaseUnavailable, match=r"did not answer within 0\.3 seconds"):
            await database.within(SOON).execute(ONE)
        proxy.thaw()

        assert await database.fetch_dicts(BACKEND) != [before]


async def test_commit_on_a_silent_server_ends_at_its_deadline(database_url: str) -> None:
    async with bad_connection(database_url) as proxy, open_database(proxy.url) as database:
        with pytest.raises(DatabaseUnavailable, match="did not answer within"):
            await freeze_in_transaction(database, proxy)


async def test_rollback_on_a_silent_server_ends_at_its_deadline(database_url: str) -> None:
    async with bad_connection(database_url) as proxy, open_database(proxy.url) as database:
        with pytest.raises(ZeroDivisionError):
            await freeze_in_transaction(database, proxy, ZeroDivisionError())


async def freeze_in_transaction(
    database: Database, proxy: BadConnection, error: Exception | None = None
) -> None:
    async with database.within(SOON).transaction() as connection:
        await connection.execute(ONE)
        proxy.freeze()
        if error:
            raise error


async def test_idle_connections_of_a_silent_server_are_not_tried_one_by_one(
    database_url: str,
) -> None:
    async with (
        bad_connection(database_url) as proxy,
        open_database(proxy.url, size=4) as database,
    ):
        proxy.freeze()
        with pytest.raises(DatabaseUnavailable):
            await database.within(SOON).execute(ONE)
        proxy.thaw()

        assert await is_answered(database)
        assert proxy.connections == 8


async def test_wait_for_a_connection_ends_at_the_deadline(database_url: str) -> None:
    async with open_database(database_url) as database, database.connection():
        with pytest.raises(DatabaseUnavailable, match=r"No connection|did not answer within"):
            await database.within(0.05).execute(ONE)


async def test_named_deadline_is_longer_than_that_of_a_statement(database_url: str) -> None:
    async with open_database(database_url, statement_seconds=0.05) as database:
        await database.within(PATIENCE_SECONDS).execute(SQL("select pg_sleep(0.2)"))
        with pytest.raises(DatabaseUnavailable):
            await database.execute(SQL("select pg_sleep(0.2)"))


async def test_patience_of_a_caller_counts_over_its_statements(database_url: str) -> None:
    async with open_database(database_url, statement_seconds=PATIENCE_SECONDS) as database:
        with waiting_at_most(3.5):
            await database.execute(SQL("select pg_sleep(2)"))
            with pytest.raises(DatabaseUnavailable):
                await database.execute(SQL("select pg_sleep(2)"))
        await database.execute(SQL("select pg_sleep(2)"))


async def test_statement_canceled_on_a_silent_server_ends_soon(database_url: str) -> None:
    """The driver asks the server to cancel it, and would wait ten seconds."""
    async with (
        bad_connection(database_url) as proxy,
        open_database(proxy.url, statement_seconds=PATIENCE_SECONDS) as database,
    ):
        proxy.freeze()
        running = asyncio.create_task(database.execute(ONE))
        await proxy.withheld.wait()
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=4.0)
        proxy.thaw()

    assert done


async def test_new_connections_move_on_from_a_silent_host(database_url: str) -> None:
    async with bad_connection(database_url) as silent, bad_connection(database_url) as healthy:
        silent.freeze()
        hosts = [conninfo_to_dict(each.url) for each in (silent, healthy)]
        url = make_conninfo(
            healthy.url,
            host=",".join(str(each["host"]) for each in hosts),
            port=",".join(str(each["port"]) for each in hosts),
        )
        connection = await connect_directly(url)
        async with connection:
            assert str(connection.info.port) == str(hosts[1]["port"])


async def test_direct_connection_to_a_silent_server_ends_at_its_deadline(
    database_url: str,
) -> None:
    async with bad_connection(database_url) as proxy:
        with pytest.raises(DatabaseUnavailable, match="did not answer within"):
            await use_frozen(proxy)


async def use_frozen(proxy: BadConnection) -> None:
    async with direct_connection(proxy.url, seconds=SOON) as connection:
        proxy.freeze()
        await connection.execute(ONE)


async def test_listener_connects_again_after_silence(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.database.notifications._PROBE_SECONDS", 0.05)
    heard = asyncio.Queue[str]()
    stopping = asyncio.Event()
    async with bad_connection(database_url) as proxy:
        notifications = Notifications(proxy.url, Clock(), statement_seconds=SOON)
        connected = asyncio.Queue[None]()
        notifications.subscribe(
            "news", heard.put_nowait, on_reconnect=lambda: connected.put_nowait(None)
        )
        running = asyncio.create_task(notifications.run_until(stopping))
        async with asyncio.timeout(PATIENCE_SECONDS), open_database(database_url) as database:
            await connected.get()
            proxy.freeze()
            await until(partial(connections_of, proxy), lambda count: count > 1)
            proxy.thaw()
            await connected.get()
            await database.execute(SQL("select pg_notify('news', 'again')"))
            assert await heard.get() == "again"
            stopping.set()
            await running


async def connections_of(proxy: BadConnection) -> int:
    return proxy.connections


async def test_write_probe_on_a_silent_server_answers_by_its_deadline(database_url: str) -> None:
    async with bad_connection(database_url) as proxy, open_database(proxy.url) as database:
        clock = LaterClock()
        probe = WriteProbe(database.within(SOON), database, clock, node_id="a")
        proxy.freeze()
        problems = set(await asyncio.gather(probe.problem(), probe.problem()))
        proxy.thaw()
        assert await is_answered(database)
        clock.seconds += 10.0

        assert problems == {"Postgres did not answer within 0.3 seconds"}
        assert await probe.problem() is None


class LaterClock(Clock):
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        ("set default_transaction_read_only = on", "Postgres is read-only"),
        ("do $$ begin raise 'x' using errcode = '53100'; end $$", "The disk of Postgres is full"),
    ],
)
async def test_write_probe_names_a_server_that_takes_no_writes(
    database_url: str, before: str, problem: str
) -> None:
    async with open_database(database_url, statement_seconds=PATIENCE_SECONDS) as database:
        probe = WriteProbe(database, database, Clock(), node_id="a")
        with suppress(DatabaseUnavailable):
            await database.execute(SQL(before))

        assert await probe.problem() == problem


async def test_migration_with_nothing_to_do_does_not_wait_as_long_as_one_may(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DatabaseDeadline, "PRUNING", SOON)
    await operator.execute("select pg_advisory_lock(hashtext('gateway migrations'))")

    with pytest.raises(DatabaseUnavailable):
        await migrate(database_url)
