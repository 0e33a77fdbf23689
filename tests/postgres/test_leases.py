"""Who holds what, decided by Postgres however many nodes ask at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import pytest
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable, NodeReplaced
from gateway.send_queue.rescue import Rescue
from gateway.sessions.leases import Lease, Leases, Predecessor, Standing
from gateway.sessions.provider import Session
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.queue import add_lines, at_once, rows, running_node

NEVER_SECONDS = 3_600.0


@dataclass
class ClockOf(Clock):
    """A machine that was started at another time than others."""

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
                database, ClockOf(number * 10_000.0), node_id=name, lapse_seconds=NEVER_SECONDS
            )
            await leases.join()
            joined.append(leases)
        yield joined


async def set_free(operator: AsyncConnection) -> None:
    await operator.execute("update instance_leases set node_id = null")


async def shares(*leases: Leases) -> list[tuple[int, int]]:
    found = [await each.standing() for each in leases]
    return [(standing.held, standing.share) for standing in found if standing]


async def test_shares_add_up_and_those_that_hold_most_keep_most(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_lines(operator, 11, holder="b")
    async with nodes(database_url, "a", "b", "c") as (a, b, c):
        assert await shares(a, b, c) == [(0, 4), (11, 4), (0, 3)]
        await operator.execute("delete from instances where id > 'line-007'")
        assert await shares(a, b, c) == [(0, 2), (7, 3), (0, 2)]


async def test_three_that_take_at_once_share_all_and_take_nothing_twice(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_lines(operator, 60)
    await set_free(operator)
    async with nodes(database_url, "a", "b", "c") as three:
        held: list[Mapping[str, int]] = [{} for _ in three]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(map(len, held)) < 60:  # who meets another at a lease leaves it to them
                lacking = [20 - len(each) for each in held]
                await asyncio.gather(*map(Leases.take, three, lacking))
                held = [await leases.held() for leases in three]

    assert [len(each) for each in held] == [20, 20, 20]
    assert {epoch for each in held for epoch in each.values()} == {2}


async def test_what_is_given_away_goes_to_another_under_a_higher_epoch(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_lines(operator, 2)
    async with nodes(database_url, "a", "b") as (a, b):
        mine = await a.held()
        await a.give(
            Lease("line-001", mine["line-001"] - 1)
        )  # of an earlier time: not ours to give
        assert await b.take(2) == 0
        await a.give(Lease("line-001", mine["line-001"]))
        assert await b.take(2) == 1
        assert await b.held() == {"line-001": mine["line-001"] + 1}
        assert list(await a.held()) == ["line-002"]


async def test_a_lapsed_node_renews_nothing_and_begins_again_with_new_epochs(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_lines(operator, 1)
    async with nodes(database_url, "a") as (a,):
        before = await a.held()
        assert await a.renew()
        await operator.execute("update nodes set expires_at = now()")
        deadline = a.may_act_until

        assert not await a.renew()
        assert a.may_act_until == deadline
        assert await a.standing() is None
        await a.join(replace=False)
        assert await a.renew()
        assert await a.held() == {"line-001": before["line-001"] + 1}


async def test_a_second_life_ends_the_first(database_url: str, operator: AsyncConnection) -> None:
    await add_lines(operator, 1)
    async with nodes(database_url, "a", "a") as (first, second):
        assert not await first.renew()
        with pytest.raises(NodeReplaced, match="GATEWAY_NODE_NAME"):
            await first.join(replace=False)
        await first.leave()

        assert await second.renew()
        assert await shares(second) == [(1, 1)]


async def test_what_an_earlier_life_may_still_act_for_is_taken_only_on_request(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_lines(operator, 1)
    async with nodes(database_url, "a") as (first,):
        before = (await first.held())["line-001"]
        second = Leases(first._database, Clock(), node_id="a", lapse_seconds=60.0)
        predecessor = await second.join()
        assert predecessor
        assert predecessor.life == first.life
        assert 60.0 < predecessor.seconds <= NEVER_SECONDS
        assert not await first.renew()
        assert await second.held() == {"line-001": before}
        await second.retake()
        assert await second.held() == {"line-001": before + 1}

        await operator.execute("update nodes set expires_at = now()")
        third = Leases(first._database, Clock(), node_id="a", lapse_seconds=60.0)
        assert await third.join() is None
        assert await third.held() == {"line-001": before + 2}


async def test_a_node_whose_joining_was_not_answered_takes_nothing_at_once(
    database_url: str, operator: AsyncConnection
) -> None:
    """The answer would have said who was there before."""
    await add_lines(operator, 1)
    async with nodes(database_url, "a") as (first,):
        second = Leases(first._database, Clock(), node_id="a", lapse_seconds=60.0)
        await operator.execute("update nodes set life = %s", [second.life])
        assert await second.join() == Predecessor(None, 60.0)
        assert await second.join() is None


async def test_a_node_that_leaves_lets_others_take_at_once(
    database_url: str, operator: AsyncConnection
) -> None:
    await add_lines(operator, 3)
    async with nodes(database_url, "a", "b") as (a, b):
        assert await b.take(3) == 0
        await a.leave()
        assert await b.take(3) == 3
        assert await b.standing() == Standing(held=3, share=3, seconds_until_lapse=None)


async def test_nodes_agree_on_the_time_however_their_clocks_differ(database_url: str) -> None:
    async with nodes(database_url, "a", "b") as (a, b):
        assert abs(a.database_seconds() - b.database_seconds()) < 5.0
        assert abs(a.may_act_until - b.may_act_until) > 5_000.0


async def test_an_old_holder_does_not_rescue_what_the_new_one_is_sending(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
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


async def test_names_that_nobody_uses_any_more_are_forgotten(
    database_url: str, operator: AsyncConnection
) -> None:
    await operator.execute(
        """insert into nodes (id, expires_at) values
               ('of a container', now() - interval '2 days'), ('away', now() - interval '1 hour')"""
    )
    async with nodes(database_url, "a"):
        assert await rows(operator, "select id from nodes order by id") == ["a", "away"]


async def test_signs_of_life_do_not_wait_for_a_connection_of_the_pool(database_url: str) -> None:
    database = Database(database_url, min_size=1, max_size=1, timeout_seconds=0.2)
    apart = database.single_connection()
    leases = Leases(apart, Clock(), node_id="a", lapse_seconds=NEVER_SECONDS)
    await database.open()
    await apart.open()
    async with database.connection():  # all there are
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        await leases.join()
        assert await leases.renew()
    await apart.pool.close()
    await database.pool.close()
