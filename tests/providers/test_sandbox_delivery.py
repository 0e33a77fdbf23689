"""The delivery loop reads events of all sessions at once, and only for those that may act."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from gateway.clock import Clock
from gateway.providers.sandbox.provider import SandboxProvider
from gateway.sessions.provider import ProviderContext
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.sandbox_node import Node, node_at
from tests.providers.sandbox_session import connected, received, spec


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


async def test_one_statement_reads_events_of_many_sessions(database_url: str) -> None:
    names = [f"instance-{number}" for number in range(50)]
    async with node_at(database_url, listen=False) as node, AsyncExitStack() as stack:
        listening = [await stack.enter_async_context(connected(node, spec(name))) for name in names]
        for name in names:
            await node.people.write(name, received(name))
        async with node.delivering():
            for name, each in zip(names, listening, strict=True):
                assert (await each.delivery()).event.provider_message_id == name  # type: ignore[union-attr]
            assert node.store.statements.count("due_events") == 1


async def test_engine_without_events_waits_half_a_minute(database_url: str) -> None:
    class Watched(Clock):
        rests: list[float]

        async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
            self.rests.append(timeout_seconds or 0)
            return await super().wait(event, timeout_seconds)

    clock = Watched()
    clock.rests = []
    async with node_at(database_url, listen=False) as node:
        node.engine = SandboxProvider().start(ProviderContext({}, Path(), clock, node.store))
        async with node.delivering(), connected(node):

            async def resting() -> bool:
                return max(clock.rests, default=0) > 29

            await eventually(resting)
            assert node.store.statements.count("due_events") <= 3


async def test_events_of_a_closed_session_are_skipped(node: Node) -> None:
    async with connected(node), connected(node, spec("two")) as two:
        pass
    await node.people.write("two", received("late"))
    async with connected(node) as one:
        await node.people.write("one", received("hi"))
        assert (await one.next()).provider_message_id == "hi"
        async with connected(node, spec("two")) as two:
            assert (await two.next()).provider_message_id == "late"


async def test_engine_delivers_after_the_database_was_unavailable(node: Node) -> None:
    async with connected(node) as listening:
        node.store.refused_reads = 1
        await node.people.write("one", received("hi"))
        assert (await listening.next()).provider_message_id == "hi"
        # A read that had begun before may have delivered it; the next one is refused.
        await node.people.write("one", received("again"))
        assert (await listening.next()).provider_message_id == "again"
        assert node.store.refused_reads == 0


async def test_session_with_a_lapsed_lease_gets_no_events(node: Node) -> None:
    until = float("inf")
    async with connected(node, replace(spec(), may_act_until=lambda: until)) as listening:
        until = 0.0
        await node.people.write("one", received("hi"))
        looks = node.store.statements.count("due_events")

        async def read_again() -> bool:
            return node.store.statements.count("due_events") > looks + 1

        await eventually(read_again)
        assert not listening.session.in_flight
        until = float("inf")
        assert (await listening.next()).provider_message_id == "hi"


async def test_lease_that_lapses_during_the_read_gets_no_events(node: Node) -> None:
    until = float("inf")

    def lapse() -> None:
        nonlocal until
        until = 0.0

    async with connected(node, replace(spec(), may_act_until=lambda: until)) as listening:
        node.store.after_due = lapse
        await node.people.write("one", received("hi"))

        async def read_again() -> bool:
            return until == 0.0 and node.store.statements.count("due_events") > reads

        reads = node.store.statements.count("due_events") + 1
        await eventually(read_again)
        assert not listening.session.in_flight
        node.store.after_due = lambda: None
        until = float("inf")
        assert (await listening.next()).provider_message_id == "hi"
