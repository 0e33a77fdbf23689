"""An instance set to do so marks messages as read and rejects calls, one event after another."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.clock import Clock
from gateway.contract.internal.presence import MarkRead, RejectCall
from gateway.contract.operation import Operation
from gateway.contract.spellings import STATUS_BROADCAST
from gateway.errors import SessionUnavailable
from gateway.instances.store import Instance
from gateway.sessions.auto_actions import AutoActions, marks_as_read
from gateway.sessions.provider import CallChanged, MessageReceived
from tests.fixtures.patience import PATIENCE_SECONDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANA = "5511988888888"
CALL = CallChanged(call_id="C", chat=ANA, status="offered", is_video=False, at=NOW)


def instance(**settings: Any) -> Instance:
    defaults = {
        "id": "one",
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
        self.failures = 0
        self.actions = AutoActions(cast("Any", self), cast("Any", self), self._enqueue, Clock())

    async def execute(self, _first: object, operation: Any = None, **_parameters: object) -> None:
        if operation is None:
            return  # a statement, not an operation
        await self.operations.put(operation)
        if self.failures:
            self.failures -= 1
            raise SessionUnavailable("away")

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


async def test_auto_actions_after_a_failure_act_on_the_next_event() -> None:
    edges, stopping = Edges(), asyncio.Event()
    edges.failures = 1
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(edges.actions.run_until(stopping))
            for message_id in ("A", "B"):
                edges.actions.on_event(instance(auto_read_message=True), message(message_id))
            read = [await edges.operations.get() for _ in range(2)]
            stopping.set()

    assert [cast("MarkRead", each).message_ids for each in read] == [("A",), ("B",)]
    assert [entry["event"] for entry in logs] == ["auto_action_failed"]


@pytest.mark.parametrize("messages", [True, False])
@pytest.mark.parametrize("statuses", [True, False])
def test_marks_as_read_for_a_status_needs_both_switches(*, messages: bool, statuses: bool) -> None:
    owner = instance(auto_read_message=messages, auto_read_status=statuses)

    assert marks_as_read(owner, ANA) is messages
    assert marks_as_read(owner, STATUS_BROADCAST) is (messages and statuses)
