"""Concurrent nodes, locks and lost answers never lose, repeat or reorder a message."""

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
from gateway.send_queue.claim_cursor import ClaimCursor, ClaimedMessage
from gateway.send_queue.enqueue import QueueLimits
from gateway.send_queue.enqueue_request import IdempotencyKey
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
    add_instances,
    at_once,
    blocked_sessions,
    rows,
    running_node,
    taken,
    text,
    waiting_texts,
)
from tests.fixtures.service import until
from tests.fixtures.users import SetClock

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


def cursor_of(instance: Instance, *, epoch: int = 1) -> ClaimCursor:
    return ClaimCursor(instance.id, epoch)


async def fill(node: Node, instance: Instance, *texts: str, **fields: Any) -> None:
    """Enqueues messages one after the other, so that their order is known."""
    for message in texts:
        await node.enqueue(instance, message, **fields)


def text_of(claimed: ClaimedMessage | None) -> str | None:
    return claimed.payload["message"] if claimed else None


async def cancel(node: Node, instance: Instance, claimed: ClaimedMessage) -> None:
    """Does what DELETE /queue/{zaapId} does."""
    await remove_from_queue(node.queue_context(instance), RemoveFromQueue(zaap_id=claimed.zaap_id))


async def cancel_open(
    connection: AsyncConnection, instance: Instance, *, message_id: str | None = None
) -> int:
    """Cancels inside the transaction of *connection*, which remains open."""
    nothing = dict.fromkeys(("status", "type", "phones", "track_id", "before"))
    cursor = await connection.execute(
        CANCEL_WAITING, {**nothing, "instance_id": instance.id, "message_id": message_id}
    )
    ((count,),) = await cursor.fetchall()
    return int(count)


# --- Enqueueing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3])
async def test_sequence_numbers_appear_in_order_without_gaps(
    database_url: str, operator: AsyncConnection, count: int
) -> None:
    instances = await add_instances(operator, 25)
    clients_of_each_node, messages_of_each_client = 20, 25
    checks = 0

    async def send(node: Node, client: int) -> None:
        chance = random.Random(client)
        for number in range(messages_of_each_client):
            await node.enqueue(chance.choice(instances), f"{node.name}{client}:{number:03}")

    async def watch() -> None:
        nonlocal checks
        while True:
            seen = await rows(
                operator,
                """select count(*), count(distinct sequence_number), max(sequence_number)
                   from message_queue group by instance_id""",
            )
            assert all(n == distinct == last for n, distinct, last in seen)
            checks += bool(seen)

    async with running_nodes(database_url, count) as nodes:
        watching = asyncio.create_task(watch())
        await asyncio.gather(
            *(send(node, client) for node in nodes for client in range(clients_of_each_node))
        )
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert watching.cancelled(), watching.exception()

    assert checks > 10
    (total,) = await rows(operator, "select count(*) from message_queue")
    assert total == count * clients_of_each_node * messages_of_each_client
    for instance in instances:
        texts = [t.split(":") for t in await waiting_texts(operator, instance.id)]
        # A client that waits for each answer finds its messages in that order.
        assert sorted(texts, key=lambda t: t[0]) == sorted(texts)


async def test_locked_queue_delays_no_other_queue(
    database_url: str, operator: AsyncConnection
) -> None:
    locked, *others = await add_instances(operator, 21)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as locker,
    ):
        await locker.execute(
            "select from instance_lines where instance_id = %s for update", [locked.id]
        )
        late = [asyncio.create_task(node.enqueue(locked, f"late {n}")) for n in range(50)]

        for wave in range(5):
            await asyncio.gather(*(node.enqueue(instance, f"wave {wave}") for instance in others))

        assert not any(task.done() for task in late)
        await locker.rollback()
        await asyncio.gather(*late)

    assert await waiting_texts(operator, locked.id) == [f"late {n}" for n in range(50)]
    for instance in others:
        assert await waiting_texts(operator, instance.id) == [f"wave {n}" for n in range(5)]


@pytest.mark.parametrize(("connected", "max_count"), [(True, 25), (False, 10)])
async def test_limits_are_exact_for_concurrent_requests(
    database_url: str, operator: AsyncConnection, *, connected: bool, max_count: int
) -> None:
    instances = await add_instances(operator, 3, connected=connected)
    limits = QueueLimits(max_waiting=25, max_waiting_disconnected=10, max_attempts=3)

    async def flood(nodes: list[Node]) -> list[object]:
        return await asyncio.gather(
            *(
                node.enqueue(instance, "x")
                for _ in range(15)
                for instance in instances
                for node in nodes
            ),
            return_exceptions=True,
        )

    async def waiting() -> list[int]:
        return await rows(
            operator,
            "select count(*) from message_queue where status <> 'failed' group by instance_id",
        )

    async with running_nodes(database_url, 3, limits=limits) as nodes:
        answers = await flood(nodes)

        assert len(accepted(answers)) == max_count * len(instances)
        refused = [answer for answer in answers if isinstance(answer, QueueFull)]
        assert len(refused) + len(accepted(answers)) == len(answers)
        assert await waiting() == [max_count] * len(instances)

        # The queue has gaps now, and failed messages do not count.
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
        assert await waiting() == [max_count] * len(instances)


async def test_key_used_on_several_nodes_at_once_makes_one_row(
    database_url: str, operator: AsyncConnection
) -> None:
    instances = await add_instances(operator, 4)
    keys = [IdempotencyKey(f"key {n}", b"body") for n in range(25)]
    pairs = [(instance, key) for instance in instances for key in keys]

    async def enqueue_all(node: Node, seed: int) -> dict[tuple[str, str], str]:
        async def one(instance: Instance, key: IdempotencyKey) -> tuple[tuple[str, str], str]:
            queued = await node.enqueue(instance, "x", key=key)
            return (instance.id, key.key), f"{queued.zaap_id} {queued.message_id}"

        shuffled = random.Random(seed).sample(pairs, len(pairs))
        return dict(await asyncio.gather(*(one(*pair) for pair in shuffled)))

    async with running_nodes(database_url, 3) as nodes:
        first, *others = await asyncio.gather(
            *(enqueue_all(node, n) for n, node in enumerate(nodes))
        )

    assert others == [first, first]
    stored = await rows(operator, "select zaap_id || ' ' || message_id from message_queue")
    assert sorted(stored) == sorted(first.values())


async def test_key_repeated_in_one_batch_makes_one_row(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    key = IdempotencyKey("key", b"body")
    async with running_node(database_url) as node:
        answers = await asyncio.gather(*(node.enqueue(instance, "x", key=key) for _ in range(5)))

    assert answers == [answers[0]] * 5
    assert await rows(operator, "select message_id from message_queue") == [answers[0].message_id]


async def test_key_with_another_body_is_refused_on_two_nodes_at_once(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with running_nodes(database_url, 2) as nodes:
        for n in range(20):
            answers = await asyncio.gather(
                *(
                    node.enqueue(
                        instance, node.name, key=IdempotencyKey(f"key {n}", node.name.encode())
                    )
                    for node in nodes
                ),
                return_exceptions=True,
            )
            kinds = Counter(type(answer).__name__ for answer in answers)
            assert kinds == {"Queued": 1, IdempotencyKeyReused.__name__: 1}

    assert await rows(operator, "select count(*) from message_queue") == [20]


async def test_replay_does_not_count_against_the_limit(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    limits = QueueLimits(max_waiting=2, max_waiting_disconnected=2, max_attempts=3)
    key = IdempotencyKey("key", b"body")
    async with running_nodes(database_url, 2, limits=limits) as (node, other):
        first = await node.enqueue(instance, "1", key=key)
        answers = await asyncio.gather(
            *(node.enqueue(instance, "1", key=key) for _ in range(3)),
            node.enqueue(instance, "2"),
            node.enqueue(instance, "3"),
            return_exceptions=True,
        )

        assert answers[:3] == [first] * 3
        assert [type(answer).__name__ for answer in answers[3:]] == ["Queued", "QueueFull"]
        assert await other.enqueue(instance, "1", key=key) == first

    assert await waiting_texts(operator, instance.id) == ["1", "2"]


@pytest.mark.parametrize("poison", ["text", "phone"])
async def test_message_that_postgres_refuses_fails_alone(
    database_url: str, operator: AsyncConnection, poison: str
) -> None:
    instances = await add_instances(operator, 6)
    bad = text("a\0b") if poison == "text" else text("x").model_copy(update={"phone": "5\0"})
    async with running_node(database_url) as node:
        before = [node.enqueue(instance, f"{n}") for n in range(5) for instance in instances]
        after = [node.enqueue(instance, f"{n}") for n in range(5, 10) for instance in instances]
        answers = await asyncio.gather(
            *before, node.enqueuer.enqueue(instances[2], bad), *after, return_exceptions=True
        )

    assert isinstance(answers.pop(len(before)), DataError)
    assert len(accepted(answers)) == len(before) + len(after)
    for instance in instances:
        assert await waiting_texts(operator, instance.id) == [f"{n}" for n in range(10)]
    numbers = await rows(
        operator, "select max(sequence_number) from message_queue group by instance_id"
    )
    assert numbers == [10] * len(instances)


_NEW: Final = "payload ->> 'message' <> 'before'"


@pytest.mark.parametrize("cut", Cut)
async def test_flush_with_a_lost_answer_is_accepted_exactly_once(
    database_url: str, operator: AsyncConnection, cut: Cut
) -> None:
    instance, other = await add_instances(operator, 2)
    async with (
        bad_connection(database_url) as connection,
        running_node(connection.url) as node,
    ):
        await fill(node, instance, "before")
        connection.lose(b'"message":"0"', cut)
        enqueues = [node.enqueue(i, f"{n}") for n in range(3) for i in (instance, other)]
        answers = await asyncio.gather(*enqueues)
        assert await waiting_texts(operator, instance.id) == ["before", "0", "1", "2"]
        assert await waiting_texts(operator, other.id) == ["0", "1", "2"]
        stored = await rows(operator, f"select message_id from message_queue where {_NEW}")
        assert sorted(stored) == sorted(answer.message_id for answer in answers)
        if cut is Cut.MEANWHILE:
            # All messages were accepted on another connection and sent; the statement is too late.
            await operator.execute(f"delete from message_queue where {_NEW}")
            connection.deliver.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await connection.answered.wait()
            assert await waiting_texts(operator, instance.id) == ["before"]

    assert connection.cuts == 1


# --- Claiming ----------------------------------------------------------------------------------


async def test_locked_head_is_never_overtaken(database_url: str, operator: AsyncConnection) -> None:
    instance, other = await add_instances(operator, 2)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as locker,
    ):
        await fill(node, instance, "1", "2", "3")
        await fill(node, other, "x")
        await locker.execute(
            "select from message_queue where instance_id = %s and sequence_number = 1 for update",
            [instance.id],
        )
        cursor = cursor_of(instance)

        assert await node.claimer.claim(cursor) is None
        assert text_of(await node.claimer.claim(cursor_of(other))) == "x"
        await locker.rollback()
        assert [text_of(claimed) for claimed in await node.send_all(cursor)] == ["1", "2", "3"]


async def test_three_claimers_never_send_two_of_one_queue_at_once(
    database_url: str, operator: AsyncConnection
) -> None:
    instances, length = await add_instances(operator, 10), 15
    in_flight_instances: set[str] = set()
    taken_by = Counter[str]()
    order: dict[str, list[str | None]] = {instance.id: [] for instance in instances}

    async def send_all(node: Node, instance: Instance) -> None:
        cursor = cursor_of(instance)
        while len(order[instance.id]) < length:
            if (claimed := await node.claimer.claim(cursor)) is None:
                continue
            assert instance.id not in in_flight_instances
            in_flight_instances.add(instance.id)
            order[instance.id].append(text_of(claimed))
            taken_by[node.name] += 1
            while not await node.starter.start(claimed):
                pass  # another claimer has locked the lease
            in_flight_instances.discard(instance.id)
            await node.recorder.record(claimed, taken(claimed))

    async with running_nodes(database_url, 3) as nodes:
        texts = [f"{n}" for n in range(length)]
        await asyncio.gather(*(fill(nodes[0], instance, *texts) for instance in instances))

        await asyncio.gather(
            *(send_all(node, instance) for node in nodes for instance in instances)
        )

    assert len(taken_by) == len(nodes)
    assert order == {instance.id: texts for instance in instances}
    assert await rows(operator, "select count(*) from message_queue") == [0]
    assert await rows(operator, "select count(*) from messages") == [length * len(instances)]


async def test_retrying_head_of_a_strict_queue_blocks_its_lane_only(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await operator.execute("update instance_lines set queue_order = 'strict'")
    async with running_node(database_url) as node:
        await fill(node, instance, "n1", "n2")
        cursor = cursor_of(instance)
        head = await node.claim(cursor)
        assert await node.starter.start(head)
        await node.recorder.record(head, Retried(LATER_SECONDS, "transient", "busy"))
        await fill(node, instance, "h1", priority=Priority.HIGH)
        await fill(node, instance, "b1", "b2", priority=Priority.BULK)

        others = [text_of(claimed) for claimed in await node.send_all(cursor)]
        seconds_until_due = await node.claimer.sleep(cursor)
        await operator.execute("update message_queue set due_at = now() where attempts = 1")
        rest = await node.send_all(cursor)

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
async def test_lanes_merge_4_to_2_to_1_without_bursts(
    database_url: str, operator: AsyncConnection, missing: Priority | None
) -> None:
    """The lane *missing* is empty while the others send 28, and gets its messages afterwards."""
    (instance,) = await add_instances(operator, 1)
    texts = [f"{n:02}" for n in range(70)]
    cursor = cursor_of(instance)
    earlier: list[ClaimedMessage] = []
    async with running_node(database_url) as node:
        for lane in set(Priority) - {missing}:
            await asyncio.gather(*(node.enqueue(instance, t, priority=lane) for t in texts))
        if missing is not None:
            earlier = await node.send_all(cursor, max_count=28)
            await asyncio.gather(*(node.enqueue(instance, t, priority=missing) for t in texts))
        sent = await node.send_all(cursor, max_count=70)

    assert len(sent) == 70
    assert_merged_four_to_two_to_one([Priority(claimed.priority) for claimed in sent])
    for lane in Priority:
        in_lane = [text_of(claimed) for claimed in (*earlier, *sent) if claimed.priority == lane]
        assert in_lane == texts[: len(in_lane)]


async def test_due_scheduled_message_precedes_later_accepted_ones(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    promoted = asyncio.Event()

    def wake(ids: Collection[str]) -> None:
        if instance.id in ids:
            promoted.set()

    async with running_node(database_url) as node:
        later = datetime.now(UTC) + timedelta(hours=1)
        await fill(node, instance, "1", scheduled_for=later)
        await fill(node, instance, "2", "3", "4")
        cursor = cursor_of(instance)
        first = await node.claim(cursor)
        await node.recorder.record(first, taken(first))
        assert cursor.claimed_up_to[Priority.NORMAL] == first.position == 2

        await operator.execute("update message_queue set due_at = now() where status = 'scheduled'")
        schedule = Schedule(node.database, Clock(), node_id="a", wake=wake)
        stopping = asyncio.Event()
        running = asyncio.create_task(schedule.run_until(stopping))
        await promoted.wait()
        stopping.set()
        await running
        rest = await node.send_all(cursor)

    assert [text_of(claimed) for claimed in (first, *rest)] == ["2", "1", "3", "4"]


async def test_missed_wake_ups_are_looked_for_at_the_interval_only(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    clock, woken = SetClock(), list[str]()
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        schedule = Schedule(
            node.database, clock, node_id="a", wake=woken.extend, check_seconds=30.0
        )
        pauses = [await schedule.run_once()]
        clock.advance(20.0)
        pauses.append(await schedule.run_once())
        before = list(woken)
        clock.advance(10.0)
        pauses.append(await schedule.run_once())

    assert pauses == [30.0, 10.0, 30.0]
    assert (before, woken) == ([instance.id], [instance.id] * 2)


# --- Taking over -------------------------------------------------------------------------------


async def test_old_owner_starts_nothing_during_a_take_over(
    database_url: str, operator: AsyncConnection
) -> None:
    instance, other = await add_instances(operator, 2)
    async with (
        running_nodes(database_url, 2) as (old, _new),
        await AsyncConnection.connect(database_url) as taking,
    ):
        await asyncio.gather(fill(old, instance, "1"), fill(old, other, "1"))
        claimed = await old.claim(cursor_of(other))
        await operator.execute("update nodes set expires_at = now() where id = 'a'")
        cursor = await taking.execute(ACQUIRE_LEASES, {"node_id": "b", "max_count": 9})
        assert {epoch for _, epoch in await cursor.fetchall()} == {2}

        assert await old.claimer.claim(cursor_of(instance)) is None
        assert not await old.starter.start(claimed)

        await taking.rollback()
        assert await old.starter.start(claimed)
        assert text_of(await old.claimer.claim(cursor_of(instance))) == "1"


OUTCOMES: list[Outcome] = [
    Sent(Receipt("3EB0")),
    HandedBack(),
    Retried(LATER_SECONDS, "transient", "busy"),
    Failed("refused", "no such number"),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__.lower())
async def test_old_owner_changes_no_row_after_a_take_over(
    database_url: str, operator: AsyncConnection, outcome: Outcome
) -> None:
    instance, other, untouched = await add_instances(operator, 3)
    state = """select m::text from message_queue m
               union all select m::text from messages m
               union all select m::text from message_attempts m
               union all select m::text from webhook_outbox m order by 1"""
    async with running_nodes(database_url, 2) as (old, new):
        await fill(old, instance, "1", "2")
        await fill(old, other, "1")
        await fill(old, untouched, "1")
        zombie = await old.claim(cursor_of(instance))
        unstarted = await old.claim(cursor_of(other))
        assert await old.starter.start(zombie)
        await operator.execute("update nodes set expires_at = now() where id = 'a'")
        await new.leases.acquire(9)
        assert set((await new.leases.owned()).values()) == {2}
        await operator.execute("update instance_lines set connected = true")

        # The new owner rescues the row in flight and claims it again.
        await rescue_all(new, instance, epoch=2)
        again = await new.claim(cursor_of(instance, epoch=2))
        assert (again.id, again.attempts) == (zombie.id, 1)
        before = await rows(operator, state)

        for each in (instance, other, untouched):
            assert await old.claimer.claim(cursor_of(each)) is None
        assert not await old.starter.start(zombie)
        assert not await old.starter.start(unstarted)
        await old.recorder.record(zombie, outcome)
        assert await rows(operator, state) == before

        assert await new.starter.start(again)
        before = await rows(operator, state)
        await old.recorder.record(zombie, outcome)
        assert await rows(operator, state) == before


async def rescue_all(node: Node, instance: Instance, *, epoch: int) -> None:
    """Does what a new owner does before its worker begins."""
    rescue = Rescue(node.database, node.recorder, at_once())
    stopping = asyncio.Event()
    running = asyncio.create_task(rescue.run_until(stopping))
    await rescue.process(node.live(instance, Phone(), epoch=epoch))
    stopping.set()
    await running


# --- Wake-ups -----------------------------------------------------------------------------------


@dataclass
class Phone:
    """A session that sends every message at once."""

    sent: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        self.sent.put_nowait(str(message.readable_text()))
        return Receipt(attempt.message_id)

    async def execute(self, operation: Operation[Answer]) -> Answer:
        raise NotImplementedError

    async def check_health(self) -> None:
        pass

    async def events(self) -> AsyncIterator[ReportedEvent]:
        raise NotImplementedError
        yield


async def test_worker_never_sleeps_while_a_message_waits(
    database_url: str, operator: AsyncConnection
) -> None:
    """Each message is enqueued while the worker is about to wait for a wake-up.

    The worker's own node accepts half of the messages, another node the other half, which must
    notify the first. Nothing else wakes a worker here.
    """
    instances, rounds = await add_instances(operator, 50), 50
    phones = {instance.id: Phone() for instance in instances}
    wakeups = {instance.id: asyncio.Event() for instance in instances}
    wakes = Counter[str]()

    def wake(how: str, ids: Collection[str]) -> None:
        wakes[how] += len(ids)
        for instance_id in ids:
            wakeups[instance_id].set()

    async def send_in_turn(near: Node, far: Node, instance: Instance) -> None:
        chance = random.Random(instance.id)
        for n in range(rounds):
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)  # a different moment each time
            await chance.choice((near, far)).enqueue(instance, f"{n}")
            assert await phones[instance.id].sent.get() == f"{n}"

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
        for instance in instances:
            live = near.live(instance, phones[instance.id])
            worker = Worker(live, near.worker_dependencies(), wakeups[instance.id])
            group.create_task(worker.run_until(leaving))

        await asyncio.gather(*(send_in_turn(near, far, instance) for instance in instances))

        stopping.set()
        leaving.set()
        for wakeup in wakeups.values():
            wakeup.set()

    assert min(wakes["in process"], wakes["notified"]) > rounds
    assert wakes["wrong node"] == 0
    assert await rows(operator, "select count(*) from messages") == [rounds * len(instances)]


# --- Starting and recording --------------------------------------------------------------------


async def test_receipt_that_postgres_refuses_fails_alone(
    database_url: str, operator: AsyncConnection
) -> None:
    instances = await add_instances(operator, 9)
    async with running_node(database_url) as node:
        await asyncio.gather(*(fill(node, instance, "x") for instance in instances))
        claimed = [await node.claim(cursor_of(instance)) for instance in instances]
        outcomes = [taken(row) for row in claimed]
        outcomes[4] = Sent(Receipt("3EB0\0"))
        answers = await asyncio.gather(
            *(node.recorder.record(*pair) for pair in zip(claimed, outcomes, strict=True)),
            return_exceptions=True,
        )

    assert [n for n, answer in enumerate(answers) if isinstance(answer, DataError)] == [4]
    assert answers[:4] + answers[5:] == [True] * (len(instances) - 1)
    assert await rows(operator, "select instance_id from message_queue") == [instances[4].id]
    assert await rows(operator, "select count(*) from messages") == [len(instances) - 1]


async def test_start_with_a_lost_answer_is_handed_back_uncounted(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    state = "select status, attempts, attempt_started_at is null from message_queue"
    async with (
        bad_connection(database_url) as connection,
        running_node(connection.url) as node,
    ):
        await fill(node, instance, "1")
        await operator.execute("update message_queue set attempts = 1")
        cursor = cursor_of(instance)
        claimed = await node.claim(cursor)
        connection.lose(START_ATTEMPTS, Cut.AFTER)
        with pytest.raises(DatabaseUnavailable):
            await node.starter.start(claimed)
        assert await rows(operator, state) == [("processing", 2, False)]

        await node.recorder.record(claimed, HandedBack())

        assert await rows(operator, state) == [("pending", 1, True)]
        again = await node.claim(cursor)
        assert (again.id, again.attempts) == (claimed.id, 1)


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_record_with_a_lost_answer_is_written_once(
    database_url: str, operator: AsyncConnection, cut: Cut
) -> None:
    (instance,) = await add_instances(operator, 1)
    await operator.execute("update instances set delivery_callback_url = 'http://caller'")
    async with (
        bad_connection(database_url) as connection,
        running_node(connection.url) as node,
    ):
        await fill(node, instance, "1")
        claimed = await node.claim(cursor_of(instance))
        assert await node.starter.start(claimed)
        connection.lose(RECORD_SENT, cut)

        await node.recorder.record(claimed, taken(claimed))

    assert connection.cuts == 1
    assert await rows(operator, "select message_id from messages") == [claimed.message_id]
    assert await rows(operator, "select position from webhook_outbox") == [1]


# --- Canceling --------------------------------------------------------------------------------


async def test_row_being_canceled_is_not_started_and_frees_its_queue(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as canceling,
    ):
        await fill(node, instance, "1", "2")
        cursor = cursor_of(instance)
        claimed = await node.claim(cursor)
        assert await cancel_open(canceling, instance, message_id=claimed.message_id) == 1

        assert not await node.starter.start(claimed)

        await canceling.commit()
        await node.recorder.record(claimed, HandedBack())
        assert text_of(await node.claimer.claim(cursor)) == "2"

    assert await rows(operator, "select status, payload ->> 'message' from messages") == [
        ("canceled", "1")
    ]
    assert await rows(operator, "select count(*) from webhook_outbox") == [0]


async def test_cancel_during_a_claim_takes_the_row_from_it(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as claiming,
    ):
        await fill(node, instance, "1", "2")
        claimed = await node.claim(cursor_of(instance))
        await node.recorder.record(claimed, HandedBack())
        await claiming.execute(
            CLAIM,
            {
                "instance_ids": [instance.id],
                "epochs": [1],
                "claim_ids": [uuid.uuid4()],
                "earlier_claim_ids": [],
                "reordered": [-1],
                **{name: [lane] for lane, name in enumerate(("first", "second", "third"))},
                **{f"from_{lane.name.lower()}": [0] for lane in Priority},
                "first_position": 0,
            },
        )
        cancelling = asyncio.create_task(cancel(node, instance, claimed))
        await until(lambda: blocked_sessions(operator), bool)
        await claiming.commit()
        await cancelling

        assert not await node.starter.start(claimed)
        assert text_of(await node.claimer.claim(cursor_of(instance))) == "2"


@pytest.mark.parametrize("in_flight", [False, True])
async def test_started_row_is_not_canceled(
    database_url: str, operator: AsyncConnection, *, in_flight: bool
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as starting,
    ):
        await fill(node, instance, "1", "2")
        claimed = await node.claim(cursor_of(instance))
        await starting.execute(
            START_ATTEMPTS,
            {
                "instance_ids": [instance.id],
                "ids": [claimed.id],
                "epochs": [1],
                "claim_ids": [claimed.claim_id],
                "connection_ids": [instance.connection_id],
            },
        )
        if not in_flight:
            await starting.commit()
        cancelling = asyncio.create_task(cancel(node, instance, claimed))
        if in_flight:
            await until(lambda: blocked_sessions(operator), bool)
            await starting.commit()
        with pytest.raises(Conflict, match="being sent"):
            await cancelling
        assert await cancel_open(starting, instance) == 1  # the second message
        await starting.commit()

        await node.recorder.record(claimed, taken(claimed))

    assert await rows(
        operator, "select status, payload ->> 'message' from messages order by sequence_number"
    ) == [("sent", "1"), ("canceled", "2")]
