"""A session is closed and opened anew on request, one at a time."""

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
from gateway.sessions.connection import ConnectionState
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Standing
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.opening import Opener
from gateway.sessions.provider import (
    Attempt,
    ConnectionChanged,
    Delivery,
    Receipt,
    Result,
    SessionSpec,
)
from tests.fixtures.patience import PATIENCE_SECONDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class NoTimeouts(Clock):
    """What waits for an event waits until it comes."""

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        del timeout_seconds
        await event.wait()
        return True


@dataclass
class OneLease:
    """Held from the first round to the last."""

    may_act_until: float = float("inf")
    life: UUID = field(default_factory=uuid4)

    async def join(self) -> None:
        pass

    async def renew(self) -> bool:
        return True

    async def standing(self) -> Standing:
        return Standing(held=1, share=1, seconds_until_lapse=None)

    async def leave(self) -> None:
        pass

    async def held(self) -> dict[str, int]:
        return {"one": 1}


@dataclass
class Opened:
    """One opening of the session, fed by the test."""

    proxy: object = None
    settings: object = None
    told: asyncio.Queue[Delivery | Exception] = field(default_factory=asyncio.Queue)
    acknowledged: list[str] = field(default_factory=list)

    def tell(self, event_id: str) -> None:
        async def acknowledge() -> None:
            self.acknowledged.append(event_id)

        event = ConnectionChanged(ConnectionState.CONNECTED, NOW)
        self.told.put_nowait(Delivery(event, event_id, acknowledge))

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        raise NotImplementedError

    async def execute(self, operation: Operation[Result]) -> Result:
        raise NotImplementedError

    async def events(self) -> AsyncIterator[Delivery]:
        while True:
            item = await self.told.get()
            if isinstance(item, Exception):
                raise item
            yield item


class Engine:
    """Knows how many sessions were open, and how many at once."""

    def __init__(self) -> None:
        self.openings: list[Opened] = []
        self.open_now = self.most_at_once = self.refusals = 0
        self.changed = asyncio.Event()

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[Opened]:
        self.changed.set()
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("no way")
        session = Opened(spec.proxy, spec.settings)
        self.openings.append(session)
        self.open_now += 1
        self.most_at_once = max(self.most_at_once, self.open_now)
        try:
            yield session
        finally:
            self.open_now -= 1


class Inbound:
    """Writes when it is let."""

    def __init__(self) -> None:
        self.may_write, self.writing = asyncio.Event(), asyncio.Event()
        self.may_write.set()

    @asynccontextmanager
    async def listening(self, _live: object) -> AsyncIterator["Inbound"]:
        yield self

    async def take(self, _delivery: object) -> None:
        self.writing.set()
        await self.may_write.wait()


@dataclass
class Instances:
    sealed_proxy: str | None = None

    async def find(self, instance_id: str) -> Any:
        return SimpleNamespace(
            id=instance_id,
            provider="fake",
            provider_settings="sealed",
            wanted=True,
            sealed_proxy=self.sealed_proxy,
        )


class Announcements:
    """What the database would say."""

    def __init__(self) -> None:
        self.say: dict[str, Callable[[str], None]] = {}
        self.reconnect: Callable[[], None] | None = None

    def subscribe(
        self,
        channel: str,
        hear: Callable[[str], None],
        *,
        on_reconnect: Callable[[], None] | None = None,
    ) -> None:
        self.say[channel] = hear
        self.reconnect = self.reconnect or on_reconnect


@dataclass
class Stage:
    """A keeper at work, with everything around it in hand."""

    keeper: Keeper
    engine: Engine
    inbound: Inbound
    instances: Instances
    announcements: Announcements

    def change_proxy(self, sealed: str) -> None:
        self.engine.changed.clear()
        self.instances.sealed_proxy = sealed
        self.announcements.say["instance_changed"]("one")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    engine, inbound, stopping = Engine(), Inbound(), asyncio.Event()
    instances, announcements = Instances(), Announcements()
    parts: dict[str, Any] = {
        "leases": OneLease(),
        "instances": instances,
        "inbound": inbound,
        "providers": {"fake": SimpleNamespace(can_repeat_send=True)},
        "engines": {"fake": engine},
        "proxy_of": lambda instance: instance.sealed_proxy,
        "settings_of": lambda instance: {"opened": instance.provider_settings},
    }
    clock = NoTimeouts()
    keeper = Keeper(
        leases=parts["leases"],
        instances=parts["instances"],
        opener=Opener(**parts, clock=clock),
        clock=clock,
        lock=NodeLock(tmp_path, "one"),
        renew_seconds=1,
        give_seconds=1,
    )
    keeper.listen(announcements)  # type: ignore[arg-type]
    running = asyncio.create_task(keeper.run_until(stopping))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await engine.changed.wait()
            yield Stage(keeper, engine, inbound, instances, announcements)
    finally:
        stopping.set()
        with suppress(asyncio.CancelledError):
            await running


async def test_session_gets_the_opened_settings(stage: Stage) -> None:
    assert stage.engine.openings[0].settings == {"opened": "sealed"}


async def test_the_new_session_opens_after_the_old_one_closed(stage: Stage) -> None:
    before = stage.keeper.session("one")
    await stage.keeper.reopen("one")
    await stage.keeper.reopen("one")

    assert stage.keeper.session("one") is stage.engine.openings[2]
    assert before is stage.engine.openings[0]
    assert stage.engine.most_at_once == 1


async def test_what_was_told_is_written_before_the_session_closes(stage: Stage) -> None:
    first = stage.engine.openings[0]
    stage.inbound.may_write.clear()
    first.tell("a")
    await stage.inbound.writing.wait()

    reopening = asyncio.create_task(stage.keeper.reopen("one"))
    asyncio.get_running_loop().call_soon(stage.inbound.may_write.set)  # after its first step
    await reopening

    assert first.acknowledged == ["a"]
    assert "one" not in stage.keeper.connected


async def test_reopening_ends_the_pause_after_a_failure(stage: Stage) -> None:
    stage.engine.refusals = 1
    stage.engine.changed.clear()
    reopening = asyncio.create_task(stage.keeper.reopen("one"))
    await stage.engine.changed.wait()
    assert stage.keeper.session("one") is None

    await stage.keeper.reopen("one")
    await reopening

    assert len(stage.engine.openings) == 2


async def test_a_timeout_of_the_engine_is_a_failure(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[BaseException] = []
    seen = asyncio.Event()

    def report(error: BaseException, **_more: object) -> None:
        reported.append(error)
        seen.set()

    monkeypatch.setattr("gateway.sessions.opening.report_error", report)
    stage.engine.openings[0].told.put_nowait(TimeoutError("too slow"))
    await seen.wait()
    await stage.keeper.reopen("one")

    assert [str(error) for error in reported] == ["too slow"]
    assert stage.keeper.session("one") is stage.engine.openings[1]


async def test_what_this_node_does_not_hold_is_not_reopened(stage: Stage) -> None:
    with pytest.raises(SessionUnavailable, match="not open right now"):
        await stage.keeper.reopen("two")


async def test_a_new_proxy_opens_the_session_anew_once_the_message_under_way_is_answered(
    stage: Stage,
) -> None:
    changes = stage.keeper.connected.watch()
    stage.engine.openings[0].tell("a")
    await changes.wakeup.wait()
    changes.take()
    live = stage.keeper.connected.get("one")
    assert live
    with live.in_use():
        stage.change_proxy("sealed")
        await changes.wakeup.wait()  # given no more messages
        assert "one" not in stage.keeper.connected
        assert len(stage.engine.openings) == 1
    await stage.engine.changed.wait()

    assert [opening.proxy for opening in stage.engine.openings] == [None, "sealed"]
    assert stage.engine.most_at_once == 1


async def test_another_change_leaves_the_session_open(stage: Stage) -> None:
    stage.announcements.say["instance_changed"]("one")
    stage.change_proxy("sealed")
    await stage.engine.changed.wait()

    assert len(stage.engine.openings) == 2


async def test_a_new_proxy_is_found_after_its_announcement_was_lost(stage: Stage) -> None:
    stage.engine.changed.clear()
    stage.instances.sealed_proxy = "sealed"
    assert stage.announcements.reconnect
    stage.announcements.reconnect()
    await stage.engine.changed.wait()

    assert [opening.proxy for opening in stage.engine.openings] == [None, "sealed"]
