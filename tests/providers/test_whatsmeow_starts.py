"""Sessions that start wait for their turn; those that break are counted and start again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.errors import SessionUnavailable
from gateway.observability.metrics import Metrics
from gateway.providers.whatsmeow import session_supervisor as module
from gateway.providers.whatsmeow.failures import NO_ANSWER, breakage_of
from gateway.providers.whatsmeow.process import Child, ChildGone, Children, Hear, VerbFailed
from gateway.providers.whatsmeow.session_supervisor import ClientContext, SessionSupervisor
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store
from gateway.sessions.provider import SessionSpec, no_pictures
from gateway.whatsmeow_child.frames import Tell


class StubChild:
    """Opens a client, which shows a code, when it is let."""

    def __init__(self) -> None:
        self.ears: dict[str, Hear] = {}
        self.gone = asyncio.Event()
        self.may_open = asyncio.Event()

    async def heard_out(self) -> None:
        pass

    async def execute(self, instance_id: str, verb: str, **_arguments: object) -> None:
        if verb == "close":
            return
        assert verb == "open"
        await self.may_open.wait()
        await self.ears[instance_id](Tell(1, instance_id, "QrShown", {"text": instance_id}))

    async def end(self) -> None:
        self.gone.set()


class StubStore:
    def __init__(self, device: str | None) -> None:
        self._device = device

    async def device(self, _instance_id: str) -> tuple[str, str] | None:
        return (self._device, "postgres") if self._device else None


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[StubChild]:
    """Every child, as soon as it is started."""
    children: asyncio.Queue[StubChild] = asyncio.Queue()

    async def start(*_given: object, **_named: object) -> StubChild:
        children.put_nowait(child := StubChild())
        return child

    monkeypatch.setattr(Child, "start", start)
    return children


@asynccontextmanager
async def kept_up(
    *names: str, device: str | None = None, metrics: Metrics | None = None
) -> AsyncIterator[list[SessionSupervisor]]:
    settings = WhatsmeowSettings(starts_at_once=2, restart_seconds=0.01)
    context = ClientContext(
        Children({}, Path(), instances_per_process=1, starts_at_once=settings.starts_at_once),
        cast("Store", StubStore(device)),
        settings,
        Clock(),
        Path(),
        "",
        no_pictures,
        metrics or Metrics(),
    )
    ignored: Callable[..., Any] = lambda *_told: None  # noqa: E731
    upkeeps = [
        SessionSupervisor(
            SessionSpec(name, 1, {}, lambda: 0.0), context, changed=ignored, happened=ignored
        )
        for name in names
    ]
    running = [asyncio.create_task(each.run()) for each in upkeeps]
    try:
        yield upkeeps
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def test_who_waits_for_a_turn_to_start_is_not_out_of_time(
    started: asyncio.Queue[StubChild], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_CODE_SECONDS", 0.05)
    async with kept_up("one", "two", "three") as upkeeps:
        codes = [asyncio.create_task(each.code()) for each in upkeeps]
        first, second = await started.get(), await started.get()
        await asyncio.wait(codes, timeout=0.2)
        assert not any(code.done() for code in codes)
        assert started.empty()

        first.may_open.set()
        third = await started.get()
        second.may_open.set()
        third.may_open.set()
        assert await asyncio.gather(*codes) == ["one", "two", "three"]


async def test_a_session_that_breaks_is_counted_and_started_again(
    started: asyncio.Queue[StubChild],
) -> None:
    metrics = Metrics()
    async with kept_up("one", device="5511900000001:1@s.whatsapp.net", metrics=metrics):
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
def test_what_broke_is_one_of_a_few_words(error: Exception, reason: str) -> None:
    assert breakage_of(error) == reason


async def test_who_waits_for_a_code_is_told_when_the_session_closes(
    started: asyncio.Queue[StubChild],
) -> None:
    async with asyncio.timeout(10), kept_up("one") as (session_supervisor,):
        asking = asyncio.create_task(session_supervisor.code())
        await started.get()  # it starts, and is not let to open
        session_supervisor.close()
        with pytest.raises(SessionUnavailable):
            await asking
        with pytest.raises(SessionUnavailable):
            await session_supervisor.code()
