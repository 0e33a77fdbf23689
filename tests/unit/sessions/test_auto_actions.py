"""An instance set to do so marks messages as read and rejects calls, one event after another."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.clock import Clock
from gateway.contract.internal.presence import MarkRead, RejectCall
from gateway.contract.operation import Operation
from gateway.contract.spellings import STATUS_BROADCAST
from gateway.errors import InvalidRequest, SessionUnavailable
from gateway.instances.store import Instance
from gateway.sessions.auto_actions import AutoActions, marks_as_read
from gateway.sessions.provider import CallChanged, MessageReceived
from tests.fixtures.patience import PATIENCE_SECONDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANA = "5511988888888"
CALL = CallChanged(call_id="C", chat=ANA, status="offered", is_video=False, at=NOW)


class SteppedClock(Clock):
    """Moves on by each pause, and pauses no longer than a moment."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic_seconds(self) -> float:
        return self.seconds

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        if timeout_seconds:
            self.seconds += timeout_seconds
        return await super().wait(event, timeout_seconds and 0.001)


def instance(instance_id: str = "one", **settings: Any) -> Instance:
    defaults = {
        "id": instance_id,
        "call_reject_auto": False,
        "call_reject_message": None,
        "auto_read_message": False,
        "auto_read_status": False,
    }
    return cast("Instance", SimpleNamespace(**defaults | settings))


def message(message_id: str, *, from_me: bool = False) -> MessageReceived:
    return MessageReceived(
        provider_message_id=message_id,
        chat=ANA,
        sender=ANA,
        sender_name=None,
        from_me=from_me,
        at=NOW,
        kind="text",
        content={},
    )


class Edges:
    """The session, the database and the queue, which record what they are given."""

    def __init__(self) -> None:
        self.operations = asyncio.Queue[Operation[Any]]()
        self.texts = asyncio.Queue[tuple[str, str]]()
        self.failures = list[Exception]()
        self.hanging, self.hangs = "", asyncio.Event()
        self.clock = SteppedClock()
        self.actions = AutoActions(cast("Any", self), cast("Any", self), self._enqueue, self.clock)

    async def execute(self, first: object, operation: Any = None, **_parameters: object) -> None:
        if operation is None:
            return  # a statement, not an operation
        if cast("Instance", first).id == self.hanging:
            self.hangs.set()
            await asyncio.Event().wait()
        await self.operations.put(operation)
        if self.failures:
            raise self.failures.pop(0)

    async def _enqueue(self, _instance: Instance, phone: str, text: str) -> None:
        await self.texts.put((phone, text))


async def test_auto_actions_mark_a_message_as_read() -> None:
    edges, stopping = Edges(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(edges.actions.run_until(stopping))
        edges.actions.on_event(instance(auto_read_message=True), message("own", from_me=True))
        edges.actions.on_event(instance(), message("unset"))
        edges.actions.on_event(instance(auto_read_message=True), message("M"))
        read = await edges.operations.get()
        stopping.set()

    assert read == MarkRead(phone=ANA, message_ids=("M",), sender=ANA)
    assert edges.operations.empty()


async def test_auto_actions_reject_a_call_with_a_text() -> None:
    edges, stopping = Edges(), asyncio.Event()
    rejecting = instance(call_reject_auto=True, call_reject_message="Write to me")
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(edges.actions.run_until(stopping))
        edges.actions.on_event(rejecting, CALL)
        assert await edges.operations.get() == RejectCall(phone=ANA, call_id="C")
        assert await edges.texts.get() == (ANA, "Write to me")
        stopping.set()


async def test_auto_actions_after_a_refusal_act_on_the_next_event() -> None:
    edges, stopping = Edges(), asyncio.Event()
    edges.failures = [InvalidRequest("no")]
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(edges.actions.run_until(stopping))
            for message_id in ("A", "B"):
                edges.actions.on_event(instance(auto_read_message=True), message(message_id))
            read = [await edges.operations.get() for _ in range(2)]
            stopping.set()

    assert [cast("MarkRead", each).message_ids for each in read] == [("A",), ("B",)]
    assert [entry["event"] for entry in logs] == ["auto_action_failed"]


async def test_auto_actions_try_again_until_the_session_can_act() -> None:
    edges, stopping = Edges(), asyncio.Event()
    edges.failures = [SessionUnavailable("away")] * 3
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(edges.actions.run_until(stopping))
        edges.actions.on_event(instance(auto_read_message=True), message("A"))
        read = [await edges.operations.get() for _ in range(4)]
        stopping.set()

    assert [cast("MarkRead", each).message_ids for each in read] == [("A",)] * 4
    assert edges.clock.seconds == 1 + 2 + 4


@pytest.mark.parametrize(
    ("event", "max_seconds"), [(CALL, 60.0), (message("A"), 300.0)], ids=["call", "message"]
)
async def test_auto_actions_give_up_an_old_action(
    event: MessageReceived | CallChanged, max_seconds: float
) -> None:
    edges, stopping = Edges(), asyncio.Event()
    edges.failures = [SessionUnavailable("away")] * 100
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(edges.actions.run_until(stopping))
            edges.actions.on_event(instance(auto_read_message=True, call_reject_auto=True), event)
            while edges.clock.seconds < max_seconds:
                await edges.operations.get()
            edges.failures.clear()
            edges.actions.on_event(instance(auto_read_message=True), message("next"))
            assert cast("MarkRead", await edges.operations.get()).message_ids == ("next",)
            stopping.set()

    assert [entry["reason"] for entry in logs] == ["too_late"]
    assert max_seconds <= edges.clock.seconds < max_seconds + 15


async def test_auto_actions_skip_a_call_that_is_reported_late() -> None:
    edges, stopping = Edges(), asyncio.Event()
    edges.clock.seconds = 61.0
    edges.actions.on_event(instance(call_reject_auto=True), CALL)
    edges.actions.on_event(instance("two", auto_read_message=True), message("A"))
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(edges.actions.run_until(stopping))
        assert isinstance(await edges.operations.get(), MarkRead)
        stopping.set()

    assert edges.operations.empty()


async def test_auto_actions_of_a_silent_session_do_not_delay_others() -> None:
    edges, stopping = Edges(), asyncio.Event()
    edges.hanging = "one"
    async with asyncio.timeout(PATIENCE_SECONDS):
        running = asyncio.create_task(edges.actions.run_until(stopping))
        edges.actions.on_event(instance("one", auto_read_message=True), message("A"))
        await edges.hangs.wait()
        edges.actions.on_event(instance("two", auto_read_message=True), message("B"))
        read = await edges.operations.get()
        running.cancel()
        await asyncio.wait({running})

    assert cast("MarkRead", read).message_ids == ("B",)


async def test_auto_actions_that_stop_act_on_some_of_what_waits() -> None:
    edges, stopping = Edges(), asyncio.Event()
    with capture_logs() as logs:
        for n in range(1_001):
            edges.actions.on_event(instance(auto_read_message=True), message(f"{n}"))
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(edges.actions.run_until(stopping))
        asyncio.get_running_loop().call_soon(stopping.set)

    assert [entry["reason"] for entry in logs] == ["too_many"]
    assert 50 <= edges.operations.qsize() <= 1_000


@pytest.mark.parametrize("messages", [True, False])
@pytest.mark.parametrize("statuses", [True, False])
def test_marks_as_read_for_a_status_needs_both_switches(*, messages: bool, statuses: bool) -> None:
    owner = instance(auto_read_message=messages, auto_read_status=statuses)

    assert marks_as_read(owner, ANA) is messages
    assert marks_as_read(owner, STATUS_BROADCAST) is (messages and statuses)
