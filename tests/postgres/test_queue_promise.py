"""Random histories of one line against a small model of what the queue promises."""

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
from tests.fixtures.queue import Node, add_lines, at_once, rows, running_node, taken
from tests.postgres.test_queue_races import Phone

_LONG_SECONDS = 3_600.0
_ENDS = ("sent", "failed", "canceled")


@dataclass
class Promised:
    """What was promised of one message."""

    lane: Priority
    position: int
    state: str = "waiting"
    """waiting, later, retrying, sent, failed or canceled"""


@dataclass
class Model:
    """A line on paper; messages by their messageId."""

    messages: dict[str, Promised] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    fronts: "itertools.count[int]" = field(default_factory=lambda: itertools.count(-1, -1))
    connected: bool = True
    paused: bool = False
    held: bool = False

    def heads(self) -> set[str]:
        """Of each lane the first, unless it must wait for its next attempt."""
        if self.paused or self.held or not self.connected:
            return set()
        first: dict[Priority, str] = {}
        for message_id, message in sorted(self.messages.items(), key=lambda m: m[1].position):
            if message.state in ("waiting", "retrying"):
                first.setdefault(message.lane, message_id)
        return {m for m in first.values() if self.messages[m].state == "waiting"}


@dataclass
class Play:
    """The line and its model, side by side."""

    node: Node
    operator: AsyncConnection
    instance: Instance
    model: Model = field(default_factory=Model)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line = ClaimCursor(self.instance.id, epoch=1)
        self.ids: list[str] = []

    async def enqueue(self, lane: Priority, later: bool) -> None:  # noqa: FBT001 - a step of a history
        due = datetime.now(UTC) + timedelta(days=1) if later else None
        queued = await self.node.enqueue(self.instance, "hi", priority=lane, scheduled_for=due)
        promised = Promised(lane, next(self.model.numbers), "later" if later else "waiting")
        self.model.messages[queued.message_id] = promised
        self.ids.append(queued.message_id)

    async def send(self, outcome: Callable[[ClaimedMessage], Any], state: str) -> None:
        """Claims what the line gives, and lets it end in a way."""
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

    async def crash(self, started: bool) -> None:  # noqa: FBT001 - a step of a history
        """The worker dies with a message in its hands; the next one settles that."""
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
        self.line = ClaimCursor(self.instance.id, epoch=1)

    async def _claim(self) -> ClaimedMessage | None:
        heads = self.model.heads()
        claimed = await self.node.claimer.claim(self.line)
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
                # One that waits after an attempt may be hurried, too; it changes nothing.
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
        """What is scheduled, waits for an attempt or is held becomes due."""
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
        """Everything in the way is cleared away; the line must empty itself."""
        await self.switch(connected=True, paused=False)
        await self.time_passes()
        while self.model.heads():
            await self.send(taken, "sent")
        assert await self.node.claimer.claim(self.line) is None
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
        assert callbacks[0] >= len(ended), "a message left without a word"

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


async def take(play: Play, step: tuple[Any, ...]) -> None:
    name, *given_values = step
    again = Retried(_LONG_SECONDS, "transient", "busy")
    steps: dict[str, Callable[..., Awaitable[None]]] = {
        "enqueue": play.enqueue,
        "sent": lambda: play.send(taken, "sent"),
        "fail": lambda: play.send(lambda _row: Failed("refused", "no"), "failed"),
        "transient": lambda: play.send(lambda _row: again, "retrying"),
        "hold": play.hold,
        "time": play.time_passes,
        "crash": play.crash,
        "connected": lambda value: play.switch(connected=value),
        "paused": lambda value: play.switch(paused=value),
        "cancel": play.cancel,
        "retry": play.retry,
        "front": play.move_to_front,
    }
    await steps[name](*given_values)


async def play_all(url: str, histories: list[list[tuple[Any, ...]]]) -> None:
    """Each history on a line of its own."""
    async with (
        await AsyncConnection.connect(url, autocommit=True) as operator,
        running_node(url) as node,
    ):
        await operator.execute("truncate accounts, instances cascade")
        for table in ("message_queue", "messages", "message_ids", "message_attempts"):
            await operator.execute(f"truncate {table}".encode())
        instances = await add_lines(operator, len(histories))
        await operator.execute("update instances set delivery_callback_url = 'https://example.com'")
        for instance, history in zip(instances, histories, strict=True):
            play = Play(node, operator, instance)
            for step in history:
                await take(play, step)
            await play.finish()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories=st.lists(st.lists(STEPS, max_size=25), min_size=1, max_size=3))
def test_every_history_ends_as_promised(
    database_url: str, histories: list[list[tuple[Any, ...]]]
) -> None:
    asyncio.run(play_all(database_url, histories))
