"""Random steps on one queue end as a small model of the queue's promises says."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.extensions.queue_control import MoveToFront, RetryQueued
from gateway.contract.send import Priority
from gateway.contract.zapi.instance_queue import RemoveFromQueue
from gateway.database.queries import query
from gateway.errors import Conflict
from gateway.instances.store import Instance
from gateway.send_queue.claim_cursor import ClaimCursor, ClaimedMessage
from gateway.send_queue.control import move_to_front, retry
from gateway.send_queue.operations import remove_from_queue
from gateway.send_queue.outcome import Failed, HandedBack, Held, Retried
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.schedule import Schedule
from tests.fixtures.queue import Node, add_instances, at_once, rows, running_node, taken
from tests.postgres.test_queue_races import Phone

PARK_FOR_FILE = query("send_queue", "park_for_file")
MAX_PARKED = 2
CHATS = ("5511999999991", "5511999999992", "5511999999993", "5511999999994")
_LONG_SECONDS = 3_600.0
_ENDS = ("sent", "failed", "canceled")


@dataclass
class ModelMessage:
    """One message in the model."""

    lane: Priority
    position: int
    chat: str
    state: str = "waiting"
    """waiting, later, retrying, awaiting its file, sent, failed or canceled"""
    is_parked: bool = False


@dataclass
class Model:
    """A queue in memory; messages by messageId."""

    messages: dict[str, ModelMessage] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    fronts: "itertools.count[int]" = field(default_factory=lambda: itertools.count(-1, -1))
    connected: bool = True
    paused: bool = False
    held: bool = False

    def heads(self) -> set[str]:
        """Returns the first message of each lane whose chat has no parked message.

        A message that rests, because as many are parked as may be, holds its lane, until its turn
        may park it.
        """
        if self.paused or self.held or not self.connected:
            return set()
        for lane in Priority:
            while (head := self._first(lane)) and head.state == "retrying" and self.may_park():
                head.is_parked = True
        first = {message_id: self.messages[message_id] for message_id in self._first_ids()}
        return {message_id for message_id, message in first.items() if message.state == "waiting"}

    def may_park(self) -> bool:
        return sum(message.is_parked for message in self.messages.values()) < MAX_PARKED

    def wait_again(self, message: ModelMessage) -> None:
        message.state, message.is_parked = "waiting", False

    def _first(self, lane: Priority) -> ModelMessage | None:
        blocked = {message.chat for message in self.messages.values() if message.is_parked}
        waiting = [
            message
            for message in self.messages.values()
            if message.lane is lane
            and message.state in ("waiting", "retrying")
            and message.chat not in blocked
        ]
        return min(waiting, key=lambda message: message.position, default=None)

    def _first_ids(self) -> list[str]:
        heads = [self._first(lane) for lane in Priority]
        return [m for m, message in self.messages.items() if any(message is h for h in heads)]


@dataclass
class Run:
    """A queue and its model, changed by the same steps."""

    node: Node
    operator: AsyncConnection
    instance: Instance
    model: Model = field(default_factory=Model)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cursor = ClaimCursor(self.instance.id, epoch=1)
        self.ids: list[str] = []
        self.files: dict[str, int] = {}

    async def enqueue(
        self,
        lane: Priority,
        later: bool,  # noqa: FBT001 - a generated step
        chat: str,
    ) -> None:
        due = datetime.now(UTC) + timedelta(days=1) if later else None
        queued = await self.node.enqueue(
            self.instance, "hi", phone=chat, priority=lane, scheduled_for=due
        )
        state = "later" if later else "waiting"
        promised = ModelMessage(lane, next(self.model.numbers), chat, state)
        self.model.messages[queued.message_id] = promised
        self.ids.append(queued.message_id)

    async def send(self, outcome: Callable[[ClaimedMessage], Any], state: str) -> None:
        """Claims a message and records an outcome."""
        if (claimed := await self._claim()) is None:
            return
        assert await self.node.starter.start(claimed)
        await self.node.recorder.record(claimed, outcome(claimed))
        message = self.model.messages[claimed.message_id]
        message.is_parked = state == "retrying" and self.model.may_park()
        message.state = state
        if state == "sent":
            self.sent.append(claimed.message_id)

    async def await_file(self) -> None:
        """Claims a message whose file is not ready."""
        if (claimed := await self._claim()) is None:
            return
        may_park = self.model.may_park()
        parked = await self.node.database.fetch_dicts(
            PARK_FOR_FILE,
            instance_id=claimed.instance_id,
            id=claimed.id,
            epoch=1,
            claim_id=claimed.claim_id,
            default_order="chat",
            max_parked=MAX_PARKED,
            max_seconds=_LONG_SECONDS,
        )
        assert bool(parked) is may_park
        if parked:
            message = self.model.messages[claimed.message_id]
            message.state, message.is_parked = "awaiting", True
            self.files[claimed.message_id] = claimed.id
        else:
            await self.node.recorder.record(claimed, HandedBack())

    async def file_comes(self, nth: int) -> None:
        if (name := self._one(nth)) and self.model.messages[name].state == "awaiting":
            self.cursor.ready_ids.add(self.files[name])
            self.model.wait_again(self.model.messages[name])

    async def hold(self) -> None:
        if (claimed := await self._claim()) is None:
            return
        assert await self.node.starter.start(claimed)
        until = datetime.now(UTC) + timedelta(seconds=_LONG_SECONDS)
        await self.node.recorder.record(claimed, Held(until, "quiet"))
        self.model.held = True

    async def crash(self, started: bool) -> None:  # noqa: FBT001 - a generated step
        """The worker dies after a claim; its successor rescues the message."""
        if (claimed := await self._claim()) is None:
            return
        if started:
            assert await self.node.starter.start(claimed)
        rescue, stopping = (
            Rescue(self.node.database, self.node.recorder, at_once()),
            asyncio.Event(),
        )
        running = asyncio.create_task(rescue.run_until(stopping))
        await rescue.process(self.node.live(self.instance, Phone()))
        stopping.set()
        await running
        self.cursor = ClaimCursor(self.instance.id, epoch=1)
        for message in self.model.messages.values():
            if message.state == "awaiting":  # the new worker fetches the files again
                self.model.wait_again(message)

    async def _claim(self) -> ClaimedMessage | None:
        heads = self.model.heads()
        self.cursor.has_parked = True
        claimed = await self.node.claimer.claim(self.cursor)
        assert (claimed is not None) is bool(heads), (claimed, heads)
        assert claimed is None or claimed.message_id in heads
        return claimed

    async def cancel(self, nth: int) -> None:
        if name := self._one(nth):
            message = self.model.messages[name]
            with suppress(Conflict):
                await remove_from_queue(
                    self.node.queue_context(self.instance), RemoveFromQueue(zaap_id=name)
                )
                assert message.state not in _ENDS
            if message.state not in _ENDS:
                message.state, message.is_parked = "canceled", False

    async def retry(self, nth: int) -> None:
        if name := self._one(nth):
            message = self.model.messages[name]
            try:
                await retry(self.node.queue_context(self.instance), RetryQueued(zaap_id=name))
            except Conflict:
                assert message.state not in ("failed", "retrying")
            else:
                # A message that waits after an attempt may be retried too, without effect.
                assert message.state in ("failed", "retrying", "awaiting", "waiting")
                self.model.wait_again(message)

    async def move_to_front(self, nth: int) -> None:
        if name := self._one(nth):
            message = self.model.messages[name]
            may = message.state not in _ENDS
            try:
                await move_to_front(
                    self.node.queue_context(self.instance), MoveToFront(zaap_id=name)
                )
            except Conflict:
                assert not may
            else:
                assert may
                message.position = next(self.model.fronts)
                self.model.wait_again(message)

    async def time_passes(self) -> None:
        """Makes scheduled, retried and held messages due."""
        await self.operator.execute(
            "update message_queue set due_at = now() where instance_id = %s", [self.instance.id]
        )
        await self.switch(hold_until=None)
        schedule = Schedule(
            self.node.database, Clock(), node_id=self.node.name, wake=lambda _ids: None
        )
        await schedule.run_once()
        for message in self.model.messages.values():
            if message.state in ("later", "retrying", "awaiting"):
                self.model.wait_again(message)
        self.model.held = False

    async def switch(self, **columns: object) -> None:
        for name, value in columns.items():
            await self.operator.execute(
                f"update instance_lines set {name} = %s where instance_id = %s".encode(),
                [value, self.instance.id],
            )
            if name in ("connected", "paused"):
                setattr(self.model, name, value)

    async def finish(self) -> None:
        """Removes every obstacle, sends all messages, and compares the queue with the model."""
        await self.switch(connected=True, paused=False)
        await self.time_passes()
        while self.model.heads():
            await self.send(taken, "sent")
        assert await self._claim() is None
        states = await rows(
            self.operator,
            "select message_id, status from message_states where instance_id = %s",
            self.instance.id,
        )
        assert dict(states) == {m: p.state for m, p in self.model.messages.items()}
        assert len(states) == len(self.model.messages)
        assert len(self.sent) == len(set(self.sent))
        callbacks = await rows(
            self.operator,
            """select count(*) from webhook_outbox
               where instance_id = %s and body::jsonb ->> 'type' = 'DeliveryCallback'""",
            self.instance.id,
        )
        ended = [p for p in self.model.messages.values() if p.state in ("sent", "failed")]
        assert callbacks[0] >= len(ended), "a message ended without a callback"

    def _one(self, nth: int) -> str | None:
        return self.ids[nth % len(self.ids)] if self.ids else None


LANES = st.sampled_from(Priority)
NTH = st.integers(0, 30)
STEPS = st.one_of(
    st.tuples(
        st.just("enqueue"),
        LANES,
        st.sampled_from([False, False, False, True]),
        st.sampled_from(CHATS),
    ),
    st.tuples(st.just("sent")),
    st.tuples(st.just("sent")),
    st.tuples(st.sampled_from(["fail", "transient", "transient", "file", "file", "hold", "time"])),
    st.tuples(st.just("crash"), st.booleans()),
    st.tuples(st.sampled_from(["connected", "paused"]), st.booleans()),
    st.tuples(st.sampled_from(["cancel", "retry", "front", "came"]), NTH),
)


async def apply(run: Run, step: tuple[Any, ...]) -> None:
    name, *given_values = step
    again = Retried(_LONG_SECONDS, "transient", "busy")
    steps: dict[str, Callable[..., Awaitable[None]]] = {
        "enqueue": run.enqueue,
        "sent": lambda: run.send(taken, "sent"),
        "fail": lambda: run.send(lambda _row: Failed("refused", "no"), "failed"),
        "transient": lambda: run.send(lambda _row: again, "retrying"),
        "hold": run.hold,
        "file": run.await_file,
        "came": run.file_comes,
        "time": run.time_passes,
        "crash": run.crash,
        "connected": lambda value: run.switch(connected=value),
        "paused": lambda value: run.switch(paused=value),
        "cancel": run.cancel,
        "retry": run.retry,
        "front": run.move_to_front,
    }
    await steps[name](*given_values)


async def run_all(url: str, sequences: list[list[tuple[Any, ...]]]) -> None:
    """Runs each sequence on a queue of its own."""
    async with (
        await AsyncConnection.connect(url, autocommit=True) as operator,
        running_node(url) as node,
    ):
        await operator.execute("truncate accounts, instances cascade")
        for table in ("message_queue", "messages", "message_ids", "message_attempts"):
            await operator.execute(f"truncate {table}".encode())
        instances = await add_instances(operator, len(sequences))
        await operator.execute("update instances set delivery_callback_url = 'https://example.com'")
        for instance, steps in zip(instances, sequences, strict=True):
            run = Run(node, operator, instance)
            for step in steps:
                await apply(run, step)
            await run.finish()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequences=st.lists(st.lists(STEPS, max_size=30), min_size=1, max_size=3))
def test_every_sequence_of_steps_ends_as_promised(
    database_url: str, sequences: list[list[tuple[Any, ...]]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.send_queue.claim.MAX_PARKED", MAX_PARKED)
        patch.setattr("gateway.send_queue.recorder.MAX_PARKED", MAX_PARKED)
        asyncio.run(run_all(database_url, sequences))
