"""Each planned fault affects exactly one send, in the order of the plan."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import NotConnected, Refused, Restricted, TryAgainLater, Unconfirmed
from gateway.sessions.connection import ConnectionState
from tests.providers.sandbox_node import Node
from tests.providers.sandbox_session import attempt, connected, sent, text


async def plan(node: Node, *faults: object, instance_id: str = "one") -> None:
    async with node.http() as http:
        answer = await http.post(f"/sandbox/{instance_id}/faults", json={"next": faults})
        assert answer.json() == {"faults": len(faults)}


@pytest.mark.parametrize(
    ("fault", "failure", "arrived"),
    [
        ("disconnect_before_send", NotConnected, 0),
        ("crash_after_accept", ConnectionResetError, 1),
        ("transient", TryAgainLater, 0),
        ("permanent", Refused, 0),
        ("restricted_until", Restricted, 0),
    ],
)
async def test_fault_affects_one_send(
    node: Node, fault: str, failure: type[Exception], arrived: int
) -> None:
    async with connected(node) as listening:
        await plan(node, fault)
        with pytest.raises(failure):
            await listening.session.send(text(), attempt("A"))
        assert len(await sent(node)) == arrived
        if fault == "disconnect_before_send":
            assert (await listening.next()).state is ConnectionState.DISCONNECTED
            await node.people.change_state("one", ConnectionState.CONNECTED)
            assert (await listening.next()).state is ConnectionState.CONNECTED
        await listening.session.send(text(), attempt("A"))
    assert [row["seen"] for row in await sent(node)] == [arrived + 1]


async def test_faults_with_times_apply_in_order(node: Node) -> None:
    until = datetime(2030, 1, 1, tzinfo=UTC)
    async with connected(node) as listening:
        await plan(
            node,
            {"fault": "transient", "afterSeconds": 7},
            {"fault": "restricted_until", "until": until.isoformat()},
            {"fault": "restricted_until", "seconds": 3600},
            {"fault": "slow", "seconds": 0},
        )
        with pytest.raises(TryAgainLater) as later:
            await listening.session.send(text(), attempt())
        assert later.value.after_seconds == 7
        with pytest.raises(Restricted) as restricted:
            await listening.session.send(text(), attempt())
        assert restricted.value.until == until
        with pytest.raises(Restricted) as restricted:
            await listening.session.send(text(), attempt())
        assert timedelta(minutes=59) < restricted.value.until - datetime.now(UTC)
        await listening.session.send(text(), attempt())
    assert [row["seen"] for row in await sent(node)] == [1]


async def test_slow_fault_is_accepted_and_timeout_is_not(node: Node) -> None:
    async with connected(node) as listening:
        await plan(node, {"fault": "slow", "seconds": 60}, "timeout")
        for _ in range(2):
            with pytest.raises(Unconfirmed):
                await listening.session.send(text(), replace(attempt(), time_limit_seconds=0.1))
        assert (await node.people.look("one")).faults == 0
        assert await sent(node) == []


async def test_fault_plan_replaces_the_earlier_one(node: Node) -> None:
    async with connected(node) as listening:
        await plan(node, "permanent", "permanent")
        await plan(node, "transient")
        assert (await node.people.look("one")).faults == 1
        await plan(node)
        await listening.session.send(text(), attempt())


async def test_concurrent_sends_consume_each_fault_once(node: Node) -> None:
    async with connected(node) as listening:
        await plan(node, *["permanent"] * 20)
        results = await asyncio.gather(
            *(listening.session.send(text(), attempt(f"M{number}")) for number in range(30)),
            return_exceptions=True,
        )
    assert sum(isinstance(result, Refused) for result in results) == 20
    assert len(await sent(node)) == 10


async def test_fault_is_not_consumed_by_a_refused_send(node: Node) -> None:
    async with connected(node) as listening:
        await plan(node, "permanent")
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        with pytest.raises(NotConnected):
            await listening.session.send(text(), attempt())
        assert (await node.people.look("one")).faults == 1
