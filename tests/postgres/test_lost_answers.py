"""A queue goes on, once and in order, when the answer to one of its statements is lost."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.instances.store import Instance
from gateway.observability.metrics import Metrics
from gateway.runtime.gauges import Gauges
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.outcome import HandedBack, Retried
from gateway.send_queue.schedule import Schedule
from gateway.send_queue.worker import Worker
from tests.fixtures.postgres_proxy import BadConnection, Cut, bad_connection
from tests.fixtures.queue import Node, add_instances, rows, running_node, taken
from tests.postgres.test_queue_races import Phone, cursor_of, fill, rescue_all

CLAIM = query("send_queue", "claim")
START = query("send_queue", "start_attempts")
RECORD_SENT = query("send_queue", "record_sent")
RECORD_RETRY = query("send_queue", "record_retry")
SENT_TODAY = query("send_queue", "sent_today")
STATE = "select status, attempts, attempt_started_at is not null from message_queue"

# As in the previous version.
OLD_CLAIM = "update message_queue set status = 'processing', claimed_epoch = 1"
OLD_HAND_BACK = (
    "update message_queue set status = 'pending', claimed_epoch = null, attempt_started_at = null"
)


class QuickClock(Clock):
    """Waits for events without limit; shortens all other pauses."""

    def __init__(self, wakeup: asyncio.Event) -> None:
        self._wakeup = wakeup
        self.asleep = asyncio.Event()
        """The worker has found no message and waits for a wake-up."""

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        if event is self._wakeup:
            self.asleep.set()
        short = None if timeout_seconds is None else min(timeout_seconds, 0.05)
        return await super().wait(event, short)


@asynccontextmanager
async def bad_node(url: str) -> AsyncIterator[tuple[BadConnection, Node]]:
    async with bad_connection(url) as connection, running_node(connection.url) as node:
        yield connection, node


@asynccontextmanager
async def running_worker(
    node: Node, instance: Instance
) -> AsyncIterator[tuple[Phone, asyncio.Event, QuickClock]]:
    """A worker whose pauses are short; only the event wakes it when it sleeps."""
    phone, wakeup, leaving = Phone(), asyncio.Event(), asyncio.Event()
    clock = QuickClock(wakeup)
    deps = replace(node.worker_dependencies(), clock=clock)
    running = asyncio.create_task(
        Worker(node.live(instance, phone), deps, wakeup).run_until(leaving)
    )
    try:
        yield phone, wakeup, clock
    finally:
        leaving.set()
        wakeup.set()
        await running


async def deliver_late(connection: BadConnection) -> None:
    """Lets the server get a statement whose connection the client has lost."""
    connection.deliver.set()
    await connection.answered.wait()


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("statement", [CLAIM, START, RECORD_SENT])
async def test_worker_continues_after_a_lost_answer(
    database_url: str, operator: AsyncConnection, statement: SQL, cut: Cut
) -> None:
    (instance,) = await add_instances(operator, 1)
    texts = [f"{n}" for n in range(1, 6)]
    async with bad_node(database_url) as (connection, node):
        await fill(node, instance, *texts)
        connection.lose(statement, cut)
        async with running_worker(node, instance) as (phone, wakeup, _clock):
            sent = [await phone.sent.get()]
            await connection.lost.wait()
            if cut is Cut.MEANWHILE:
                await deliver_late(connection)
                wakeup.set()
            sent += [await phone.sent.get() for _ in texts[1:]]

    assert sent == texts
    assert phone.sent.empty()
    assert connection.cuts == 1
    assert await rows(operator, "select count(*) from message_queue") == [0]
    assert await rows(operator, "select distinct attempts from messages") == [1]


async def test_worker_gets_a_row_again_that_it_dropped_before_start(
    database_url: str, operator: AsyncConnection
) -> None:
    """The connection is lost while the messages of the day are counted.

    Claims do not age here, so the worker can find the row by the id of its claim only.
    """
    await operator.execute(
        """create function stay_young() returns trigger language plpgsql as $$
           begin new.claimed_at := 'infinity'; return new; end $$"""
    )
    await operator.execute(
        """create trigger young before update on message_queue
           for each row execute function stay_young()"""
    )
    (instance,) = await add_instances(operator, 1)
    instance = replace(instance, daily_limit=10)
    async with bad_node(database_url) as (connection, node):
        await fill(node, instance, "1", "2")
        connection.lose(SENT_TODAY, Cut.BEFORE)
        async with running_worker(node, instance) as (phone, _wakeup, _clock):
            assert [await phone.sent.get(), await phone.sent.get()] == ["1", "2"]

    assert connection.cuts == 1


async def test_late_claim_of_a_sleeping_worker_needs_no_wake_up(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with bad_node(database_url) as (connection, node):
        await fill(node, instance, "1")
        connection.lose(CLAIM, Cut.MEANWHILE)
        async with running_worker(node, instance) as (phone, _wakeup, clock):
            assert await phone.sent.get() == "1"
            await clock.asleep.wait()
            await fill(node, instance, "2")
            await deliver_late(connection)
            assert await phone.sent.get() == "2"


async def test_late_claim_after_its_successor_is_found_by_the_next(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    cursor = cursor_of(instance)
    async with bad_node(database_url) as (connection, node):
        await fill(node, instance, "1", "2", "3", "4")
        connection.lose(CLAIM, Cut.MEANWHILE)
        with pytest.raises(DatabaseUnavailable):
            await node.claimer.claim(cursor)
        assert len(await node.send_all(cursor, max_count=2)) == 2
        await deliver_late(connection)
        assert await rows(operator, STATE + " order by id") == [
            ("processing", 0, False),
            ("pending", 0, False),
        ]

        claimed = await node.claim(cursor)

        assert claimed.payload["message"] == "3"
        assert await node.starter.start(claimed)


async def test_row_claimed_twice_is_started_by_the_later_claim_only(
    database_url: str, operator: AsyncConnection
) -> None:
    """The answer to the first claim was slow, not lost."""
    (instance,) = await add_instances(operator, 1)
    cursor = cursor_of(instance)
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        slow = await node.claim(cursor)
        assert await node.claimer.claim(cursor) is None
        cursor.drop_row()
        later = await node.claim(cursor)

        assert (later.id, later.claimed_epoch) == (slow.id, slow.claimed_epoch)
        assert not await node.starter.start(slow)
        await node.recorder.record(slow, HandedBack())
        assert await rows(operator, STATE) == [("processing", 0, False)]
        assert await node.starter.start(later)
        assert not await node.starter.start(later)
        assert await node.claimer.claim(cursor) is None


async def test_row_of_an_unknown_claim_is_claimed_after_a_minute(
    database_url: str, operator: AsyncConnection
) -> None:
    """Its worker is gone, and with it the id of the claim."""
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        lost = await node.claim(cursor_of(instance))
        assert await node.claimer.claim(cursor_of(instance)) is None
        await operator.execute(
            "update message_queue set claimed_at = now() - interval '61 seconds'"
        )

        assert await node.claimer.claim(ClaimCursor(instance.id, epoch=2)) is None
        again = await node.claim(cursor_of(instance))

        assert again.id == lost.id
        assert not await node.starter.start(lost)
        assert await node.starter.start(again)


async def test_late_start_does_not_start_a_later_claim(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    cursor = cursor_of(instance)
    async with bad_node(database_url) as (connection, node):
        await fill(node, instance, "1")
        claimed = await node.claim(cursor)
        connection.lose(START, Cut.MEANWHILE)
        with pytest.raises(DatabaseUnavailable):
            await node.starter.start(claimed)
        await node.recorder.record(claimed, HandedBack())
        again = await node.claim(cursor)
        await deliver_late(connection)

        assert await rows(operator, STATE) == [("processing", 0, False)]
        assert await node.starter.start(again)
        assert await rows(operator, STATE) == [("processing", 1, True)]


async def test_late_retry_does_not_undo_a_later_attempt(
    database_url: str, operator: AsyncConnection
) -> None:
    """Otherwise a message that is being sent would wait again and be sent twice."""
    (instance,) = await add_instances(operator, 1)
    cursor = cursor_of(instance)
    async with bad_node(database_url) as (connection, node):
        await fill(node, instance, "1")
        claimed = await node.claim(cursor)
        assert await node.starter.start(claimed)
        connection.lose(RECORD_RETRY, Cut.MEANWHILE)
        await node.recorder.record(claimed, Retried(0.0, "transient", "busy"))
        cursor.has_parked = True  # as its worker does
        again = await node.claim(cursor)
        assert await node.starter.start(again)
        await deliver_late(connection)
        assert await rows(operator, STATE) == [("processing", 2, True)]

        await node.recorder.record(again, taken(again))

    assert await rows(operator, "select status, attempts from messages") == [("sent", 2)]
    assert await rows(operator, "select count(*) from message_queue") == [0]


# --- Checks and gauges --------------------------------------------------------------------------


async def test_claimed_row_without_a_start_wakes_its_worker(
    database_url: str, operator: AsyncConnection
) -> None:
    instance, started = await add_instances(operator, 2)
    woken = set[str]()
    async with running_node(database_url) as node:
        for each in (instance, started):
            await fill(node, each, "1")
        await node.claim(cursor_of(instance))
        assert await node.starter.start(await node.claim(cursor_of(started)))
        schedule = Schedule(node.database, Clock(), node_id=node.name, wake=woken.update)
        await schedule.run_once()

    assert woken == {instance.id}


async def test_gauge_counts_a_row_not_started_for_two_minutes(
    database_url: str, operator: AsyncConnection
) -> None:
    stuck, young, started, paused, slow = await add_instances(operator, 5)
    await operator.execute(
        "update instances set pace_min_seconds = 1, pace_max_seconds = 60 where id = %s", [slow.id]
    )
    async with running_node(database_url) as node:
        for instance in (stuck, young, started, paused, slow):
            await fill(node, instance, "1", "2")
            claimed = await node.claim(cursor_of(instance))
            if instance is started:
                assert await node.starter.start(claimed)
        await operator.execute(
            """update message_queue set claimed_at = now() - interval '126 seconds'
               where status = 'processing' and instance_id <> %s""",
            [young.id],
        )
        await operator.execute(
            "update instance_lines set paused = true where instance_id = %s", [paused.id]
        )
        gauges = Gauges(node.database, Metrics(), Clock(), pace_max_seconds=5.0)
        await gauges._read()
        assert await gauges.queue_lag() is None
        await gauges._read()

        assert await gauges.queue_lag() == "1 queues do not move"


# --- Next to a node of the previous version -----------------------------------------------------


@pytest.mark.parametrize("old_id", [None, uuid.uuid4()])
async def test_row_claimed_by_the_previous_version_is_rescued(
    database_url: str, operator: AsyncConnection, old_id: uuid.UUID | None
) -> None:
    """The previous version neither sets the id of a claim nor clears one that it finds."""
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        await operator.execute("update message_queue set claim_id = %s", [old_id])
        await operator.execute(OLD_CLAIM)
        assert await node.claimer.claim(cursor_of(instance)) is None

        await rescue_all(node, instance, epoch=1)

        assert await node.starter.start(await node.claim(cursor_of(instance)))


async def test_row_handed_back_by_previous_version_is_claimed_again(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    cursor = cursor_of(instance)
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        before = await node.claim(cursor)
        await operator.execute(OLD_HAND_BACK)
        await operator.execute(OLD_CLAIM)
        assert not await node.starter.start(replace(before, claim_id=uuid.uuid4()))
        await operator.execute(OLD_HAND_BACK)

        claimed = await node.claim(cursor)

        assert claimed.claim_id != before.claim_id
        assert await node.starter.start(claimed)
