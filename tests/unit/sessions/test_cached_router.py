"""What a session answered is given again for a while, unless something changed."""

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
class CountingAsker:
    """Answers with how often it was asked."""

    asked: int = 0
    fails: bool = False
    hold: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(self, _instance: Instance, _operation: Operation[Any]) -> int:
        self.asked += 1
        answer = self.asked
        self.begun.set()
        if self.hold:
            await self.hold.wait()
        if self.fails:
            raise SessionUnavailable("away")
        return answer


@dataclass
class SettableClock(Clock):
    now_seconds: float = 0.0

    def monotonic_seconds(self) -> float:
        return self.now_seconds


@dataclass
class Caller:
    router: CountingAsker = field(default_factory=CountingAsker)
    clock: SettableClock = field(default_factory=SettableClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.remembering = CachedSessionRouter(
            cast("SessionRouter", self.router), self.clock, self.metrics
        )

    async def execute(self, instance: Instance = ONE, operation: Operation[Any] = LIST) -> Any:
        return await self.remembering.execute(instance, operation)

    def hits(self) -> float | None:
        labels = {"operation": "ListJoinedGroups", "answered_from": "memory"}
        return self.metrics.registry.get_sample_value("session_reads_total", labels)


@pytest.fixture
def caller() -> Caller:
    return Caller()


async def test_an_answer_is_given_again_until_its_time_is_up(caller: Caller) -> None:
    assert [await caller.execute(), await caller.execute()] == [1, 1]
    assert caller.hits() == 1
    caller.clock.now_seconds = LIST.cache_ttl_seconds
    assert await caller.execute() == 2


async def test_instances_do_not_share_answers(caller: Caller) -> None:
    assert [await caller.execute(ONE), await caller.execute(TWO), await caller.execute(ONE)] == [
        1,
        2,
        1,
    ]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_change_forgets_even_when_it_seems_to_fail(caller: Caller, fails: bool) -> None:  # noqa: FBT001 - the case
    await caller.execute()
    caller.router.fails = fails
    try:
        await caller.execute(operation=RENAME)
    except SessionUnavailable:
        assert fails
    caller.router.fails = False
    assert await caller.execute() == 3


async def test_what_whatsapp_says_of_a_chat_forgets_and_a_message_does_not(caller: Caller) -> None:
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
    caller.remembering.hear(ONE, text)
    assert await caller.execute() == 1
    caller.remembering.hear(ONE, Notified(code="GROUP_CHANGE_SUBJECT", chat=chat, at=now))
    assert await caller.execute() == 2


async def test_an_answer_from_before_a_change_is_not_remembered(caller: Caller) -> None:
    caller.router.hold = asyncio.Event()
    reading = asyncio.create_task(caller.execute())
    await caller.router.begun.wait()
    caller.remembering.forget(ONE.id)
    caller.router.hold.set()
    assert await reading == 1
    assert await caller.execute() == 2
