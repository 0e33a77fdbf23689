"""Postgres gives each lease to one node, however many nodes acquire at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, NodeReplaced
from gateway.send_queue.rescue import Rescue
from gateway.sessions.leases import Lease, Leases, LeaseShare
from gateway.sessions.provider import Session
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres_proxy import Cut, bad_connection
from tests.fixtures.queue import add_instances, at_once, rows, running_node

NEVER_SECONDS = 3_600.0


@dataclass
class ShiftedClock(Clock):
    """The clock of a machine that started at another time than others."""

    ahead_seconds: float

    def monotonic_seconds(self) -> float:
        return super().monotonic_seconds() + self.ahead_seconds


@asynccontextmanager
async def nodes(url: str, *names: str) -> AsyncIterator[list[Leases]]:
    async with AsyncExitStack() as stack:
        joined = []
        for number, name in enumerate(names):
            database = Database(url, max_size=4)
            await database.open()
            stack.push_async_callback(database.pool.close)
            leases = Leases(
                database, ShiftedClock(number * 10_000.0), node_id=name, lapse_seconds=NEVER_SECONDS
            )
            await leases.join()
            joined.append(leases)
        yield joined


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Database]:
    database = Database(url, max_size=2)
    await database.open()
    yield database
    await database.pool.close()


async def release_all(operator: AsyncConnection) -> None:
    await operator.execute("update instance_leases set node_id = null")


async def shares(*leases: Leases) -> list[tuple[int, int]]:
    found = [await each.share() for each in leases]
    return [(counted.owned, counted.share) for counted in found if counted]


async def test_lease_shares_add_up_and_move_no_lease_needlessly(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 11, holder="b")
    async with nodes(database_url, "a", "b", "c") as (a, b, c):
        assert await shares(a, b, c) == [(0, 4), (11, 4), (0, 3)]
        await operator.execute("delete from instances where id > 'line-007'")
        assert await shares(a, b, c) == [(0, 2), (7, 3), (0, 2)]


async def test_three_nodes_acquire_every_lease_once(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 60)
    await release_all(operator)
    async with nodes(database_url, "a", "b", "c") as three:
        owned: list[Mapping[str, int]] = [{} for _ in three]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(map(len, owned)) < 60:  # a node skips leases that another has locked
                lacking = [20 - len(each) for each in owned]
                await asyncio.gather(*map(Leases.acquire, three, lacking))
                owned = [await leases.owned() for leases in three]

    assert [len(each) for each in owned] == [20, 20, 20]
    assert {epoch for each in owned for epoch in each.values()} == {2}


async def test_released_lease_gets_a_higher_epoch(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 2)
    async with nodes(database_url, "a", "b") as (a, b):
        mine = await a.owned()
        await a.release(Lease("line-001", mine["line-001"] - 1))  # an old epoch releases nothing
        assert await b.acquire(2) == 0
        await a.release(Lease("line-001", mine["line-001"]))
        assert await b.acquire(2) == 1
        assert await b.owned() == {"line-001": mine["line-001"] + 1}
        assert list(await a.owned()) == ["line-002"]


async def test_lapsed_node_that_joins_again_keeps_its_epochs(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 1)
    async with nodes(database_url, "a") as (a,):
        before = await a.owned()
        assert await a.renew()
        await operator.execute("update nodes set expires_at = now()")
        deadline = a.may_act_until

        assert not await a.renew()
        assert a.may_act_until == deadline
        assert await a.share() is None
        rejoined = await a.rejoin()
        assert a.may_act_until == deadline
        assert await a.owned() == before
        a.act_again(rejoined)
        assert a.may_act_until > deadline
        assert await a.renew()


async def test_lapsed_node_whose_name_another_process_had_gets_new_epochs(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 1)
    async with nodes(database_url, "a", "a") as (first, second):
        before = await second.owned()
        await operator.execute("update nodes set expires_at = now()")
        await first.rejoin()

        assert await first.owned() == {"line-001": before["line-001"] + 1}


async def test_node_started_twice_replaces_the_first(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 1)
    async with nodes(database_url, "a", "a") as (first, second):
        assert not await first.renew()
        with pytest.raises(NodeReplaced, match="GATEWAY_NODE_NAME"):
            await first.rejoin()
        await first.leave()

        assert await second.renew()
        assert await shares(second) == [(1, 1)]


async def test_node_with_predecessor_owns_nothing_until_reacquire(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 1)
    async with nodes(database_url, "a") as (first,):
        before = (await first.owned())["line-001"]
        second = Leases(first._database, Clock(), node_id="a", lapse_seconds=60.0)
        predecessor = await second.join()
        assert predecessor
        assert predecessor.life == first.life
        assert 60.0 < predecessor.seconds <= NEVER_SECONDS
        assert not await first.renew()
        assert await second.owned() == {"line-001": before}
        await second.reacquire()
        assert await second.owned() == {"line-001": before + 1}

        await operator.execute("update nodes set expires_at = now()")
        third = Leases(first._database, Clock(), node_id="a", lapse_seconds=60.0)
        assert await third.join() is None
        assert await third.owned() == {"line-001": before + 2}


@pytest.mark.parametrize("cut", list(Cut))
async def test_join_whose_answer_is_lost_knows_whom_it_replaced(
    database_url: str, operator: AsyncConnection, cut: Cut
) -> None:
    await add_instances(operator, 1)
    async with (
        nodes(database_url, "a") as (first,),
        bad_connection(database_url) as connection,
        connected(connection.url) as database,
    ):
        second = Leases(database, Clock(), node_id="a", lapse_seconds=60.0)
        connection.lose(query("sessions", "join_nodes"), cut, at_commit=True)
        joining = asyncio.create_task(second.join())
        await connection.lost.wait()
        connection.deliver.set()
        with pytest.raises(DatabaseUnavailable):
            await joining
        again = await second.join()

        assert again
        assert again.life == first.life
        assert again.seconds >= 60.0
        assert await second.join() is None


async def test_join_after_a_lost_answer_does_not_wait_where_no_node_was(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 1)
    async with bad_connection(database_url) as connection, connected(connection.url) as database:
        only = Leases(database, Clock(), node_id="a", lapse_seconds=60.0)
        connection.lose(query("sessions", "join_nodes"), Cut.AFTER, at_commit=True)
        with pytest.raises(DatabaseUnavailable):
            await only.join()

        assert await only.join() is None
        assert list(await only.owned()) == ["line-001"]


async def test_join_replaces_no_process_that_it_did_not_find(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes the name after this one has looked, and is found then."""
    async with nodes(database_url, "a") as (first,):
        second, third = (
            Leases(first._database, Clock(), node_id="a", lapse_seconds=60.0) for _ in range(2)
        )
        find = third._find_predecessor
        looks = 0

        async def find_and_be_overtaken() -> None:
            nonlocal looks
            await find()
            looks += 1
            if looks == 1:
                await second.join()

        monkeypatch.setattr(third, "_find_predecessor", find_and_be_overtaken)
        predecessor = await third.join()

        assert looks == 2
        assert predecessor
        assert predecessor.life == second.life


async def test_node_that_leaves_frees_its_leases_at_once(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_instances(operator, 3)
    async with nodes(database_url, "a", "b") as (a, b):
        assert await b.acquire(3) == 0
        await a.leave()
        assert await b.acquire(3) == 3
        assert await b.share() == LeaseShare(owned=3, share=3, seconds_until_lapse=None)


async def test_nodes_agree_on_the_database_time(database_url: str) -> None:
    async with nodes(database_url, "a", "b") as (a, b):
        assert abs(a.database_seconds() - b.database_seconds()) < 5.0
        assert abs(a.may_act_until - b.may_act_until) > 5_000.0


async def test_rescue_by_an_old_owner_changes_nothing(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_instances(operator, 1)
    async with running_node(database_url, "a") as node:
        await node.enqueue(line, "1")
        await operator.execute("update instance_leases set epoch = 2, node_id = 'b'")
        await operator.execute(
            """update message_queue
               set status = 'processing', claimed_epoch = 2, attempt_started_at = now()"""
        )
        rescue, stopping = Rescue(node.database, node.recorder, at_once()), asyncio.Event()
        running = asyncio.create_task(rescue.run_until(stopping))
        await rescue.process(node.live(line, cast("Session", object()), epoch=1))
        stopping.set()
        await running
        state = "select status, claimed_epoch from message_queue"

        assert await rows(operator, state) == [("processing", 2)]


async def test_join_deletes_nodes_expired_for_a_day(
    database_url: str, operator: AsyncConnection
) -> None:
    await operator.execute(
        """insert into nodes (id, expires_at) values
               ('of a container', now() - interval '2 days'), ('away', now() - interval '1 hour')"""
    )
    async with nodes(database_url, "a"):
        assert await rows(operator, "select id from nodes order by id") == ["a", "away"]


async def test_renewal_does_not_wait_for_a_pool_connection(database_url: str) -> None:
    database = Database(database_url, min_size=1, max_size=1, timeout_seconds=0.2)
    apart = database.single_connection()
    leases = Leases(apart, Clock(), node_id="a", lapse_seconds=NEVER_SECONDS)
    await database.open()
    await apart.open()
    async with database.connection():  # the pool has no other
        with pytest.raises(DatabaseUnavailable):
            await database.execute(SQL("select 1"))
        await leases.join()
        assert await leases.renew()
    await apart.pool.close()
    await database.pool.close()
