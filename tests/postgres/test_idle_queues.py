"""The record of the last message marks its queue idle, and no message is missed by that."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection

from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.outcome import Retried
from gateway.send_queue.worker import Worker
from gateway.sessions.provider import Attempt, Receipt, ReportedEvent
from tests.fixtures.queue import Node, add_instances, rows, running_node, taken
from tests.fixtures.service import until

_IDLE = "select idle from instance_lines"


class AcceptsAtOnce:
    """A session that accepts every message at once and reports nothing."""

    async def send(self, _message: OutgoingMessage, attempt: Attempt) -> Receipt:
        return Receipt(attempt.message_id)

    async def execute(self, operation: Operation[Any]) -> Any:
        raise NotImplementedError

    async def check_health(self) -> None:
        pass

    async def events(self) -> AsyncIterator[ReportedEvent]:
        raise NotImplementedError
        yield


async def record_the_head(node: Node, cursor: ClaimCursor) -> bool:
    claimed = await node.claim(cursor)
    assert await node.starter.start(claimed)
    return await node.recorder.record(claimed, taken(claimed))


async def test_record_of_the_last_message_marks_the_queue_idle(
    database_url: str, operator: AsyncConnection
) -> None:
    woken: list[str] = []
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url, wake=woken.extend) as node:
        cursor = ClaimCursor(instance.id, epoch=1)
        await node.enqueue(instance, "1")
        await node.enqueue(instance, "2")
        assert await record_the_head(node, cursor) is False
        assert await rows(operator, _IDLE) == [False]
        assert await record_the_head(node, cursor) is True
        assert await rows(operator, _IDLE) == [True]
        woken.clear()

        await node.enqueue(instance, "3")

    assert woken == [instance.id]


@pytest.mark.parametrize("status", ["parked", "behind", "processing"])
async def test_record_does_not_mark_a_queue_idle_that_has_other_messages(
    database_url: str, operator: AsyncConnection, status: str
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url) as node:
        cursor = ClaimCursor(instance.id, epoch=1)
        await node.enqueue(instance, "1")
        claimed = await node.claim(cursor)
        assert await node.starter.start(claimed)
        if status == "parked":
            await node.recorder.record(claimed, Retried(3_600.0, "transient", "busy"))
            await node.enqueue(instance, "2", phone="5511988887777")
            claimed = await node.claim(cursor)
            assert await node.starter.start(claimed)
        else:
            await node.enqueue(instance, "2")
            await operator.execute("drop index message_queue_on_its_way")
            await operator.execute(
                "update message_queue set status = %s, claimed_epoch = %s where id <> %s",
                [status, 1 if status == "processing" else None, claimed.id],
            )

        assert await node.recorder.record(claimed, taken(claimed)) is False


async def test_record_does_not_wait_for_a_locked_queue(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as enqueuing,
    ):
        await node.enqueue(instance, "1")
        await enqueuing.execute("select from instance_lines for no key update")

        assert await record_the_head(node, ClaimCursor(instance.id, epoch=1)) is False

    assert await rows(operator, _IDLE) == [False]


async def test_worker_misses_no_message_that_is_enqueued_beside_a_record(
    database_url: str, operator: AsyncConnection
) -> None:
    chance = random.Random(1)
    (instance,) = await add_instances(operator, 1)
    wakeup, leaving = asyncio.Event(), asyncio.Event()
    async with running_node(database_url, wake=lambda ids: wakeup.set() if ids else None) as node:
        session = AcceptsAtOnce()
        worker = Worker(node.live(instance, session), node.worker_dependencies(), wakeup)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run_until(leaving))
            for n in range(200):
                await node.enqueue(instance, str(n))
                for _ in range(chance.randrange(60)):  # another moment of the worker each time
                    await asyncio.sleep(0)
            await until(
                lambda: rows(operator, "select count(*) from message_queue"), lambda n: n == [0]
            )
            leaving.set()
            wakeup.set()

    assert await rows(operator, "select count(*) from messages") == [200]
