"""Random steps on one queue end as a small model of the queue's promises says."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.extensions.queue_control import MoveToFront, RetryQueued
from gateway.contract.send import Priority
from gateway.contract.zapi.instance_queue import RemoveFromQueue
from gateway.errors import Conflict
from gateway.instances.store import Instance
from gateway.send_queue.claim import ClaimCursor, ClaimedMessage
from gateway.send_queue.control import move_to_front, retry
from gateway.send_queue.operations import remove_from_queue
from gateway.send_queue.outcome import Failed, Held, Retried
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.schedule import Schedule
from tests.fixtures.queue import Node, add_instances, at_once, rows, running_node, taken
from tests.postgres.test_queue_races import Phone

_LONG_SECONDS = 3_600.0
_ENDS = ("sent", "failed", "canceled")


@dataclass
class ModelMessage:
    """One message in the model."""

    lane: Priority
    position: int
    state: str = "waiting"
    """waiting, later, retrying, sent, failed or canceled"""


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
        """Returns the head of each lane, unless it waits for its next attempt."""
        if self.paused or self.held or not self.connected:
            return set()
        first: dict[Priority, str] = {}
        for message_id, message in sorted(self.messages.items(), key=lambda m: m[1].position):
            if message.state in ("waiting", "retrying"):
                first.setdefault(message.lane, message_id)
        return {m for m in first.values() if self.messages[m].state == "waiting"}


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

    async def enqueue(self, lane: Priority, later: bool) -> None:  # noqa: FBT001 - a generated step
        due = datetime.now(UTC) + timedelta(days=1) if later else None
        queued = await self.node.enqueue(self.instance, "hi", priority=lane, scheduled_for=due)
        promised = ModelMessage(lane, next(self.model.numbers), "later" if later else "waiting")
        self.model.messages[queued.message_id] = promised
        self.ids.append(queued.message_id)

    async def send(self, outcome: Callable[[ClaimedMessage], Any], state: str) -> None:
        """Claims a message and records an outcome."""
        if (claimed := await self._claim()) is None:
            return
        assert await self.node.starter.start(claimed)
        await self.node.recorder.record(claimed, outcome(claimed))
        self.model.messages[claimed.message_id].state = state
        if state == "sent":
            self.sent.append(claimed.message_id)

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

    async def _claim(self) -> ClaimedMessage | None:
        heads = self.model.heads()
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
                message.state = "canceled"

    async def retry(self, nth: int) -> None:
        if name := self._one(nth):
            message = self.model.messages[name]
            try:
                await retry(self.node.queue_context(self.instance), RetryQueued(zaap_id=name))
            except Conflict:
                assert message.state not in ("failed", "retrying")
            else:
                # A message that waits after an attempt may be retried too, without effect.
                assert message.state in ("failed", "retrying", "waiting")
                message.state = "waiting"

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
                message.position, message.state = next(self.model.fronts), "waiting"

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
            if message.state in ("later", "retrying"):
                message.state = "waiting"
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
        assert await self.node.claimer.claim(self.cursor) is None
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
    st.tuples(st.just("enqueue"), LANES, st.sampled_from([False, False, False, True])),
    st.tuples(st.just("sent")),
    st.tuples(st.just("sent")),
    st.tuples(st.sampled_from(["fail", "transient", "hold", "time"])),
    st.tuples(st.just("crash"), st.booleans()),
    st.tuples(st.sampled_from(["connected", "paused"]), st.booleans()),
    st.tuples(st.sampled_from(["cancel", "retry", "front"]), NTH),
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
@given(sequences=st.lists(st.lists(STEPS, max_size=25), min_size=1, max_size=3))
def test_every_sequence_of_steps_ends_as_promised(
    database_url: str, sequences: list[list[tuple[Any, ...]]]
) -> None:
    asyncio.run(run_all(database_url, sequences))
