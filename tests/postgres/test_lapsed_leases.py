"""A node whose leases lapsed keeps the sessions that no other node could open meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Leases
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.opening import Opener
from gateway.sessions.provider import Session, SessionSpec
from gateway.sessions.subscribers import EventSubscribers
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres_proxy import BadConnection, Cut, bad_connection
from tests.fixtures.queue import add_instances
from tests.fixtures.service import until
from tests.unit.sessions.test_reopening import Engine, FakeSession, Inbound, Instances

KEPT, LOST = "line-001", "line-002"
LEASE_SECONDS = 60.0
LAPSE = "update nodes set expires_at = now()"
ANOTHER_JOINS = "insert into nodes (id, expires_at) values ('b', 'infinity')"
ANOTHER_ACQUIRES = (
    "update instance_leases set node_id = 'b', epoch = epoch + 1 where instance_id = %s"
)


class SlowEngine(Engine):
    """Closes a session only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.closing, self.may_close = asyncio.Event(), asyncio.Event()
        self.closed: list[str] = []

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[FakeSession]:
        async with super().open_session(spec) as session:
            try:
                yield session
            finally:
                self.closing.set()
                await self.may_close.wait()
                self.closed.append(spec.instance_id)


@dataclass
class RunningNode:
    keeper: Keeper
    leases: Leases
    engine: SlowEngine
    operator: AsyncConnection
    sessions: dict[str, Session | None] = field(default_factory=dict)

    async def lapse(self, lost: str | None = None) -> float:
        """Lets the leases lapse, and another node acquire the one of *lost*.

        Returns until when this node may act at the latest by the renewals before.
        """
        async with self.operator.transaction():
            await self.operator.execute(LAPSE)
            if lost:
                await self.operator.execute(ANOTHER_JOINS)
                await self.operator.execute(ANOTHER_ACQUIRES, [lost])
        return Clock().monotonic_seconds() + LEASE_SECONDS

    async def acts_later_than(self, deadline: float) -> None:
        async def may_act_until() -> float:
            return self.leases.may_act_until

        await until(may_act_until, lambda until_seconds: until_seconds > deadline)


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[BadConnection]:
    async with bad_connection(database_url) as proxy:
        yield proxy


@pytest.fixture
async def node(
    proxy: BadConnection, operator: AsyncConnection, tmp_path: Path
) -> AsyncIterator[RunningNode]:
    """A node with two open sessions."""
    await add_instances(operator, 2)
    database, clock, engine = Database(proxy.url, min_size=1, max_size=1), Clock(), SlowEngine()
    leases = Leases(database, clock, node_id="a", lapse_seconds=LEASE_SECONDS)
    instances: Any = Instances()
    inbound: Any = Inbound()
    providers: Any = {"fake": type("Provider", (), {"can_repeat_send": True})}
    engines: Any = {"fake": engine}
    opener = Opener(
        leases=leases,
        instances=instances,
        inbound=inbound,
        subscribers=EventSubscribers(),
        providers=providers,
        engines=engines,
        proxy_of=lambda _instance: None,
        settings_of=lambda _instance: {},
        clock=clock,
    )
    keeper = Keeper(
        leases=leases,
        instances=instances,
        opener=opener,
        clock=clock,
        lock=NodeLock(tmp_path, "a"),
        renew_seconds=0.02,
        release_seconds=1.0,
    )
    await database.open()
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(keeper.run_until(stopping))
        running = RunningNode(keeper, leases, engine, operator)
        for instance_id in (KEPT, LOST):
            running.sessions[instance_id] = await keeper.session_within(
                instance_id, PATIENCE_SECONDS
            )
        yield running
        engine.may_close.set()
        stopping.set()
    await database.pool.close()


async def test_sessions_are_kept_when_no_other_node_acquired_their_leases(
    node: RunningNode,
) -> None:
    await node.acts_later_than(await node.lapse())

    assert {name: node.keeper.session(name) for name in (KEPT, LOST)} == node.sessions
    assert not node.engine.closing.is_set()


async def test_node_does_not_act_before_the_session_of_a_lost_lease_is_closed(
    node: RunningNode,
) -> None:
    latest = await node.lapse(LOST)
    await node.engine.closing.wait()
    deadline = node.leases.may_act_until
    node.engine.may_close.set()
    await node.acts_later_than(latest)

    assert deadline <= latest
    assert node.engine.closed == [LOST]
    assert node.keeper.session(KEPT) is node.sessions[KEPT]
    assert node.keeper.session(LOST) is None
    assert len(node.engine.openings) == 2


async def test_acknowledgement_that_fails_with_the_database_ends_no_session(
    node: RunningNode,
) -> None:
    (session, *_) = node.engine.openings

    async def acknowledged() -> list[str]:
        return session.acknowledged

    session.report("a", DatabaseUnavailable("away"))

    assert await until(acknowledged, bool) == ["a"]
    assert not node.engine.closing.is_set()


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
@pytest.mark.parametrize("statement", ["join_nodes", "owned_leases"])
async def test_lost_answers_neither_close_sessions_nor_let_a_lost_lease_act(
    node: RunningNode, proxy: BadConnection, statement: str, cut: Cut
) -> None:
    proxy.lose(query("sessions", statement), cut)
    latest = await node.lapse(LOST)
    await proxy.lost.wait()
    await node.engine.closing.wait()
    deadline = node.leases.may_act_until
    node.engine.may_close.set()
    await node.acts_later_than(latest)

    assert deadline <= latest
    assert node.engine.closed == [LOST]
    assert node.keeper.session(KEPT) is node.sessions[KEPT]
