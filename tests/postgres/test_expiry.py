"""An expired message is never sent: claim and start look at its time, and the queue goes on."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.database.queries import query
from gateway.instances.store import Instance
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.enqueue import QueueLimits
from gateway.send_queue.outcome import HandedBack, Retried
from gateway.send_queue.worker import Worker
from tests.fixtures.queue import Node, add_instances, rows, running_node
from tests.postgres.test_queue_maintenance import pages_touched
from tests.postgres.test_queue_races import Phone, cursor_of, fill

EXPIRE_FIRST = "update message_queue set expires_at = now() where sequence_number = %s"
ROWS = "select sequence_number, status, last_error from message_queue order by sequence_number"


@asynccontextmanager
async def working(node: Node, instance: Instance) -> AsyncIterator[Phone]:
    phone, wakeup, leaving = Phone(), asyncio.Event(), asyncio.Event()
    worker = Worker(node.live(instance, phone), node.worker_dependencies(), wakeup)
    running = asyncio.create_task(worker.run_until(leaving))
    try:
        yield phone
    finally:
        leaving.set()
        wakeup.set()
        await running


async def with_webhook(operator: AsyncConnection) -> Instance:
    (instance,) = await add_instances(operator, 1)
    await operator.execute("update instances set delivery_callback_url = 'https://example.com'")
    return instance


async def test_worker_fails_expired_messages_and_sends_the_next_at_once(
    database_url: str, operator: AsyncConnection
) -> None:
    instance = await with_webhook(operator)
    async with running_node(database_url) as node:
        await fill(node, instance, "late", "later", "young")
        for sequence_number in (1, 2):
            await operator.execute(EXPIRE_FIRST, [sequence_number])
        async with working(node, instance) as phone:
            sent = await phone.sent.get()

    assert sent == "young"
    assert phone.sent.empty()
    assert await rows(operator, ROWS) == [(1, "failed", "expired"), (2, "failed", "expired")]
    assert await rows(operator, "select attempts from message_queue") == [0, 0]
    bodies = [json.loads(body) for body in await rows(operator, "select body from webhook_outbox")]
    assert [body.get("error") for body in bodies] == ["expired", "expired", None]


async def test_message_that_expires_after_its_claim_does_not_start(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url) as node:
        await fill(node, instance, "late", "young")
        cursor = cursor_of(instance)
        claimed = await node.claim(cursor)
        await operator.execute(EXPIRE_FIRST, [1])

        assert not claimed.is_expired
        assert not await node.starter.start(claimed)
        await node.recorder.record(claimed, HandedBack())
        again = await node.claim(cursor)

    assert (again.id, again.is_expired) == (claimed.id, True)


async def test_message_that_expires_before_its_next_attempt_frees_the_lane(
    database_url: str, operator: AsyncConnection
) -> None:
    """The first message waits an hour for its next attempt, and expires while the worker sleeps."""
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url) as node:
        await fill(node, instance, "late", "young")
        claimed = await node.claim(cursor_of(instance))
        assert await node.starter.start(claimed)
        await node.recorder.record(claimed, Retried(3_600.0, "transient", "busy"))
        await operator.execute(
            "update message_queue set expires_at = now() + interval '0.3 s' where id = %s",
            [claimed.id],
        )
        async with working(node, instance) as phone:
            sent = await phone.sent.get()

    assert sent == "young"
    assert await rows(operator, ROWS) == [(1, "failed", "expired")]


@pytest.mark.parametrize("max_age_seconds", [None, 3_600.0])
async def test_earliest_of_all_expiries_counts(
    database_url: str, operator: AsyncConnection, max_age_seconds: float | None
) -> None:
    (instance,) = await add_instances(operator, 1, connected=False)
    limits = QueueLimits(0, 0, 3, max_age_seconds=max_age_seconds)
    at: datetime = Clock().now() + timedelta(hours=2)
    fields: list[dict[str, Any]] = [
        {},
        {"expires_in": 600},
        {"expires_at": at},
        {"scheduled_for": at - timedelta(hours=1), "expires_at": at},
    ]
    async with running_node(database_url, limits=limits) as node:
        for each in fields:
            await node.enqueue(instance, "hi", **each)

    found = await rows(
        operator,
        """select case when expires_at = %s then -1
                       else extract(epoch from expires_at - created_at)::int end
           from message_queue order by sequence_number""",
        at,
    )
    expected = [None, 600, -1, -1] if max_age_seconds is None else [3_600, 600, 3_600, -1]
    # The last one is due in an hour, and the maximum age counts from then.
    assert found == expected
    assert await rows(operator, "select distinct payload ? 'expires_at' from message_queue") == [
        False
    ]


async def test_cost_of_a_claim_does_not_depend_on_expiring_messages(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    cursor = ClaimCursor(instance.id, 1)
    claim = {
        "instance_ids": [instance.id],
        "epochs": [1],
        "claim_ids": [uuid.uuid4()],
        "earlier_claim_ids": [],
        "reordered": [0],
        "first": [0],
        "second": [1],
        "third": [2],
        "from_high": [0],
        "from_normal": [0],
        "from_bulk": [0],
        "first_position": 0,
    }
    pages = []
    async with running_node(database_url) as node:
        for count in (30, 20_000):
            await operator.execute(
                """insert into message_queue (instance_id, sequence_number, position, version,
                       priority, max_attempts, status, zaap_id, message_id, type, phone, payload,
                       expires_at)
                   select %s, n, n, 1, 1, 3, 'pending', n, n, 'send-text', '551199', '{}',
                       now() + n * interval '1 s' - interval '10 s'
                   from generate_series(%s::int + 1, %s) n""",
                [instance.id, 0 if count == 30 else 30, count],
            )
            await operator.execute("vacuum analyze")
            for _ in range(2):  # the first run fills the caches of the catalogue
                touched = await pages_touched(operator, query("send_queue", "claim"), **claim)
            pages.append(touched)
        first = await node.claim(cursor)

    assert (first.position, first.is_expired) == (1, True)
    # Each index of the table is a level or two higher. To read all rows would take 600 pages.
    assert pages[1] <= pages[0] + 20, pages
