"""A change of the daily limit counts, whatever the open session remembers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from psycopg import AsyncConnection

from gateway.instances.store import Instance
from gateway.send_queue.outcome import Held
from gateway.send_queue.recorder import OutcomeRecorder
from gateway.send_queue.worker import Worker
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.queue import Node, add_lines, rows, running_node
from tests.fixtures.service import until
from tests.postgres.test_queue_races import Phone

_HELD = "select hold_kind from instance_lines where hold_until > now()"


@asynccontextmanager
async def working(
    node: Node, remembered: Instance, wakeup: asyncio.Event
) -> AsyncIterator[asyncio.Queue[str]]:
    """What the worker of this instance sends."""
    phone, leaving = Phone(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        worker = Worker(node.live(remembered, phone), node.context(), wakeup)
        group.create_task(worker.run_until(leaving))
        yield phone.sent
        leaving.set()
        wakeup.set()


async def test_a_raised_limit_counts_before_the_session_has_heard_of_it(
    database_url: str, operator: AsyncConnection
) -> None:
    (stored,) = await add_lines(operator, 1)
    remembered = replace(stored, daily_limit=2)
    wakeup = asyncio.Event()
    async with (
        running_node(database_url, "a", wake=lambda _ids: wakeup.set()) as node,
        working(node, remembered, wakeup) as sent,
    ):
        for n in range(3):
            await node.enqueue(stored, f"{n}")
        assert [await sent.get() for _ in range(3)] == ["0", "1", "2"]

    assert await rows(operator, _HELD) == []


async def test_a_limit_that_is_raised_while_the_queue_is_being_held_ends_the_hold(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_lines(operator, 1)
    await operator.execute("update instances set daily_limit = 2")
    record, wakeup, holds = OutcomeRecorder.record, asyncio.Event(), 0

    async def record_late(recorder: OutcomeRecorder, row: Any, outcome: Any, **more: Any) -> None:
        if isinstance(outcome, Held):
            nonlocal holds
            holds += 1
            await operator.execute("update instances set daily_limit = 0")
        await record(recorder, row, outcome, **more)
        if isinstance(outcome, Held):
            wakeup.set()

    monkeypatch.setattr(OutcomeRecorder, "record", record_late)
    async with running_node(database_url, "a", wake=lambda _ids: wakeup.set()) as node:
        stored = await node.claimer.stored_instance("line-001")
        assert stored is not None
        async with working(node, stored, wakeup) as sent:
            for n in range(2):
                await node.enqueue(stored, f"{n}")
            assert [await sent.get() for _ in range(2)] == ["0", "1"]
            await node.enqueue(stored, "2")
            await until(lambda: rows(operator, _HELD), lambda held: holds > 0 and not held)
            wakeup.set()
            assert await sent.get() == "2"

    assert holds == 1
