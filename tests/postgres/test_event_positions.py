"""Positions of events: nothing is skipped, and only our own transactions delay events."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from psycopg import AsyncConnection

from gateway.instances.store import Instance
from gateway.webhooks.event_log import EventLog, Position
from gateway.webhooks.retention import Retention
from tests.fixtures.event_log import ACCOUNT, Follower, open_log, write_events
from tests.fixtures.previous import PREVIOUS_QUERIES
from tests.fixtures.queue import add_instances, rows


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


async def test_foreign_open_transaction_delays_no_event(
    log: EventLog, operator: AsyncConnection, instance: Instance, empty_database_url: str
) -> None:
    follower = await follow(log)
    async with await AsyncConnection.connect(empty_database_url) as foreign:
        await foreign.execute("create table written (n int)")
        await write_events(operator, instance.id, "one", "two")

        assert await follower.read() == ["one", "two"]
        assert await rows(
            operator,
            "select pg_snapshot_xmin(pg_current_snapshot()) < "
            "pg_snapshot_xmax(pg_current_snapshot())",
        ) == [True]
        await foreign.rollback()


async def test_own_open_transaction_loses_no_event(
    database_url: str, log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    follower = await follow(log)
    async with await AsyncConnection.connect(database_url) as early:
        await write_events(early, instance.id, "begun first")
        await write_events(operator, instance.id, "committed first")
        before = await follower.read()
        await early.commit()

    assert before == ["committed first"]
    assert await follower.read() == ["begun first"]


@dataclass
class Writer:
    """Writes events in a transaction that stays open for some steps."""

    connection: AsyncConnection
    instance_id: str
    committed: list[str]
    open_bodies: list[str] = field(default_factory=list)

    async def step(self, chance: random.Random, number: int) -> None:
        match chance.choice(("write", "write", "commit", "roll back")):
            case "write":
                bodies = [f"{number}.{n}" for n in range(chance.randint(1, 3))]
                await write_events(self.connection, self.instance_id, *bodies)
                self.open_bodies += bodies
            case "commit":
                await self.commit()
            case _:
                await self.connection.rollback()
                self.open_bodies.clear()

    async def commit(self) -> None:
        await self.connection.commit()
        self.committed += self.open_bodies
        self.open_bodies.clear()


@pytest.mark.parametrize("seed", range(6))
async def test_interleaved_commits_are_each_read_once(
    database_url: str, log: EventLog, instance: Instance, seed: int
) -> None:
    chance = random.Random(seed)
    followers = [await follow(log) for _ in range(2)]
    committed: list[str] = []
    async with AsyncExitStack() as stack:
        writers = [
            Writer(
                await stack.enter_async_context(await AsyncConnection.connect(database_url)),
                instance.id,
                committed,
            )
            for _ in range(4)
        ]
        for number in range(60):
            await chance.choice(writers).step(chance, number)
            if chance.random() < 0.5:
                place = chance.randrange(len(followers))
                await followers[place].read(max_count=chance.randint(1, 5))
                if chance.random() < 0.3:
                    followers[place] = followers[place].again()
        for writer in writers:
            await writer.commit()
    for follower in followers:
        while await follower.read(max_count=7):
            pass

    assert sorted(followers[0].seen) == sorted(committed)
    assert followers[0].seen == followers[1].seen


async def test_two_assigners_give_each_event_one_position(
    database_url: str, log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    follower = await follow(log)
    async with await AsyncConnection.connect(database_url) as first:
        await write_events(operator, instance.id, "a", "b")
        cursor = await first.execute("select assigned, busy from assign_event_positions_v1(1000)")
        assigned = await cursor.fetchone()
        await write_events(operator, instance.id, "c")
        while_busy = await follower.read()
        more = await log.assign_positions()
        await first.commit()

    assert (assigned, while_busy, more) == ((2, False), [], True)
    assert await follower.read() == ["a", "b", "c"]


async def test_many_assigners_beside_writers_leave_no_gap_and_no_duplicate(
    database_url: str, operator: AsyncConnection, instance: Instance
) -> None:
    async with open_log(database_url, max_size=6) as log:
        follower = await follow(log)
        done = asyncio.Event()

        async def write(number: int) -> None:
            async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
                for n in range(40):
                    await write_events(connection, instance.id, f"{number}.{n}")

        async def assign() -> None:
            while not done.is_set():
                await log.assign_positions()

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(assign())
            async with asyncio.TaskGroup() as writers:
                for number in range(3):
                    writers.create_task(write(number))
            done.set()
        while await follower.read():
            pass

    positions = await rows(operator, "select position from webhook_events order by position")
    assert positions == list(range(1, 121))
    assert [body for body in follower.seen if body.startswith("0.")] == [
        f"0.{n}" for n in range(40)
    ]
    assert len(set(follower.seen)) == len(follower.seen) == 120


async def test_reader_of_this_release_sees_events_of_previous_writers_and_the_reverse(
    log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    """Both releases write with the same function, and the previous one reads by transaction."""
    follower = await follow(log)
    (start,) = await rows(operator, "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    await operator.execute(
        """select tell(array[%s], array['chat'], array['ReceivedCallback'],
                       array[gen_random_uuid()], array['of the release before'])""",
        [instance.id],
    )
    await write_events(operator, instance.id, "of this release")
    seen = await follower.read()
    cursor = await operator.execute(
        PREVIOUS_QUERIES["webhooks", "read_events"],
        {
            "numbers": [0],
            "account_ids": [ACCOUNT],
            "transaction_ids": [start - 1],
            "sequences": [2**63 - 1],
            "most": 10,
            "max_count": 10,
        },
    )
    names = [column.name for column in cursor.description or ()]
    read_before = [row[names.index("body")] for row in await cursor.fetchall()]

    assert seen == read_before == ["of the release before", "of this release"]


async def test_position_of_the_previous_release_continues_in_the_mixed_time(
    log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    """A node of the release before gave out the id of an event that has a position now."""
    follower = await follow(log)
    for body in ("one", "two", "three"):
        await write_events(operator, instance.id, body)
    await follower.read()
    ids = await rows(
        operator, "select transaction_id, sequence from webhook_events order by sequence"
    )
    back = [Follower(log, Position(*position)) for position in ids]

    assert [await each.read() for each in back] == [["two", "three"], ["three"], []]
    await write_events(operator, instance.id, "four")
    assert await back[2].read() == ["four"]
    assert await back[2].again().read() == []
    assert not any(each.gaps for each in back)


async def test_expired_events_are_named_to_a_reader_that_missed_them(
    database_url: str, log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    follower = await follow(log)
    await write_events(operator, instance.id, "one")
    await follower.read()
    late, current = follower.again(), follower.again()
    await write_events(operator, instance.id, "two")
    await current.read()
    current = current.again()
    await operator.execute("update webhook_events set created_at = now() - interval '8 days'")
    async with open_log(database_url) as other:
        retention = Retention(other._database, history_days=7, dead_letter_days=7)
        await retention.delete_expired()
    await write_events(operator, instance.id, "three")

    assert (await late.read(), await current.read()) == (["three"], ["three"])
    assert [gap.reason for gap in late.gaps] == ["expired"]
    assert not current.gaps


async def test_other_accounts_expired_events_are_no_gap(
    database_url: str, log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    follower = await follow(log)
    await write_events(operator, instance.id, "one")
    await follower.read()
    await operator.execute(
        """insert into accounts (id, name) values ('other', 'Other');
           insert into webhook_events (account_id, instance_id, chat, id, type, body, created_at)
           values ('other', 'x', 'chat', gen_random_uuid(), 'T', '{}', now() - interval '9 days')"""
    )
    await log.assign_positions()
    async with open_log(database_url) as other:
        retention = Retention(other._database, history_days=7, dead_letter_days=7)
        await retention.delete_expired()
    back = follower.again()
    await back.read()

    assert await rows(operator, "select account_id from event_log_expiry") == ["other"]
    assert not back.gaps


async def test_server_that_does_not_identify_itself_delays_and_loses_nothing(
    database_url: str, log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    await operator.execute(
        """create or replace function event_log_server_v1() returns text
           language sql as 'select null::text'"""
    )
    follower = await follow(log)
    async with await AsyncConnection.connect(database_url) as early:
        await write_events(early, instance.id, "begun first")
        await write_events(operator, instance.id, "committed first")
        await follower.read()
        await early.commit()
    await follower.read()

    assert follower.seen == ["committed first", "begun first"]
    assert (follower.gaps, await follower.again().read()) == ([], [])


async def test_backlog_is_read_in_batches_and_completely(
    log: EventLog, operator: AsyncConnection, instance: Instance
) -> None:
    follower = await follow(log)
    await operator.execute(
        """insert into webhook_events (account_id, instance_id, chat, id, type, body)
           select 'acme', %s, 'chat', gen_random_uuid(), 'T', g.n::text
           from generate_series(1, 2500) g (n) order by g.n""",
        [instance.id],
    )
    while await follower.read(max_count=500):
        pass

    assert follower.seen == [str(n) for n in range(1, 2501)]
