"""Positions of events across an upgrade, a dump, and a restore to an earlier state."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from gateway.database import migrations as migrator
from gateway.database.migrations import migrate
from gateway.embedded_postgres.cluster_site import find_binaries
from gateway.instances.store import Instance
from gateway.webhooks.event_log import EventLog, Position
from tests.fixtures.event_log import ACCOUNT, Follower, consuming, open_log, write_events
from tests.fixtures.postgres import folder_in_memory, public_folder, running_postgres
from tests.fixtures.queue import add_instance_rows, add_instances, rows

POSITIONS_MIGRATION = 26
BINARIES = find_binaries()


@dataclass(frozen=True)
class Dump:
    """A dump of a database, and a new cluster for restores."""

    server_url: str
    folder: Path

    def take(self, url: str) -> None:
        self._run("pg_dump", "--format=custom", f"--file={self.folder / 'dump'}", url)

    def restore(self, name: str) -> str:
        """Restores into a new database of the new cluster; returns its URL."""
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(f"create database {name}".encode())
        url = make_conninfo(self.server_url, dbname=name)
        self._run("pg_restore", "--single-transaction", "-d", url, str(self.folder / "dump"))
        return url

    @staticmethod
    def _run(program: str, *arguments: str) -> None:
        subprocess.run([BINARIES / program, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def dump(postgres_server_url: str) -> Iterator[Dump]:
    with psycopg.connect(postgres_server_url) as connection:
        server = connection.info.server_version // 10_000
    version = subprocess.run([BINARIES / "pg_dump", "--version"], check=True, capture_output=True)
    if f" {server}." not in version.stdout.decode():
        pytest.skip("pg_dump does not fit the server")
    with (
        public_folder(folder_in_memory()) as folder,
        running_postgres(folder / "restored") as url,
    ):
        yield Dump(url, folder)


@asynccontextmanager
async def operator_of(url: str) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def consume_transaction_ids(connection: AsyncConnection, count: int) -> None:
    """Begins and commits transactions, as other users of the server do."""
    await connection.execute(
        f"""do $$ begin
            for n in 1..{count} loop perform pg_current_xact_id(); commit; end loop;
        end $$""".encode()
    )


async def transaction_id(connection: AsyncConnection) -> int:
    (number,) = await rows(connection, "select pg_current_xact_id()::text::bigint")
    return int(number)


async def test_restored_dump_continues_where_readers_were(
    database_url: str, operator: AsyncConnection, dump: Dump
) -> None:
    (instance,) = await add_instances(operator, 1)
    await consume_transaction_ids(operator, 5_000)
    async with open_log(database_url) as log:
        client = Follower(log, await log.subscribe("stream", [ACCOUNT]))
        async with consuming(log) as sink:
            await write_events(operator, instance.id, "one", "two")
            await sink.wait_for("one", "two")
        await client.read(max_count=1)
        await log.assign_positions()
        await write_events(operator, instance.id, "without a position")
        await asyncio.to_thread(dump.take, database_url)
    source_transaction_id = await transaction_id(operator)
    url = await asyncio.to_thread(dump.restore, "continued")
    async with operator_of(url) as restored, open_log(url) as log:
        await restored.execute("update event_roads set held_until = now() - interval '1 minute'")
        assert await transaction_id(restored) < source_transaction_id
        back = Follower(log, client.again().position)
        async with consuming(log, "b") as sink:
            await sink.wait_for("without a position")
            await write_events(restored, instance.id, "after the restore")
            await sink.wait_for("without a position", "after the restore")
        expected = ["two", "without a position", "after the restore"]
        assert await back.read() == expected
        assert not back.gaps


async def test_restore_to_an_earlier_state_is_told_and_goes_on(
    database_url: str, operator: AsyncConnection, dump: Dump
) -> None:
    """Each copy goes on by itself: a position of one is not taken for a position of another."""
    (instance,) = await add_instances(operator, 1)
    async with open_log(database_url) as log:
        client = Follower(log, await log.subscribe("stream", [ACCOUNT]))
        await write_events(operator, instance.id, "kept")
        await client.read()
        await asyncio.to_thread(dump.take, database_url)
        await write_events(operator, instance.id, "lost 1", "lost 2")
        await client.read()
    first = await asyncio.to_thread(dump.restore, "first_copy")
    async with operator_of(first) as restored, open_log(first) as log:
        early = Follower(log, client.again().position)
        assert await early.read() == []
        for n in range(5):  # the counter passes the client's number
            await write_events(restored, instance.id, f"first copy {n}")
        late = Follower(log, client.again().position)
        expected = [f"first copy {n}" for n in range(5)]
        assert (await early.read(), await late.read()) == (expected, expected)
        assert [gap.reason for gap in (*early.gaps, *late.gaps)] == ["restored", "restored"]
        assert await late.again().read() == []
    second = await asyncio.to_thread(dump.restore, "second_copy")
    async with operator_of(second) as restored, open_log(second) as log:
        for n in range(9):
            await write_events(restored, instance.id, f"second copy {n}")
        of_first_copy = Follower(log, late.position)
        assert await of_first_copy.read() == [f"second copy {n}" for n in range(9)]
        assert [gap.reason for gap in of_first_copy.gaps] == ["restored"]


@pytest.fixture
async def instance(operator: AsyncConnection) -> Instance:
    (instance,) = await add_instances(operator, 1)
    return instance


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[EventLog]:
    async with open_log(database_url) as log:
        yield log


async def follow(log: EventLog) -> Follower:
    return Follower(log, await log.subscribe("stream", [ACCOUNT]))


async def test_promoted_standby_without_loss_continues_silently(
    log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    follower = await follow(log)
    await write_events(operator, instance.id, "one")
    await follower.read()
    before = follower.position
    await operator.execute("update event_log set server = 'another cluster/00000001/1/1'")
    await write_events(operator, instance.id, "two")
    back = follower.again()

    assert (await follower.read(), await back.read()) == (["two"], ["two"])
    assert follower.position == back.position
    assert follower.position.generation != before.generation
    assert (follower.gaps, back.gaps) == ([], [])


async def test_promoted_standby_that_lost_events_is_told_also_to_open_streams(
    log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    follower = await follow(log)
    await write_events(operator, instance.id, "kept")
    await follower.read()
    await write_events(operator, instance.id, "lost")
    await follower.read()
    await operator.execute(
        """delete from webhook_events where body = 'lost';
           update event_log set server = 'another cluster/00000001/1/1', last_position = 1"""
    )
    back = follower.again()
    await write_events(operator, instance.id, "new", "newer")

    assert (await follower.read(), await back.read()) == (["new", "newer"], ["new", "newer"])
    for each in (follower, back):
        assert [gap.reason for gap in each.gaps] == ["restored"]


async def test_position_ahead_of_an_unchanged_server_is_told(
    log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    """As after a snapshot of the disk was put back."""
    follower = await follow(log)
    await write_events(operator, instance.id, "one")
    await follower.read()
    ahead = Follower(log, Position(follower.position.generation, 100))
    first = await ahead.read()
    await write_events(operator, instance.id, "two")

    assert (first, await ahead.read()) == ([], ["two"])
    assert [gap.reason for gap in ahead.gaps] == ["restored"]


@pytest.fixture
def before_positions(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The migrator knows what came before positions; undo it to migrate to the end."""
    known = [each for each in migrator.migrations() if each.number < POSITIONS_MIGRATION]

    async def no_functions(_connection: object) -> list[object]:
        return []

    with monkeypatch.context() as patched:
        patched.setattr(migrator, "migrations", lambda: known)
        patched.setattr(migrator, "create_missing_functions", no_functions)
        yield patched


async def write_as_before(connection: AsyncConnection, instance_id: str, *bodies: str) -> None:
    for body in bodies:
        await connection.execute(
            """select tell(array[%s], array['chat'], array['ReceivedCallback'],
                           array[gen_random_uuid()], array[%s])""",
            [instance_id, body],
        )


async def set_up_before(connection: AsyncConnection) -> tuple[str, Position]:
    """Writes four events as the release before; Kafka and a client have read two of them."""
    (instance_id,) = await add_instance_rows(connection, 1)
    await connection.execute(
        """insert into event_roads (name, account_id, wanted_until)
           values ('kafka', 'acme', now() + interval '1 day')"""
    )
    await write_as_before(connection, instance_id, "one", "two", "three", "four")
    (read_to,) = await rows(
        connection, "select transaction_id, sequence from webhook_events where body = 'two'"
    )
    await connection.execute(
        "update event_roads set transaction_id = %s, sequence = %s", list(read_to)
    )
    return instance_id, Position(*read_to)


async def test_positions_stay_valid_across_the_upgrade(
    empty_database_url: str, before_positions: pytest.MonkeyPatch
) -> None:
    await migrate(empty_database_url)
    async with (
        operator_of(empty_database_url) as operator,
        await AsyncConnection.connect(empty_database_url) as writer,
        open_log(empty_database_url) as log,
    ):
        instance_id, read_to = await set_up_before(operator)
        await writer.execute("select pg_current_xact_id()")  # begun before the migration
        before_positions.undo()
        await migrate(empty_database_url)
        await write_as_before(operator, instance_id, "after the migration")
        client = Follower(log, read_to)
        pages = [await client.read(max_count=1) for _ in range(3)]
        await write_as_before(writer, instance_id, "of the old transaction")
        await writer.commit()
        expected = ["three", "four", "after the migration", "of the old transaction"]
        async with consuming(log) as sink:
            await sink.wait_for(*expected)
            await write_events(operator, instance_id, "new")
            await sink.wait_for(*expected, "new")
        assert pages == [["three"], ["four"], ["after the migration"]]
        assert await client.again().read() == ["of the old transaction", "new"]
        assert not client.gaps


async def test_dump_of_the_release_before_is_restored_and_upgraded(
    empty_database_url: str, before_positions: pytest.MonkeyPatch, dump: Dump
) -> None:
    await migrate(empty_database_url)
    async with operator_of(empty_database_url) as operator:
        await consume_transaction_ids(operator, 5_000)
        instance_id, read_to = await set_up_before(operator)
        await asyncio.to_thread(dump.take, empty_database_url)
    url = await asyncio.to_thread(dump.restore, "upgraded")
    before_positions.undo()
    await migrate(url)
    async with operator_of(url) as restored, open_log(url) as log:
        await write_events(restored, instance_id, "new")
        assert await transaction_id(restored) < read_to.generation
        client = Follower(log, read_to)
        while await client.read():
            pass
        async with consuming(log) as sink:
            await sink.wait_for("three", "four", "new")
        assert client.seen == ["three", "four", "new"]
