"""A cached result is returned until it expires or the instance changes."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.contract.zapi.groups.group import ListJoinedGroups, RenameGroup
from gateway.errors import SessionUnavailable
from gateway.instances.store import Instance
from gateway.observability.metrics import Metrics
from gateway.sessions.cached_router import CachedSessionRouter
from gateway.sessions.provider import MessageReceived, Notified
from gateway.sessions.router import SessionRouter

ONE, TWO = (cast("Instance", SimpleNamespace(id=id_)) for id_ in ("one", "two"))
LIST = ListJoinedGroups()
RENAME = RenameGroup(group_id="120363019502650977-group", group_name="New")


@dataclass
class CountingRouter:
    """Returns how many calls it has had."""

    calls: int = 0
    fails: bool = False
    may_return: asyncio.Event | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(self, _instance: Instance, _operation: Operation[Any]) -> int:
        self.calls += 1
        result = self.calls
        self.started.set()
        if self.may_return:
            await self.may_return.wait()
        if self.fails:
            raise SessionUnavailable("away")
        return result


@dataclass
class SettableClock(Clock):
    now_seconds: float = 0.0

    def monotonic_seconds(self) -> float:
        return self.now_seconds


@dataclass
class Caller:
    router: CountingRouter = field(default_factory=CountingRouter)
    clock: SettableClock = field(default_factory=SettableClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.cached_router = CachedSessionRouter(
            cast("SessionRouter", self.router), self.clock, self.metrics
        )

    async def execute(self, instance: Instance = ONE, operation: Operation[Any] = LIST) -> Any:
        return await self.cached_router.execute(instance, operation)

    def hits(self) -> float | None:
        labels = {"operation": "ListJoinedGroups", "answered_from": "memory"}
        return self.metrics.registry.get_sample_value("session_reads_total", labels)


@pytest.fixture
def caller() -> Caller:
    return Caller()


async def test_cached_router_before_expiry_returns_the_same_result(caller: Caller) -> None:
    assert [await caller.execute(), await caller.execute()] == [1, 1]
    assert caller.hits() == 1
    caller.clock.now_seconds = LIST.cache_ttl_seconds
    assert await caller.execute() == 2


async def test_cached_router_keeps_instances_apart(caller: Caller) -> None:
    assert [await caller.execute(ONE), await caller.execute(TWO), await caller.execute(ONE)] == [
        1,
        2,
        1,
    ]


@pytest.mark.parametrize("fails", [False, True])
async def test_cached_router_after_a_write_reads_again(caller: Caller, fails: bool) -> None:  # noqa: FBT001 - a parameter of the test
    await caller.execute()
    caller.router.fails = fails
    try:
        await caller.execute(operation=RENAME)
    except SessionUnavailable:
        assert fails
    caller.router.fails = False
    assert await caller.execute() == 3


async def test_cached_router_is_cleared_by_notifications_only(caller: Caller) -> None:
    chat, now = "120363019502650977-group", datetime.now(UTC)
    text = MessageReceived(
        provider_message_id="1",
        chat=chat,
        sender=None,
        sender_name=None,
        from_me=False,
        at=now,
        kind="text",
        content={},
    )

    await caller.execute()
    caller.cached_router.on_event(ONE, text)
    assert await caller.execute() == 1
    caller.cached_router.on_event(ONE, Notified(code="GROUP_CHANGE_SUBJECT", chat=chat, at=now))
    assert await caller.execute() == 2


async def test_cached_router_drops_a_result_older_than_a_change(caller: Caller) -> None:
    caller.router.may_return = asyncio.Event()
    reading = asyncio.create_task(caller.execute())
    await caller.router.started.wait()
    caller.cached_router.clear(ONE.id)
    caller.router.may_return.set()
    assert await reading == 1
    assert await caller.execute() == 2
