"""With messages per minute set, no minute has more attempts, also with a new worker."""

import asyncio
from dataclasses import replace

from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.instances.store import Instance
from gateway.send_queue.pacing import Pace, SendPolicy
from gateway.send_queue.worker import Worker
from gateway.sessions.provider import Attempt, Receipt
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.queue import Node, add_instances, running_node
from tests.postgres.test_queue_races import Phone

_PER_MINUTE = 30
_POLICY = SendPolicy(Pace(0.5, 1.0))


class JumpingClock(Clock):
    """A clock on which a pause takes no time and still passes."""

    def __init__(self) -> None:
        self.passed_seconds = 1_000.0

    def monotonic_seconds(self) -> float:
        return self.passed_seconds

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        if timeout_seconds is None:
            return await super().wait(event, None)
        self.passed_seconds += max(0.0, timeout_seconds)
        return event.is_set()


class SlowPhone(Phone):
    """A session whose sends take 0.7 s of that clock."""

    def __init__(self, clock: JumpingClock) -> None:
        super().__init__()
        self._clock = clock
        self.began_at = list[float]()

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        self.began_at.append(self._clock.passed_seconds)
        self._clock.passed_seconds += 0.7
        return await super().send(message, attempt)


async def test_messages_per_minute_bound_every_minute_across_workers(
    database_url: str, operator: AsyncConnection
) -> None:
    (stored,) = await add_instances(operator, 1)
    instance = replace(stored, own_settings={"messages_per_minute": _PER_MINUTE})
    clock = JumpingClock()
    phone = SlowPhone(clock)
    async with running_node(database_url, "a") as node:
        for n in range(3 * _PER_MINUTE):
            await node.enqueue(instance, f"{n}")
        for until in (_PER_MINUTE, 3 * _PER_MINUTE):
            await _send_until(node, instance, phone, clock, count=until)

    began = phone.began_at
    assert len(began) == 3 * _PER_MINUTE
    # A minute includes its begin and excludes its end.
    assert max(sum(1 for at in began if begin <= at < begin + 60 - 1e-6) for begin in began) == (
        _PER_MINUTE
    )
    assert began[_PER_MINUTE - 1] - began[0] < 60  # and not slower than it must be


async def _send_until(
    node: Node, instance: Instance, phone: SlowPhone, clock: JumpingClock, *, count: int
) -> None:
    """Runs a new worker until *count* attempts have begun in all."""
    leaving, wakeup = asyncio.Event(), asyncio.Event()
    deps = replace(node.worker_dependencies(), clock=clock, send_policy=_POLICY)
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(Worker(node.live(instance, phone), deps, wakeup).run_until(leaving))
        while len(phone.began_at) < count:
            await phone.sent.get()
        leaving.set()
        wakeup.set()
