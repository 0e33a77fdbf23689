"""A session is closed and opened again on request, and never open twice at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.errors import SessionUnavailable
from gateway.instances.store import Instance
from gateway.sessions.connection import ConnectionState
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import LeaseShare
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.opening import Opener
from gateway.sessions.provider import (
    Attempt,
    ConnectionChanged,
    Event,
    Receipt,
    ReportedEvent,
    Result,
    SessionSpec,
)
from gateway.sessions.subscribers import EventSubscribers
from tests.fixtures.patience import PATIENCE_SECONDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class EndlessClock(Clock):
    """A wait with a pause lasts until its event is set."""

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        if timeout_seconds is not None and timeout_seconds <= 0:
            return event.is_set()
        await event.wait()
        return True


@dataclass
class OneLease:
    """This node owns one lease from the first round to the last."""

    may_act_until: float = float("inf")
    life: UUID = field(default_factory=uuid4)

    async def join(self) -> None:
        pass

    async def renew(self) -> bool:
        return True

    async def share(self) -> LeaseShare:
        return LeaseShare(owned=1, share=1, seconds_until_lapse=None)

    async def leave(self) -> None:
        pass

    async def owned(self) -> dict[str, int]:
        return {"one": 1}


@dataclass
class FakeSession:
    """One opening of the session, which reports what the test says."""

    proxy: object = None
    settings: object = None
    reports: asyncio.Queue[ReportedEvent | Exception] = field(default_factory=asyncio.Queue)
    acknowledged: list[str] = field(default_factory=list)

    def report(self, event_id: str, *failures: Exception) -> None:
        left = list(failures)

        async def acknowledge() -> None:
            if left:
                raise left.pop()
            self.acknowledged.append(event_id)

        event = ConnectionChanged(ConnectionState.CONNECTED, NOW)
        self.reports.put_nowait(ReportedEvent(event, event_id, acknowledge))

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        raise NotImplementedError

    async def execute(self, operation: Operation[Result]) -> Result:
        raise NotImplementedError

    async def check_health(self) -> None:
        pass

    async def events(self) -> AsyncIterator[ReportedEvent]:
        while True:
            item = await self.reports.get()
            if isinstance(item, Exception):
                raise item
            yield item


class Engine:
    """Counts the sessions that were open, and how many at once."""

    def __init__(self) -> None:
        self.openings: list[FakeSession] = []
        self.open_now = self.max_at_once = self.refusals = 0
        self.changed = asyncio.Event()

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[FakeSession]:
        self.changed.set()
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("refused")
        session = FakeSession(spec.proxy, spec.settings)
        self.openings.append(session)
        self.open_now += 1
        self.max_at_once = max(self.max_at_once, self.open_now)
        try:
            yield session
        finally:
            self.open_now -= 1


class Inbound:
    """Stores events, while the test lets it."""

    def __init__(self) -> None:
        self.may_store, self.storing = asyncio.Event(), asyncio.Event()
        self.may_store.set()

    @asynccontextmanager
    async def receiving(self, _live: object) -> AsyncIterator["Inbound"]:
        yield self

    async def store(self, _reported: object) -> None:
        self.storing.set()
        await self.may_store.wait()


@dataclass
class Instances:
    sealed_proxy: str | None = None

    async def find(self, instance_id: str) -> Any:
        return SimpleNamespace(
            id=instance_id,
            provider="fake",
            connection_id="active",
            provider_settings="sealed",
            wanted=True,
            sealed_proxy=self.sealed_proxy,
        )


class FakeNotifications:
    """The subscriptions, for the test to call."""

    def __init__(self) -> None:
        self.notify: dict[str, Callable[[str], None]] = {}
        self.reconnect: Callable[[], None] | None = None

    def subscribe(
        self,
        channel: str,
        on_payload: Callable[[str], None],
        *,
        on_reconnect: Callable[[], None] | None = None,
    ) -> None:
        self.notify[channel] = on_payload
        self.reconnect = self.reconnect or on_reconnect


@dataclass
class Node:
    """A running keeper with the fakes around it."""

    keeper: Keeper
    engine: Engine
    inbound: Inbound
    instances: Instances
    notifications: FakeNotifications
    published: asyncio.Queue[tuple[Instance, Event]]

    def change_proxy(self, sealed: str) -> None:
        self.engine.changed.clear()
        self.instances.sealed_proxy = sealed
        self.notifications.notify["instance_changed"]("one")


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    engine, inbound, stopping = Engine(), Inbound(), asyncio.Event()
    instances, notifications = Instances(), FakeNotifications()
    subscribers, published = EventSubscribers(), asyncio.Queue[tuple[Instance, Event]]()
    subscribers.subscribe(lambda instance, event: published.put_nowait((instance, event)))
    parts: dict[str, Any] = {
        "leases": OneLease(),
        "instances": instances,
        "inbound": inbound,
        "subscribers": subscribers,
        "providers": {"fake": SimpleNamespace(can_repeat_send=True)},
        "engines": {"fake": engine},
        "proxy_of": lambda instance: instance.sealed_proxy,
        "settings_of": lambda instance: {"opened": instance.provider_settings},
    }
    clock = EndlessClock()
    keeper = Keeper(
        leases=parts["leases"],
        instances=parts["instances"],
        opener=Opener(**parts, clock=clock),
        clock=clock,
        lock=NodeLock(tmp_path, "one"),
        renew_seconds=1,
        release_seconds=1,
    )
    keeper.listen(notifications)  # type: ignore[arg-type]
    running = asyncio.create_task(keeper.run_until(stopping))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await engine.changed.wait()
            yield Node(keeper, engine, inbound, instances, notifications, published)
    finally:
        stopping.set()
        with suppress(asyncio.CancelledError):
            await running


async def test_session_gets_the_opened_settings(node: Node) -> None:
    assert node.engine.openings[0].settings == {"opened": "sealed"}


async def test_reopen_closes_the_old_session_first(node: Node) -> None:
    before = node.keeper.session("one")
    await node.keeper.reopen("one")
    await node.keeper.reopen("one")

    assert node.keeper.session("one") is node.engine.openings[2]
    assert before is node.engine.openings[0]
    assert node.engine.max_at_once == 1


async def test_revive_opens_the_session_again(node: Node) -> None:
    node.engine.changed.clear()
    node.keeper.revive("one")
    await node.engine.changed.wait()

    assert len(node.engine.openings) == 2
    assert node.engine.max_at_once == 1


async def test_revive_opens_a_lease_that_has_no_task(node: Node) -> None:
    node.engine.changed.clear()
    task = node.keeper._owned["one"].task
    task.cancel()
    await asyncio.wait({task})
    node.keeper.revive("one")
    await node.engine.changed.wait()

    assert node.engine.open_now == 1


async def test_reopen_stores_the_event_in_hand_first(node: Node) -> None:
    first = node.engine.openings[0]
    node.inbound.may_store.clear()
    first.report("a")
    await node.inbound.storing.wait()

    reopening = asyncio.create_task(node.keeper.reopen("one"))
    asyncio.get_running_loop().call_soon(
        node.inbound.may_store.set
    )  # after the first step of `reopen`
    await reopening

    assert first.acknowledged == ["a"]
    assert "one" not in node.keeper.connected


async def test_opener_publishes_an_event_once_it_is_stored(node: Node) -> None:
    first = node.engine.openings[0]
    node.inbound.may_store.clear()
    first.report("a")
    await node.inbound.storing.wait()
    assert node.published.empty()
    node.inbound.may_store.set()
    instance, event = await node.published.get()

    assert (instance.id, event) == ("one", ConnectionChanged(ConnectionState.CONNECTED, NOW))


async def test_reopen_after_a_failed_opening_ends_the_pause(node: Node) -> None:
    node.engine.refusals = 1
    node.engine.changed.clear()
    reopening = asyncio.create_task(node.keeper.reopen("one"))
    await node.engine.changed.wait()
    assert node.keeper.session("one") is None

    await node.keeper.reopen("one")
    await reopening

    assert len(node.engine.openings) == 2


async def test_opener_reports_a_timeout_of_the_engine(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[BaseException] = []
    seen = asyncio.Event()

    def report(error: BaseException, **_more: object) -> None:
        reported.append(error)
        seen.set()

    monkeypatch.setattr("gateway.sessions.opening.report_error", report)
    node.engine.openings[0].reports.put_nowait(TimeoutError("too slow"))
    await seen.wait()
    await node.keeper.reopen("one")

    assert [str(error) for error in reported] == ["too slow"]
    assert node.keeper.session("one") is node.engine.openings[1]


async def test_reopen_without_a_lease_raises(node: Node) -> None:
    with pytest.raises(SessionUnavailable, match="not open right now"):
        await node.keeper.reopen("two")


async def test_new_proxy_reopens_after_the_attempt_in_flight(
    node: Node,
) -> None:
    changes = node.keeper.connected.watch()
    node.engine.openings[0].report("a")
    await changes.wakeup.wait()
    changes.take()
    live = node.keeper.connected.get("one")
    assert live
    with live.in_use():
        node.change_proxy("sealed")
        await changes.wakeup.wait()  # the session gets no more messages
        assert "one" not in node.keeper.connected
        assert len(node.engine.openings) == 1
    await node.engine.changed.wait()

    assert [opening.proxy for opening in node.engine.openings] == [None, "sealed"]
    assert node.engine.max_at_once == 1


async def test_change_without_a_new_proxy_keeps_the_session(node: Node) -> None:
    node.notifications.notify["instance_changed"]("one")
    node.change_proxy("sealed")
    await node.engine.changed.wait()

    assert len(node.engine.openings) == 2


async def test_new_proxy_is_found_after_a_lost_notification(node: Node) -> None:
    node.engine.changed.clear()
    node.instances.sealed_proxy = "sealed"
    assert node.notifications.reconnect
    node.notifications.reconnect()
    await node.engine.changed.wait()

    assert [opening.proxy for opening in node.engine.openings] == [None, "sealed"]
