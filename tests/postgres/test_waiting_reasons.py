"""Why a message waits, as the database and the memory of the worker say it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.extensions.queue_control import ReadQueued
from gateway.contract.zapi.instance_queue import ListQueueByPage
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.control import read_queued
from gateway.send_queue.operations import QueueContext, list_queue_by_page
from gateway.send_queue.pacing import Pace, SendPolicy
from tests.fixtures.queue import add_instances, running_node


async def reasons(context: QueueContext) -> list[str | None]:
    items = await list_queue_by_page(context, ListQueueByPage())
    return [item.waiting_reason for item in items]


async def test_claimed_message_says_what_its_worker_does(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    activity = WorkerActivity(Clock())
    async with running_node(database_url) as node:
        await node.enqueue(instance, "text", delayMessage=10)
        queued = await node.claim(ClaimCursor(instance.id, 1))
        elsewhere = replace(
            node.queue_context(instance), send_policy=SendPolicy(Pace(100.0, 3_600.0))
        )
        here = replace(elsewhere, activity_of=lambda _instance_id: activity)
        (at_most,) = await reasons(elsewhere)
        with activity.working(queued.id):
            prepared = await reasons(here)
            activity.expect(60.0, pause_seconds=1_000_000.0)
            (paused,) = await reasons(here)
            activity.expect(60.0, awaits_file=True)
            file = await reasons(here)
        await operator.execute(
            """update message_queue
               set claimed_at = '2026-01-31T12:00:00Z', attempt_started_at = null"""
        )
        late = await reasons(elsewhere)
        await operator.execute("update message_queue set attempt_started_at = now()")
        started = await read_queued(elsewhere, ReadQueued(zaap_id=queued.zaap_id))

    assert prepared == late == ["It is the next message, and is being prepared."]
    assert file == ["Its file is being fetched."]
    assert (started.waiting_for, started.waiting_reason) == (None, None)
    for sentence, words, seconds in ((at_most, "ends by", 3_610), (paused, "lasts until", 10**6)):
        head = f"It is the next message; the pause before it {words} "
        assert sentence is not None
        assert sentence.startswith(head)
        at = datetime.fromisoformat(sentence.removeprefix(head).removesuffix(" UTC.") + "+00:00")
        assert (
            timedelta()
            <= datetime.now(UTC) + timedelta(seconds=seconds) - at
            < timedelta(minutes=2)
        )


async def test_place_of_a_message_is_counted_within_bounds(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.send_queue.waiting_reason._MAX_PLACES", 3)
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url) as node:
        context = node.queue_context(instance)
        for n in range(4):
            await node.enqueue(instance, f"text {n}")
        before = await reasons(context)
        await operator.execute(
            """update message_queue set status = 'scheduled', due_at = now()
               where sequence_number = 4"""
        )
        await operator.execute(
            """update message_queue set attempts = 1, due_at = '2999-01-31T12:00:00Z'
               where sequence_number = 1"""
        )
        after = await reasons(context)

    assert before == [
        "It is the next message.",
        "Its turn comes after 1 message.",
        "Its turn comes after 2 messages.",
        "Its turn comes after more than 1000 messages.",
    ]
    behind = "It is behind another message of its lane, whose next attempt is at "
    assert after == [
        "The last attempt failed; the next one is at 2999-01-31 12:00:00 UTC.",
        f"{behind}2999-01-31 12:00:00 UTC.",
        f"{behind}2999-01-31 12:00:00 UTC.",
        "Its time has come; it joins its lane in a moment.",
    ]
