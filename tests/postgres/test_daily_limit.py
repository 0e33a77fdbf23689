"""A changed daily limit applies at once, even if the open session has the old one."""

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
from tests.fixtures.queue import Node, add_instances, rows, running_node
from tests.fixtures.service import until
from tests.postgres.test_queue_races import Phone

_HELD = "select hold_kind from instance_lines where hold_until > now()"


@asynccontextmanager
async def running_worker(
    node: Node, cached: Instance, wakeup: asyncio.Event
) -> AsyncIterator[asyncio.Queue[str]]:
    """Runs the worker of an instance; yields the texts that it sends."""
    phone, leaving = Phone(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        worker = Worker(node.live(cached, phone), node.worker_dependencies(), wakeup)
        group.create_task(worker.run_until(leaving))
        yield phone.sent
        leaving.set()
        wakeup.set()


async def test_raised_limit_counts_before_the_session_knows_it(
    database_url: str, operator: AsyncConnection
) -> None:
    (stored,) = await add_instances(operator, 1)
    cached = replace(stored, daily_limit=2)
    wakeup = asyncio.Event()
    async with (
        running_node(database_url, "a", wake=lambda _ids: wakeup.set()) as node,
        running_worker(node, cached, wakeup) as sent,
    ):
        for n in range(3):
            await node.enqueue(stored, f"{n}")
        assert [await sent.get() for _ in range(3)] == ["0", "1", "2"]

    assert await rows(operator, _HELD) == []


async def test_limit_raised_while_a_hold_is_written_ends_the_hold(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_instances(operator, 1)
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
        async with running_worker(node, stored, wakeup) as sent:
            for n in range(2):
                await node.enqueue(stored, f"{n}")
            assert [await sent.get() for _ in range(2)] == ["0", "1"]
            await node.enqueue(stored, "2")
            await until(lambda: rows(operator, _HELD), lambda held: holds > 0 and not held)
            wakeup.set()
            assert await sent.get() == "2"

    assert holds == 1
