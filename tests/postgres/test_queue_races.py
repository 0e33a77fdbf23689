"""The races that break a queue in Postgres, run against our own statements and classes."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import pytest
from psycopg import AsyncConnection, DataError

from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage, Priority
from gateway.contract.zapi.instance_queue import RemoveFromQueue
from gateway.database.notifications import Notifications
from gateway.database.queries import query
from gateway.errors import Conflict, DatabaseUnavailable, IdempotencyKeyReused, QueueFull
from gateway.instances.store import Instance
from gateway.send_queue.claim import ClaimCursor, Claimed
from gateway.send_queue.enqueue import IdempotencyKey, QueueLimits
from gateway.send_queue.operations import remove_from_queue
from gateway.send_queue.outcome import Failed, HandedBack, Outcome, Retried, Sent
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.schedule import Schedule
from gateway.send_queue.worker import Worker
from gateway.sessions.provider import Attempt, Receipt, ReportedEvent
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres_proxy import Cut, bad_connection
from tests.fixtures.queue import (
    UNLIMITED,
    Node,
    accepted,
    add_lines,
    at_once,
    blocked_sessions,
    rows,
    running_node,
    taken,
    text,
    waiting_texts,
)
from tests.fixtures.service import until

Answer = TypeVar("Answer")

CLAIM = query("send_queue", "claim")
START_ATTEMPTS = query("send_queue", "start_attempts")
RECORD_SENT = query("send_queue", "record_sent")
CANCEL_WAITING = query("send_queue", "cancel_waiting")
ACQUIRE_LEASES = query("sessions", "acquire_leases")

LATER_SECONDS = 3_600.0


@asynccontextmanager
async def running_nodes(
    url: str, count: int, *, limits: QueueLimits = UNLIMITED
) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running_node(url, name, limits=limits))
            for name in "abcdef"[:count]
        ]


def line_of(instance: Instance, *, epoch: int = 1) -> ClaimCursor:
    return ClaimCursor(instance.id, epoch)


async def fill(node: Node, instance: Instance, *texts: str, **fields: Any) -> None:
    """Accepts messages one after the other, so that their order is known."""
    for message in texts:
        await node.enqueue(instance, message, **fields)


def text_of(claimed: Claimed | None) -> str | None:
    return claimed.payload["message"] if claimed else None


async def cancel(node: Node, instance: Instance, claimed: Claimed) -> None:
    """As DELETE /queue/{zaapId} does."""
    await remove_from_queue(node.queue_context(instance), RemoveFromQueue(zaap_id=claimed.zaap_id))


async def cancel_open(
    connection: AsyncConnection, instance: Instance, *, message_id: str | None = None
) -> int:
    """Cancels inside the transaction of *connection*, which remains open."""
    nothing = dict.fromkeys(("status", "type", "phone", "before"))
    cursor = await connection.execute(
        CANCEL_WAITING, {**nothing, "instance_id": instance.id, "message_id": message_id}
    )
    ((count,),) = await cursor.fetchall()
    return int(count)


# --- Accepting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3])
async def test_numbers_of_a_line_become_visible_in_order_and_without_gaps(
    database_url: str, operator: AsyncConnection, count: int
) -> None:
    lines = await add_lines(operator, 25)
    clients_of_each_node, messages_of_each_client = 20, 25
    looks = 0

    async def send(node: Node, client: int) -> None:
        chance = random.Random(client)
        for number in range(messages_of_each_client):
            await node.enqueue(chance.choice(lines), f"{node.name}{client}:{number:03}")

    async def watch() -> None:
        nonlocal looks
        while True:
            seen = await rows(
                operator,
                """select count(*), count(distinct sequence_number), max(sequence_number)
                   from message_queue group by instance_id""",
            )
            assert all(n == distinct == last for n, distinct, last in seen)
            looks += bool(seen)

    async with running_nodes(database_url, count) as nodes:
        watching = asyncio.create_task(watch())
        await asyncio.gather(
            *(send(node, client) for node in nodes for client in range(clients_of_each_node))
        )
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert watching.cancelled(), watching.exception()

    assert looks > 10
    (total,) = await rows(operator, "select count(*) from message_queue")
    assert total == count * clients_of_each_node * messages_of_each_client
    for line in lines:
        texts = [t.split(":") for t in await waiting_texts(operator, line.id)]
        # Whoever waits for an answer before sending on finds its messages in that order.
        assert sorted(texts, key=lambda t: t[0]) == sorted(texts)


async def test_a_line_locked_by_somebody_else_delays_no_other_line(
    database_url: str, operator: AsyncConnection
) -> None:
    locked, *others = await add_lines(operator, 21)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as somebody,
    ):
        await somebody.execute(
            "select from instance_lines where instance_id = %s for update", [locked.id]
        )
        late = [asyncio.create_task(node.enqueue(locked, f"late {n}")) for n in range(50)]

        for wave in range(5):
            await asyncio.gather(*(node.enqueue(line, f"wave {wave}") for line in others))

        assert not any(task.done() for task in late)
        await somebody.rollback()
        await asyncio.gather(*late)

    assert await waiting_texts(operator, locked.id) == [f"late {n}" for n in range(50)]
    for line in others:
        assert await waiting_texts(operator, line.id) == [f"wave {n}" for n in range(5)]


@pytest.mark.parametrize(("connected", "most"), [(True, 25), (False, 10)])
async def test_limits_are_exact_however_many_ask_at_once(
    database_url: str, operator: AsyncConnection, *, connected: bool, max_count: int
) -> None:
    lines = await add_lines(operator, 3, connected=connected)
    limits = QueueLimits(max_waiting=25, max_waiting_disconnected=10, max_attempts=3)

    async def flood(nodes: list[Node]) -> list[object]:
        return await asyncio.gather(
            *(node.enqueue(line, "x") for _ in range(15) for line in lines for node in nodes),
            return_exceptions=True,
        )

    async def waiting() -> list[int]:
        return await rows(
            operator,
            "select count(*) from message_queue where status <> 'failed' group by instance_id",
        )

    async with running_nodes(database_url, 3, limits=limits) as nodes:
        answers = await flood(nodes)

        assert len(accepted(answers)) == max_count * len(lines)
        refused = [answer for answer in answers if isinstance(answer, QueueFull)]
        assert len(refused) + len(accepted(answers)) == len(answers)
        assert await waiting() == [max_count] * len(lines)

        # A line with holes; what failed waits no more.
        gone = await rows(
            operator, "delete from message_queue where sequence_number %% 3 = 2 returning 1"
        )
        failed = await rows(
            operator,
            """update message_queue set status = 'failed', last_error = 'x'
               where sequence_number in (4, 7) returning 1""",
        )
        answers = await flood(nodes)

        assert len(accepted(answers)) == len(gone) + len(failed)
        assert await waiting() == [max_count] * len(lines)


async def test_one_key_on_two_nodes_at_once_makes_one_row(
    database_url: str, operator: AsyncConnection
) -> None:
    lines = await add_lines(operator, 4)
    keys = [IdempotencyKey(f"key {n}", b"body") for n in range(25)]
    options = [(line, key) for line in lines for key in keys]

    async def execute(node: Node, seed: int) -> dict[tuple[str, str], str]:
        async def one(line: Instance, key: IdempotencyKey) -> tuple[tuple[str, str], str]:
            queued = await node.enqueue(line, "x", key=key)
            return (line.id, key.key), f"{queued.zaap_id} {queued.message_id}"

        shuffled = random.Random(seed).sample(options, len(options))
        return dict(await asyncio.gather(*(one(*wish) for wish in shuffled)))

    async with running_nodes(database_url, 3) as nodes:
        first, *others = await asyncio.gather(*(execute(node, n) for n, node in enumerate(nodes)))

    assert others == [first, first]
    stored = await rows(operator, "select zaap_id || ' ' || message_id from message_queue")
    assert sorted(stored) == sorted(first.values())


async def test_a_key_twice_in_one_batch_makes_one_row(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    key = IdempotencyKey("key", b"body")
    async with running_node(database_url) as node:
        answers = await asyncio.gather(*(node.enqueue(line, "x", key=key) for _ in range(5)))

    assert answers == [answers[0]] * 5
    assert await rows(operator, "select message_id from message_queue") == [answers[0].message_id]


async def test_a_key_with_another_body_is_refused_even_at_once_on_two_nodes(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    async with running_nodes(database_url, 2) as nodes:
        for n in range(20):
            answers = await asyncio.gather(
                *(
                    node.enqueue(
                        line, node.name, key=IdempotencyKey(f"key {n}", node.name.encode())
                    )
                    for node in nodes
                ),
                return_exceptions=True,
            )
            kinds = Counter(type(answer).__name__ for answer in answers)
            assert kinds == {"Queued": 1, IdempotencyKeyReused.__name__: 1}

    assert await rows(operator, "select count(*) from message_queue") == [20]


async def test_a_replay_does_not_count_against_the_limit(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    limits = QueueLimits(max_waiting=2, max_waiting_disconnected=2, max_attempts=3)
    key = IdempotencyKey("key", b"body")
    async with running_nodes(database_url, 2, limits=limits) as (node, other):
        first = await node.enqueue(line, "1", key=key)
        answers = await asyncio.gather(
            *(node.enqueue(line, "1", key=key) for _ in range(3)),
            node.enqueue(line, "2"),
            node.enqueue(line, "3"),
            return_exceptions=True,
        )

        assert answers[:3] == [first] * 3
        assert [type(answer).__name__ for answer in answers[3:]] == ["Queued", "QueueFull"]
        assert await other.enqueue(line, "1", key=key) == first

    assert await waiting_texts(operator, line.id) == ["1", "2"]


@pytest.mark.parametrize("poison", ["text", "phone"])
async def test_a_message_that_postgres_cannot_take_fails_alone(
    database_url: str, operator: AsyncConnection, poison: str
) -> None:
    lines = await add_lines(operator, 6)
    bad = text("a\0b") if poison == "text" else text("x").model_copy(update={"phone": "5\0"})
    async with running_node(database_url) as node:
        before = [node.enqueue(line, f"{n}") for n in range(5) for line in lines]
        after = [node.enqueue(line, f"{n}") for n in range(5, 10) for line in lines]
        answers = await asyncio.gather(
            *before, node.enqueuer.enqueue(lines[2], bad), *after, return_exceptions=True
        )

    assert isinstance(answers.pop(len(before)), DataError)
    assert len(accepted(answers)) == len(before) + len(after)
    for line in lines:
        assert await waiting_texts(operator, line.id) == [f"{n}" for n in range(10)]
    numbers = await rows(
        operator, "select max(sequence_number) from message_queue group by instance_id"
    )
    assert numbers == [10] * len(lines)


_NEW: Final = "payload ->> 'message' <> 'before'"


@pytest.mark.parametrize("cut", Cut)
async def test_a_flush_whose_answer_is_lost_is_accepted_exactly_once(
    database_url: str, operator: AsyncConnection, cut: Cut
) -> None:
    line, other = await add_lines(operator, 2)
    async with (
        bad_connection(database_url) as connection,
        running_node(connection.url) as node,
    ):
        await fill(node, line, "before")
        connection.lose(b'"message":"0"', cut)
        asked = [node.enqueue(i, f"{n}") for n in range(3) for i in (line, other)]
        answers = await asyncio.gather(*asked)
        assert await waiting_texts(operator, line.id) == ["before", "0", "1", "2"]
        assert await waiting_texts(operator, other.id) == ["0", "1", "2"]
        stored = await rows(operator, f"select message_id from message_queue where {_NEW}")
        assert sorted(stored) == sorted(answer.message_id for answer in answers)
        if cut is Cut.MEANWHILE:
            # All of it was accepted on another connection, and sent: what arrives now is too late.
            await operator.execute(f"delete from message_queue where {_NEW}")
            connection.deliver.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await connection.answered.wait()
            assert await waiting_texts(operator, line.id) == ["before"]

    assert connection.cuts == 1


# --- Claiming ----------------------------------------------------------------------------------


async def test_a_locked_head_is_never_overtaken(
    database_url: str, operator: AsyncConnection
) -> None:
    line, other = await add_lines(operator, 2)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as somebody,
    ):
        await fill(node, line, "1", "2", "3")
        await fill(node, other, "x")
        await somebody.execute(
            "select from message_queue where instance_id = %s and sequence_number = 1 for update",
            [line.id],
        )
        memory = line_of(line)

        assert await node.claimer.claim(memory) is None
        assert text_of(await node.claimer.claim(line_of(other))) == "x"
        await somebody.rollback()
        assert [text_of(claimed) for claimed in await node.send_all(memory)] == ["1", "2", "3"]


async def test_three_claimers_never_have_two_of_a_line_on_their_way(
    database_url: str, operator: AsyncConnection
) -> None:
    lines, length = await add_lines(operator, 10), 15
    on_their_way: set[str] = set()
    taken_by = Counter[str]()
    order: dict[str, list[str | None]] = {line.id: [] for line in lines}

    async def carry(node: Node, instance: Instance) -> None:
        memory = line_of(instance)
        while len(order[instance.id]) < length:
            if (claimed := await node.claimer.claim(memory)) is None:
                continue
            assert instance.id not in on_their_way
            on_their_way.add(instance.id)
            order[instance.id].append(text_of(claimed))
            taken_by[node.name] += 1
            while not await node.starter.start(claimed):
                pass  # another claimer is just looking at the lease
            on_their_way.discard(instance.id)
            await node.recorder.record(claimed, taken(claimed))

    async with running_nodes(database_url, 3) as nodes:
        texts = [f"{n}" for n in range(length)]
        await asyncio.gather(*(fill(nodes[0], line, *texts) for line in lines))

        await asyncio.gather(*(carry(node, line) for node in nodes for line in lines))

    assert len(taken_by) == len(nodes)
    assert order == {line.id: texts for line in lines}
    assert await rows(operator, "select count(*) from message_queue") == [0]
    assert await rows(operator, "select count(*) from messages") == [length * len(lines)]


async def test_a_retrying_head_holds_its_lane_and_no_other(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    async with running_node(database_url) as node:
        await fill(node, line, "n1", "n2")
        memory = line_of(line)
        head = await node.claim(memory)
        assert await node.starter.start(head)
        await node.recorder.record(head, Retried(LATER_SECONDS, "transient", "busy"))
        await fill(node, line, "h1", priority=Priority.HIGH)
        await fill(node, line, "b1", "b2", priority=Priority.BULK)

        others = [text_of(claimed) for claimed in await node.send_all(memory)]
        seconds_until_due = await node.claimer.sleep(memory)
        await operator.execute("update message_queue set due_at = now() where attempts = 1")
        rest = await node.send_all(memory)

    assert sorted(str(other) for other in others) == ["b1", "b2", "h1"]
    assert seconds_until_due == pytest.approx(LATER_SECONDS, abs=PATIENCE_SECONDS)
    assert [(text_of(claimed), claimed.attempts) for claimed in rest] == [("n1", 1), ("n2", 0)]


def assert_merged_four_to_two_to_one(lanes: list[Priority]) -> None:
    weights = list(zip(Priority, (4, 2, 1), strict=True))
    for start in range(0, len(lanes), 7):
        share = Counter(lanes[start : start + 7])
        assert all(abs(share[lane] - weight) <= 1 for lane, weight in weights), (start, lanes)
    total = Counter(lanes)
    assert all(abs(total[lane] - weight * len(lanes) / 7) <= 2 for lane, weight in weights), total


@pytest.mark.parametrize("missing", [None, *Priority])
async def test_lanes_are_merged_four_to_two_to_one_and_an_empty_one_saves_nothing_up(
    database_url: str, operator: AsyncConnection, missing: Priority | None
) -> None:
    """*missing* is empty while the others send 28, and only then gets its messages."""
    (line,) = await add_lines(operator, 1)
    texts = [f"{n:02}" for n in range(70)]
    memory = line_of(line)
    earlier: list[Claimed] = []
    async with running_node(database_url) as node:
        for lane in set(Priority) - {missing}:
            await asyncio.gather(*(node.enqueue(line, t, priority=lane) for t in texts))
        if missing is not None:
            earlier = await node.send_all(memory, max_count=28)
            await asyncio.gather(*(node.enqueue(line, t, priority=missing) for t in texts))
        sent = await node.send_all(memory, max_count=70)

    assert len(sent) == 70
    assert_merged_four_to_two_to_one([Priority(claimed.priority) for claimed in sent])
    for lane in Priority:
        in_lane = [text_of(claimed) for claimed in (*earlier, *sent) if claimed.priority == lane]
        assert in_lane == texts[: len(in_lane)]


async def test_a_scheduled_message_goes_before_those_that_were_accepted_after_it(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    promoted = asyncio.Event()

    def wake(ids: Collection[str]) -> None:
        if line.id in ids:
            promoted.set()

    async with running_node(database_url) as node:
        later = datetime.now(UTC) + timedelta(hours=1)
        await fill(node, line, "1", scheduled_for=later)
        await fill(node, line, "2", "3", "4")
        memory = line_of(line)
        first = await node.claim(memory)
        await node.recorder.record(first, taken(first))
        assert memory.claimed_up_to[Priority.NORMAL] == first.position == 2

        await operator.execute("update message_queue set due_at = now() where status = 'scheduled'")
        schedule = Schedule(node.database, Clock(), node_id="a", wake=wake)
        stopping = asyncio.Event()
        running = asyncio.create_task(schedule.run_until(stopping))
        await promoted.wait()
        stopping.set()
        await running
        rest = await node.send_all(memory)

    assert [text_of(claimed) for claimed in (first, *rest)] == ["2", "1", "3", "4"]


# --- Taking over -------------------------------------------------------------------------------


async def test_while_a_take_over_is_in_flight_the_old_holder_claims_and_starts_nothing(
    database_url: str, operator: AsyncConnection
) -> None:
    line, other = await add_lines(operator, 2)
    async with (
        running_nodes(database_url, 2) as (old, _new),
        await AsyncConnection.connect(database_url) as taking,
    ):
        await asyncio.gather(fill(old, line, "1"), fill(old, other, "1"))
        claimed = await old.claim(line_of(other))
        await operator.execute("update nodes set expires_at = now() where id = 'a'")
        cursor = await taking.execute(ACQUIRE_LEASES, {"node_id": "b", "max_count": 9})
        assert {epoch for _, epoch in await cursor.fetchall()} == {2}

        assert await old.claimer.claim(line_of(line)) is None
        assert not await old.starter.start(claimed)

        await taking.rollback()
        assert await old.starter.start(claimed)
        assert text_of(await old.claimer.claim(line_of(line))) == "1"


OUTCOMES: list[Outcome] = [
    Sent(Receipt("3EB0")),
    HandedBack(),
    Retried(LATER_SECONDS, "transient", "busy"),
    Failed("refused", "no such number"),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__.lower())
async def test_after_a_take_over_the_old_holder_changes_no_row(
    database_url: str, operator: AsyncConnection, outcome: Outcome
) -> None:
    line, other, untouched = await add_lines(operator, 3)
    state = """select m::text from message_queue m
               union all select m::text from messages m
               union all select m::text from message_attempts m
               union all select m::text from webhook_outbox m order by 1"""
    async with running_nodes(database_url, 2) as (old, new):
        await fill(old, line, "1", "2")
        await fill(old, other, "1")
        await fill(old, untouched, "1")
        zombie = await old.claim(line_of(line))
        unstarted = await old.claim(line_of(other))
        assert await old.starter.start(zombie)
        await operator.execute("update nodes set expires_at = now() where id = 'a'")
        await new.leases.acquire(9)
        assert set((await new.leases.owned()).values()) == {2}
        await operator.execute("update instance_lines set connected = true")

        # The row it sends is settled and claimed again by the new holder.
        await process(new, line, epoch=2)
        again = await new.claim(line_of(line, epoch=2))
        assert (again.id, again.attempts) == (zombie.id, 1)
        before = await rows(operator, state)

        for each in (line, other, untouched):
            assert await old.claimer.claim(line_of(each)) is None
        assert not await old.starter.start(zombie)
        assert not await old.starter.start(unstarted)
        await old.recorder.record(zombie, outcome)
        assert await rows(operator, state) == before

        assert await new.starter.start(again)
        before = await rows(operator, state)
        await old.recorder.record(zombie, outcome)
        assert await rows(operator, state) == before


async def process(node: Node, instance: Instance, *, epoch: int) -> None:
    """What a new holder does before its worker begins."""
    rescue = Rescue(node.database, node.recorder, at_once())
    stopping = asyncio.Event()
    running = asyncio.create_task(rescue.run_until(stopping))
    await rescue.process(node.live(instance, Phone(), epoch=epoch))
    stopping.set()
    await running


# --- Waking ------------------------------------------------------------------------------------


@dataclass
class Phone:
    """A session that takes everything at once."""

    sent: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        self.sent.put_nowait(str(message.readable_text()))
        return Receipt(attempt.message_id)

    async def execute(self, operation: Operation[Answer]) -> Answer:
        raise NotImplementedError

    async def events(self) -> AsyncIterator[ReportedEvent]:
        raise NotImplementedError
        yield


async def test_a_worker_never_sleeps_while_a_message_waits(
    database_url: str, operator: AsyncConnection
) -> None:
    """Each message is sent into the very moment in which the worker looks for one and lies down.

    Half of them are accepted by the worker's own node, half by another, which must notify it.
    Nothing else wakes a worker here.
    """
    lines, rounds = await add_lines(operator, 50), 50
    phones = {line.id: Phone() for line in lines}
    wakeups = {line.id: asyncio.Event() for line in lines}
    wakes = Counter[str]()

    def wake(how: str, ids: Collection[str]) -> None:
        wakes[how] += len(ids)
        for instance_id in ids:
            wakeups[instance_id].set()

    async def converse(near: Node, far: Node, line: Instance) -> None:
        chance = random.Random(line.id)
        for n in range(rounds):
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)  # another moment each time
            await chance.choice((near, far)).enqueue(line, f"{n}")
            assert await phones[line.id].sent.get() == f"{n}"

    listening, stopping, leaving = asyncio.Event(), asyncio.Event(), asyncio.Event()
    notifications = Notifications(database_url, Clock())
    notifications.subscribe(
        "node:a", lambda ids: wake("notified", ids.split(",")), on_reconnect=listening.set
    )
    async with (
        running_node(database_url, "a", wake=lambda ids: wake("in process", ids)) as near,
        running_node(database_url, "b", wake=lambda ids: wake("wrong node", ids)) as far,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(notifications.run_until(stopping))
        await listening.wait()
        for line in lines:
            live = near.live(line, phones[line.id])
            worker = Worker(live, near.context(), wakeups[line.id])
            group.create_task(worker.run_until(leaving))

        await asyncio.gather(*(converse(near, far, line) for line in lines))

        stopping.set()
        leaving.set()
        for wakeup in wakeups.values():
            wakeup.set()

    assert min(wakes["in process"], wakes["notified"]) > rounds
    assert wakes["wrong node"] == 0
    assert await rows(operator, "select count(*) from messages") == [rounds * len(lines)]


# --- Starting and recording --------------------------------------------------------------------


async def test_a_receipt_that_postgres_cannot_take_fails_alone(
    database_url: str, operator: AsyncConnection
) -> None:
    lines = await add_lines(operator, 9)
    async with running_node(database_url) as node:
        await asyncio.gather(*(fill(node, line, "x") for line in lines))
        claimed = [await node.claim(line_of(line)) for line in lines]
        outcomes = [taken(row) for row in claimed]
        outcomes[4] = Sent(Receipt("3EB0\0"))
        answers = await asyncio.gather(
            *(node.recorder.record(*pair) for pair in zip(claimed, outcomes, strict=True)),
            return_exceptions=True,
        )

    assert [n for n, answer in enumerate(answers) if answer is not None] == [4]
    assert isinstance(answers[4], DataError)
    assert await rows(operator, "select instance_id from message_queue") == [lines[4].id]
    assert await rows(operator, "select count(*) from messages") == [len(lines) - 1]


async def test_a_start_whose_answer_is_lost_is_handed_back_with_the_attempts_it_had(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    state = "select status, attempts, attempt_started_at is null from message_queue"
    async with (
        bad_connection(database_url) as connection,
        running_node(connection.url) as node,
    ):
        await fill(node, line, "1")
        await operator.execute("update message_queue set attempts = 1")
        memory = line_of(line)
        claimed = await node.claim(memory)
        connection.lose(START_ATTEMPTS, Cut.AFTER)
        with pytest.raises(DatabaseUnavailable):
            await node.starter.start(claimed)
        assert await rows(operator, state) == [("processing", 2, False)]

        await node.recorder.record(claimed, HandedBack())

        assert await rows(operator, state) == [("pending", 1, True)]
        again = await node.claim(memory)
        assert (again.id, again.attempts) == (claimed.id, 1)


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_a_record_whose_answer_is_lost_is_written_once(
    database_url: str, operator: AsyncConnection, cut: Cut
) -> None:
    (line,) = await add_lines(operator, 1)
    await operator.execute("update instances set delivery_callback_url = 'http://caller'")
    async with (
        bad_connection(database_url) as connection,
        running_node(connection.url) as node,
    ):
        await fill(node, line, "1")
        claimed = await node.claim(line_of(line))
        assert await node.starter.start(claimed)
        connection.lose(RECORD_SENT, cut)

        await node.recorder.record(claimed, taken(claimed))

    assert connection.cuts == 1
    assert await rows(operator, "select message_id from messages") == [claimed.message_id]
    assert await rows(operator, "select position from webhook_outbox") == [1]


# --- Cancelling --------------------------------------------------------------------------------


async def test_a_row_that_is_being_cancelled_is_not_started_and_frees_its_line(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as canceller,
    ):
        await fill(node, line, "1", "2")
        memory = line_of(line)
        claimed = await node.claim(memory)
        assert await cancel_open(canceller, line, message_id=claimed.message_id) == 1

        assert not await node.starter.start(claimed)

        await canceller.commit()
        await node.recorder.record(claimed, HandedBack())
        assert text_of(await node.claimer.claim(memory)) == "2"

    assert await rows(operator, "select status, payload ->> 'message' from messages") == [
        ("canceled", "1")
    ]
    assert await rows(operator, "select count(*) from webhook_outbox") == [0]


async def test_a_cancel_that_meets_a_claim_takes_the_row_away_from_it(
    database_url: str, operator: AsyncConnection
) -> None:
    (line,) = await add_lines(operator, 1)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as claiming,
    ):
        await fill(node, line, "1", "2")
        claimed = await node.claim(line_of(line))
        await node.recorder.record(claimed, HandedBack())
        await claiming.execute(
            CLAIM,
            {
                "instance_ids": [line.id],
                "epochs": [1],
                "claim_ids": [uuid.uuid4()],
                "earlier_claim_ids": [],
                "reordered": [-1],
                **{name: [lane] for lane, name in enumerate(("first", "second", "third"))},
                **{f"from_{lane.name.lower()}": [0] for lane in Priority},
                "first_position": 0,
            },
        )
        cancelling = asyncio.create_task(cancel(node, line, claimed))
        await until(lambda: blocked_sessions(operator), bool)
        await claiming.commit()
        await cancelling

        assert not await node.starter.start(claimed)
        assert text_of(await node.claimer.claim(line_of(line))) == "2"


@pytest.mark.parametrize("in_flight", [False, True])
async def test_a_started_row_is_not_cancelled(
    database_url: str, operator: AsyncConnection, *, in_flight: bool
) -> None:
    (line,) = await add_lines(operator, 1)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as starting,
    ):
        await fill(node, line, "1", "2")
        claimed = await node.claim(line_of(line))
        await starting.execute(
            START_ATTEMPTS,
            {
                "instance_ids": [line.id],
                "ids": [claimed.id],
                "epochs": [1],
                "claim_ids": [claimed.claim_id],
            },
        )
        if not in_flight:
            await starting.commit()
        cancelling = asyncio.create_task(cancel(node, line, claimed))
        if in_flight:
            await until(lambda: blocked_sessions(operator), bool)
            await starting.commit()
        with pytest.raises(Conflict, match="being sent"):
            await cancelling
        assert await cancel_open(starting, line) == 1  # the other one
        await starting.commit()

        await node.recorder.record(claimed, taken(claimed))

    assert await rows(
        operator, "select status, payload ->> 'message' from messages order by sequence_number"
    ) == [("sent", "1"), ("canceled", "2")]
