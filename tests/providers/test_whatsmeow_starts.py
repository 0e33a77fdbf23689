"""Sessions wait for a turn to start; broken ones are counted and restarted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.errors import SessionUnavailable
from gateway.observability.metrics import Metrics
from gateway.providers.whatsmeow import probing
from gateway.providers.whatsmeow import session_supervisor as supervising
from gateway.providers.whatsmeow.child.frames import LibraryEvent
from gateway.providers.whatsmeow.children import Children
from gateway.providers.whatsmeow.client_context import ClientContext
from gateway.providers.whatsmeow.failures import NO_ANSWER, breakage_of
from gateway.providers.whatsmeow.opening import LibraryTables
from gateway.providers.whatsmeow.process import Child, OnEvent
from gateway.providers.whatsmeow.session_supervisor import SessionSupervisor
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import SessionSpec, no_pictures
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import until


class StubChild:
    """Opens a client when the test lets it; the client then shows a code."""

    end_reason: str | None = None
    shows_code = True

    def __init__(self) -> None:
        self.subscribers: dict[str, OnEvent] = {}
        self.gone = asyncio.Event()
        self.suspended, self.acting, self.suspensions = asyncio.Event(), asyncio.Event(), 0
        self.opened, self.has_opened = 0, asyncio.Event()
        self.life: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.may_open = asyncio.Event()

    async def events_handled(self) -> None:
        pass

    async def call(self, instance_id: str, verb: str, **_arguments: object) -> dict[str, Any]:
        if verb != "open":
            return {}
        await self.may_open.wait()
        self.opened += 1
        self.has_opened.set()
        if self.shows_code:
            await self.subscribers[instance_id](
                LibraryEvent(1, instance_id, "QrShown", {"text": instance_id})
            )
        return {}

    async def end(self) -> None:
        self.gone.set()

    async def report(self, name: str) -> None:
        (handle,) = self.subscribers.values()
        await handle(LibraryEvent(1, "one", name, {}))

    def suspend(self) -> None:
        self.suspensions += 1
        self.acting.clear()
        self.suspended.set()

    def resume(self) -> None:
        self.suspended.clear()
        self.acting.set()


class StubStore:
    def __init__(self, device: str | None) -> None:
        self._device = device

    async def device(self, _instance_id: str) -> tuple[str, str] | None:
        return (self._device, "postgres") if self._device else None


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[StubChild]:
    """Every child that is started, in order."""
    children: asyncio.Queue[StubChild] = asyncio.Queue()

    async def start(*_given: object, **_named: object) -> StubChild:
        children.put_nowait(child := StubChild())
        return child

    monkeypatch.setattr(Child, "start", start)
    return children


@asynccontextmanager
async def supervised(
    *names: str,
    device: str | None = None,
    metrics: Metrics | None = None,
    changed: Callable[[ConnectionState, str | None], None] = lambda _state, _reason: None,
) -> AsyncIterator[list[SessionSupervisor]]:
    settings = WhatsmeowSettings(starts_at_once=2, restart_seconds=0.01)
    context = ClientContext(
        Children({}, Path(), instances_per_process=1, starts_at_once=settings.starts_at_once),
        cast("Store", StubStore(device)),
        settings,
        Clock(),
        Path(),
        None,
        LibraryTables(are_shared=False),
        no_pictures,
        metrics or Metrics(),
    )
    ignored: Callable[..., Any] = lambda *_told: None  # noqa: E731
    supervisors = [
        SessionSupervisor(
            SessionSpec(name, 1, {}, lambda: 0.0),
            context,
            on_state=changed,
            on_event=ignored,
            on_lid=ignored,
        )
        for name in names
    ]
    running = [asyncio.create_task(each.run()) for each in supervisors]
    try:
        yield supervisors
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def test_waiting_for_a_turn_to_start_does_not_time_out(
    started: asyncio.Queue[StubChild], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_FIRST_CODE_SECONDS", 2.0)
    async with supervised("one", "two", "three") as supervisors:
        codes = [asyncio.create_task(each.code()) for each in supervisors]
        first, second = await started.get(), await started.get()
        await asyncio.wait(codes, timeout=2.5)
        assert not any(code.done() for code in codes)
        assert started.empty()

        first.may_open.set()
        third = await started.get()
        second.may_open.set()
        third.may_open.set()
        assert await asyncio.gather(*codes) == ["one", "two", "three"]


async def test_broken_session_is_counted_and_restarted(
    started: asyncio.Queue[StubChild],
) -> None:
    metrics = Metrics()
    async with supervised("one", device="5511900000001:1@s.whatsapp.net", metrics=metrics):
        child = await started.get()
        child.may_open.set()
        child.gone.set()
        await started.get()
    counted = metrics.registry.get_sample_value(
        "session_restarts_total", {"reason": "process_ended"}
    )
    assert counted == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ChildGone(), "process_ended"),
        (VerbFailed(NO_ANSWER, "the session no longer answered"), "no_answer"),
        (VerbFailed("NotPaired", "5511900000001"), "library_error"),
        (TimeoutError(), "not_started"),
        (FileNotFoundError(), "not_started"),
    ],
)
def test_breakage_label_is_one_of_a_few(error: Exception, reason: str) -> None:
    assert breakage_of(error) == reason


async def test_caller_waiting_for_a_code_is_refused_at_close(
    started: asyncio.Queue[StubChild],
) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), supervised("one") as (session_supervisor,):
        asking = asyncio.create_task(session_supervisor.code())
        await started.get()  # it starts, and is not let to open
        session_supervisor.close()
        with pytest.raises(SessionUnavailable):
            await asking
        with pytest.raises(SessionUnavailable):
            await session_supervisor.code()


async def test_caller_waiting_for_a_code_gets_the_start_failure(
    started: asyncio.Queue[StubChild],
) -> None:
    states: list[str | None] = []
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        supervised("one", changed=lambda _s, why: states.append(why)) as (session_supervisor,),
    ):
        for _ in range(2):  # the second start is not answered with the end of the first
            asking = asyncio.create_task(session_supervisor.code())
            child = await started.get()
            child.shows_code = False
            child.may_open.set()
            child.end_reason = "failed to upgrade database: pq: SSL is not enabled on the server"
            child.gone.set()
            with pytest.raises(SessionUnavailable, match=r"key store .* pq: SSL is not"):
                await asking
        assert states[-1] == f"The key store in Postgres does not open: {child.end_reason}"

        asking = asyncio.create_task(session_supervisor.code())
        (await started.get()).may_open.set()
        assert await asking == "one"
        assert states[-1] == ConnectionState.UNPAIRED.sentence


async def test_caller_gets_the_reason_when_no_code_is_shown(
    started: asyncio.Queue[StubChild], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_FIRST_CODE_SECONDS", 0.01)
    async with asyncio.timeout(PATIENCE_SECONDS), supervised("one") as (session_supervisor,):
        asking = asyncio.create_task(session_supervisor.code())
        child = await started.get()
        child.shows_code = False
        child.may_open.set()
        with pytest.raises(SessionUnavailable, match="does not answer"):
            await asking


async def test_linked_session_without_connection_reports_why(
    started: asyncio.Queue[StubChild],
) -> None:
    states: list[tuple[ConnectionState, str | None]] = []
    device = "5511900000001:1@s.whatsapp.net"
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        supervised("one", device=device, changed=lambda *news: states.append(news)),
    ):
        child = await started.get()
        child.shows_code = False
        child.may_open.set()
        on_event = child.subscribers["one"]
        failed = "Error reconnecting: failed to dial whatsapp: lookup: no such host"
        await on_event(LibraryEvent(1, "one", "Disconnected", {}))
        await on_event(LibraryEvent(2, "one", "Unreachable", {"error": failed}))
        state, reason = states[-1]
        assert state is ConnectionState.DISCONNECTED
        assert reason
        assert reason.startswith("The name web.whatsapp.com is not found: check the DNS")


async def test_session_that_stays_away_after_a_suspension_counts_as_disconnected(
    started: asyncio.Queue[StubChild], monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[ConnectionState] = []
    away = asyncio.Event()

    def changed(state: ConnectionState, _reason: str | None) -> None:
        states.append(state)
        if state is ConnectionState.DISCONNECTED:
            away.set()

    device = "5511900000001:1@s.whatsapp.net"
    monkeypatch.setattr(supervising, "_RECONNECT_SECONDS", 0.01)
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        supervised("one", device=device, changed=changed) as (session_supervisor,),
    ):

        async def reconnected() -> bool:
            return session_supervisor.reconnected.is_set()

        child = await started.get()
        child.shows_code = False
        child.may_open.set()
        await child.has_opened.wait()
        await child.report("Connected")
        child.suspend()
        await until(reconnected, lambda is_reconnected: not is_reconnected)
        assert states[-1] is ConnectionState.CONNECTED
        child.resume()
        await away.wait()
        assert session_supervisor.reconnected.is_set()
        assert child.opened == 2
        await child.report("Connected")
        assert states[-1] is ConnectionState.CONNECTED
        assert started.empty(), "the process is the same"
