"""What becomes of a line when the answer to one of its statements is lost."""

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
from gateway.send_queue.claim import ClaimCursor
from gateway.send_queue.outcome import HandedBack, Retried
from gateway.send_queue.schedule import Schedule
from gateway.send_queue.worker import Worker
from tests.fixtures.postgres_proxy import BadConnection, Cut, bad_connection
from tests.fixtures.queue import Node, add_lines, rows, running_node, taken
from tests.postgres.test_queue_races import Phone, fill, line_of, process

CLAIM = query("send_queue", "claim")
START = query("send_queue", "start_attempts")
RECORD_SENT = query("send_queue", "record_sent")
RECORD_RETRY = query("send_queue", "record_retry")
SENT_TODAY = query("send_queue", "sent_today")
STATE = "select status, attempts, attempt_started_at is not null from message_queue"

# As the version before this one has them.
OLD_CLAIM = "update message_queue set status = 'processing', claimed_epoch = 1"
OLD_HAND_BACK = (
    "update message_queue set status = 'pending', claimed_epoch = null, attempt_started_at = null"
)


class QuickClock(Clock):
    """Waits for an event as long as it takes; any other pause is short."""

    def __init__(self, wakeup: asyncio.Event) -> None:
        self._wakeup = wakeup
        self.asleep = asyncio.Event()
        """The worker has found nothing and waits for its bell."""

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
    node: Node, line: Instance
) -> AsyncIterator[tuple[Phone, asyncio.Event, QuickClock]]:
    """A worker whose pauses are short; only the event wakes it when it sleeps."""
    phone, wakeup, leaving = Phone(), asyncio.Event(), asyncio.Event()
    clock = QuickClock(wakeup)
    context = replace(node.context(), clock=clock)
    running = asyncio.create_task(
        Worker(node.live(line, phone), context, wakeup).run_until(leaving)
    )
    try:
        yield phone, wakeup, clock
    finally:
        leaving.set()
        wakeup.set()
        await running


async def take_late(connection: BadConnection) -> None:
    """Lets a statement arrive whose connection the client gave up."""
    connection.deliver.set()
    await connection.answered.wait()


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("statement", [CLAIM, START, RECORD_SENT])
async def test_worker_continues_after_a_lost_answer(
    database_url: str, operator: AsyncConnection, statement: SQL, cut: Cut
) -> None:
    (line,) = await add_lines(operator, 1)
    texts = [f"{n}" for n in range(1, 6)]
    async with bad_node(database_url) as (connection, node):
        await fill(node, line, *texts)
        connection.lose(statement, cut)
        async with running_worker(node, line) as (phone, wakeup, _clock):
            sent = [await phone.sent.get()]
            await connection.lost.wait()
            if cut is Cut.MEANWHILE:
                await take_late(connection)
                wakeup.set()
            sent += [await phone.sent.get() for _ in texts[1:]]

    assert sent == texts
    assert phone.sent.empty()
    assert connection.cuts == 1
    assert await rows(operator, "select count(*) from message_queue") == [0]
    assert await rows(operator, "select distinct attempts from messages") == [1]


async def test_worker_that_drops_a_row_between_claim_and_start_gets_it_again(
    database_url: str, operator: AsyncConnection
) -> None:
    """The database goes away while the day's messages are counted.

    No claim grows old here, so that nothing but its id can bring the row back.
    """
    await operator.execute(
        """create function stay_young() returns trigger language plpgsql as $$
           begin new.claimed_at := 'infinity'; return new; end $$"""
    )
    await operator.execute(
        """create trigger young before update on message_queue
           for each row execute function stay_young()"""
    )
    (line,) = await add_lines(operator, 1)
    line = replace(line, daily_limit=10)
    async with bad_node(database_url) as (connection, node):
        await fill(node, line, "1", "2")
        connection.lose(SENT_TODAY, Cut.BEFORE)
        async with running_worker(node, line) as (phone, _wakeup, _clock):
            assert [await phone.sent.get(), await phone.sent.get()] == ["1", "2"]

    assert connection.cuts == 1


async def test_late_claim_of_a_sleeping_worker_is_found_without_a_wake_up(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    async with bad_node(database_url) as (connection, node):
        await fill(node, line, "1")
        connection.lose(CLAIM, Cut.MEANWHILE)
        async with running_worker(node, line) as (phone, _wakeup, clock):
            assert await phone.sent.get() == "1"
            await clock.asleep.wait()
            await fill(node, line, "2")
            await take_late(connection)
            assert await phone.sent.get() == "2"


async def test_late_claim_after_its_successor_is_answered_by_the_next_one(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    memory = line_of(line)
    async with bad_node(database_url) as (connection, node):
        await fill(node, line, "1", "2", "3", "4")
        connection.lose(CLAIM, Cut.MEANWHILE)
        with pytest.raises(DatabaseUnavailable):
            await node.claimer.claim(memory)
        assert len(await node.send_all(memory, max_count=2)) == 2
        await take_late(connection)
        assert await rows(operator, STATE + " order by id") == [
            ("processing", 0, False),
            ("pending", 0, False),
        ]

        claimed = await node.claim(memory)

        assert claimed.payload["message"] == "3"
        assert await node.starter.start(claimed)


async def test_row_claimed_twice_is_started_by_the_later_claim_only(
    database_url: str, operator: AsyncConnection
) -> None:
    """As when the answer to the first claim was slow and not lost."""
    (line,) = await add_lines(operator, 1)
    memory = line_of(line)
    async with running_node(database_url) as node:
        await fill(node, line, "1")
        slow = await node.claim(memory)
        assert await node.claimer.claim(memory) is None
        memory.drop_row()
        later = await node.claim(memory)

        assert (later.id, later.claimed_epoch) == (slow.id, slow.claimed_epoch)
        assert not await node.starter.start(slow)
        await node.recorder.record(slow, HandedBack())
        assert await rows(operator, STATE) == [("processing", 0, False)]
        assert await node.starter.start(later)
        assert not await node.starter.start(later)
        assert await node.claimer.claim(memory) is None


async def test_row_of_an_unknown_claim_is_handed_out_after_a_minute(
    database_url: str, operator: AsyncConnection
) -> None:
    """Its worker is gone, and nobody knows the id any more."""
    (line,) = await add_lines(operator, 1)
    async with running_node(database_url) as node:
        await fill(node, line, "1")
        lost = await node.claim(line_of(line))
        assert await node.claimer.claim(line_of(line)) is None
        await operator.execute(
            "update message_queue set claimed_at = now() - interval '61 seconds'"
        )

        assert await node.claimer.claim(ClaimCursor(line.id, epoch=2)) is None
        again = await node.claim(line_of(line))

        assert again.id == lost.id
        assert not await node.starter.start(lost)
        assert await node.starter.start(again)


async def test_late_start_does_not_start_a_later_claim(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    memory = line_of(line)
    async with bad_node(database_url) as (connection, node):
        await fill(node, line, "1")
        claimed = await node.claim(memory)
        connection.lose(START, Cut.MEANWHILE)
        with pytest.raises(DatabaseUnavailable):
            await node.starter.start(claimed)
        await node.recorder.record(claimed, HandedBack())
        again = await node.claim(memory)
        await take_late(connection)

        assert await rows(operator, STATE) == [("processing", 0, False)]
        assert await node.starter.start(again)
        assert await rows(operator, STATE) == [("processing", 1, True)]


async def test_late_retry_does_not_undo_a_later_attempt(
    database_url: str, operator: AsyncConnection
) -> None:
    """It would put a row back into the queue that is being sent, and so send it twice."""
    (line,) = await add_lines(operator, 1)
    memory = line_of(line)
    async with bad_node(database_url) as (connection, node):
        await fill(node, line, "1")
        claimed = await node.claim(memory)
        assert await node.starter.start(claimed)
        connection.lose(RECORD_RETRY, Cut.MEANWHILE)
        await node.recorder.record(claimed, Retried(0.0, "transient", "busy"))
        again = await node.claim(memory)
        assert await node.starter.start(again)
        await take_late(connection)
        assert await rows(operator, STATE) == [("processing", 2, True)]

        await node.recorder.record(again, taken(again))

    assert await rows(operator, "select status, attempts from messages") == [("sent", 2)]
    assert await rows(operator, "select count(*) from message_queue") == [0]


# --- Seen and woken -----------------------------------------------------------------------------


async def test_claimed_row_that_does_not_start_wakes_its_worker_at_the_sweep(
    database_url: str, operator: AsyncConnection
) -> None:
    line, started = await add_lines(operator, 2)
    woken = set[str]()
    async with running_node(database_url) as node:
        for each in (line, started):
            await fill(node, each, "1")
        await node.claim(line_of(line))
        assert await node.starter.start(await node.claim(line_of(started)))
        schedule = Schedule(node.database, Clock(), node_id=node.name, wake=woken.update)
        await schedule._round()

    assert woken == {line.id}


async def test_gauge_counts_a_row_claimed_and_not_started_for_two_minutes(
    database_url: str, operator: AsyncConnection
) -> None:
    stuck, young, started, paused, slow = await add_lines(operator, 5)
    await operator.execute(
        "update instances set pace_min_seconds = 1, pace_max_seconds = 60 where id = %s", [slow.id]
    )
    async with running_node(database_url) as node:
        for line in (stuck, young, started, paused, slow):
            await fill(node, line, "1", "2")
            claimed = await node.claim(line_of(line))
            if line is started:
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


# --- Beside a node of the version before --------------------------------------------------------


@pytest.mark.parametrize("old_id", [None, uuid.uuid4()])
async def test_row_claimed_by_the_previous_version_is_rescued(
    database_url: str, operator: AsyncConnection, old_id: uuid.UUID | None
) -> None:
    """Its statements neither set the id of a claim nor clear the one that a newer node left."""
    (line,) = await add_lines(operator, 1)
    async with running_node(database_url) as node:
        await fill(node, line, "1")
        await operator.execute("update message_queue set claim_id = %s", [old_id])
        await operator.execute(OLD_CLAIM)
        assert await node.claimer.claim(line_of(line)) is None

        await process(node, line, epoch=1)

        assert await node.starter.start(await node.claim(line_of(line)))


async def test_row_handed_back_by_the_previous_version_is_claimed_anew(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    memory = line_of(line)
    async with running_node(database_url) as node:
        await fill(node, line, "1")
        before = await node.claim(memory)
        await operator.execute(OLD_HAND_BACK)
        await operator.execute(OLD_CLAIM)
        assert not await node.starter.start(replace(before, claim_id=uuid.uuid4()))
        await operator.execute(OLD_HAND_BACK)

        claimed = await node.claim(memory)

        assert claimed.claim_id != before.claim_id
        assert await node.starter.start(claimed)
