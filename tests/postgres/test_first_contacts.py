"""While WhatsApp allows no new conversations, first contacts wait and replies go on."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.extensions.queue_control import ReadQueued, ReadQueueStats
from gateway.instances.store import Instance
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.control import read_queued, read_stats
from gateway.send_queue.outcome import Held, Retried, Withheld
from gateway.send_queue.schedule import Schedule
from tests.fixtures.queue import Node, add_instances, rows, running_node, taken

UNTIL = datetime.now(UTC) + timedelta(hours=6)
KNOWN, STRANGER, OTHER = "5511988887777", "5511977776666", "5511966665555"
GROUP = "120363019502650977-group"


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    async with running_node(database_url) as node:
        yield node


@pytest.fixture
async def instance(node: Node, operator: AsyncConnection) -> Instance:
    (added,) = await add_instances(operator, 1)
    await operator.execute(
        "insert into chats (instance_id, phone, last_message_at) values (%s, %s, now())",
        [added.id, KNOWN],
    )
    return added


async def refused(node: Node, instance: Instance, cursor: ClaimCursor, phone: str) -> None:
    """WhatsApp refuses the next message, which goes to *phone*, because it is a first contact."""
    claimed = await node.claim(cursor)
    assert claimed.phone == phone
    assert await node.starter.start(claimed)
    await node.recorder.record(claimed, Withheld(UNTIL, "WhatsApp allows no new conversations"))
    cursor.withholds = True


async def sent_to(node: Node, cursor: ClaimCursor) -> list[str]:
    """Sends what may leave; returns to whom."""
    found = []
    while claimed := await node.claimer.claim(cursor):
        await node.recorder.record(claimed, taken(claimed))
        found.append(claimed.phone)
    return found


def schedule_of(node: Node) -> Schedule:
    return Schedule(node.database, Clock(), node_id="a", wake=lambda _ids: None)


async def test_replies_and_groups_pass_first_contacts(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    cursor = ClaimCursor(instance.id, 1)
    for phone in (STRANGER, OTHER, KNOWN, STRANGER, GROUP, OTHER):
        await node.enqueue(instance, f"to {phone}", phone=phone)

    await refused(node, instance, cursor, STRANGER)

    assert await sent_to(node, cursor) == [KNOWN, GROUP]
    waiting = await rows(operator, "select status, attempts, due_at from message_queue")
    assert waiting == [("scheduled", 0, UNTIL)] * 4


async def test_schedule_learns_when_withheld_messages_go_on(
    database_url: str, operator: AsyncConnection
) -> None:
    """It looks at the next time only when it is woken, or each half minute."""
    (instance,) = await add_instances(operator, 1)
    wakes = list[str]()
    async with running_node(database_url, wake_schedule=lambda: wakes.append("woken")) as node:
        cursor = ClaimCursor(instance.id, 1)
        for phone in (STRANGER, OTHER):
            await node.enqueue(instance, f"to {phone}", phone=phone)

        await refused(node, instance, cursor, STRANGER)
        after_refusal = len(wakes)
        assert await sent_to(node, cursor) == []

    assert after_refusal == 1
    assert len(wakes) == 2  # the other one was withheld before it was sent


async def test_many_first_contacts_are_passed_in_runs(
    node: Node, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.send_queue.claim._MAX_RUN", 3)
    cursor = ClaimCursor(instance.id, 1)
    for number in range(10):
        await node.enqueue(instance, "hello", phone=str(5511900000000 + number))
    await node.enqueue(instance, "reply", phone=KNOWN)

    await refused(node, instance, cursor, "5511900000000")

    assert await sent_to(node, cursor) == [KNOWN]


async def test_next_worker_withholds_first_contacts_too(node: Node, instance: Instance) -> None:
    for phone in (STRANGER, OTHER, KNOWN):
        await node.enqueue(instance, f"to {phone}", phone=phone)
    await refused(node, instance, ClaimCursor(instance.id, 1), STRANGER)

    assert await sent_to(node, ClaimCursor(instance.id, 1)) == [KNOWN]


async def test_chat_that_becomes_known_goes_on_in_order(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    cursor, schedule = ClaimCursor(instance.id, 1), schedule_of(node)
    for phone, text in ((STRANGER, "1"), (OTHER, "2"), (STRANGER, "3")):
        await node.enqueue(instance, text, phone=phone)
    await refused(node, instance, cursor, STRANGER)
    assert await sent_to(node, cursor) == []
    await schedule.run_once()
    assert await sent_to(node, cursor) == []

    await operator.execute(
        "insert into chats (instance_id, phone, last_message_at) values (%s, %s, now())",
        [instance.id, STRANGER],
    )
    await schedule.run_once()
    await schedule.run_once()

    assert await sent_to(node, cursor) == [STRANGER, STRANGER]
    assert await rows(operator, "select phone from message_queue") == [OTHER]


async def test_refused_message_of_a_known_chat_holds_its_chat_alone(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    other_known = "5511955554444"
    await operator.execute(
        "insert into chats (instance_id, phone, last_message_at) values (%s, %s, now())",
        [instance.id, other_known],
    )
    cursor, schedule = ClaimCursor(instance.id, 1), schedule_of(node)
    for phone in (KNOWN, KNOWN, other_known):
        await node.enqueue(instance, f"to {phone}", phone=phone)
    await refused(node, instance, cursor, KNOWN)
    await schedule.run_once()

    assert await sent_to(node, cursor) == [other_known]


async def test_end_of_the_rule_returns_messages_to_their_places(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    cursor = ClaimCursor(instance.id, 1)
    for phone in (STRANGER, OTHER):
        await node.enqueue(instance, f"to {phone}", phone=phone)
    await refused(node, instance, cursor, STRANGER)
    assert await sent_to(node, cursor) == []
    await node.enqueue(instance, "later", phone=KNOWN)
    await operator.execute("update instance_lines set first_contacts_until = now()")

    await schedule_of(node).run_once()

    assert await sent_to(node, cursor) == [STRANGER, OTHER, KNOWN]
    assert await rows(
        operator, "select first_contacts_until, first_contacts_reason from instance_lines"
    ) == [(None, None)]


async def test_owner_reads_why_and_gets_one_callback(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    await operator.execute(
        "update instances set delivery_callback_url = 'https://receiver.example/'"
    )
    cursor = ClaimCursor(instance.id, 1)
    context = node.queue_context(instance)
    first = await node.enqueue(instance, "hello", phone=STRANGER)
    await node.enqueue(instance, "hello", phone=KNOWN)
    await refused(node, instance, cursor, STRANGER)
    await refused(node, instance, cursor, KNOWN)

    queued = await read_queued(context, ReadQueued(zaap_id=first.zaap_id))
    stats = await read_stats(context, ReadQueueStats())

    assert (queued.waiting_for, queued.waiting_until) == ("first_contact", UNTIL)
    assert "known chats only" in (queued.waiting_reason or "")
    assert (stats.first_contacts_until, stats.hold_until) == (UNTIL, None)
    bodies = await rows(operator, "select body::jsonb ->> 'kind' from webhook_outbox")
    assert bodies == ["first_contacts"]


async def test_attempt_that_does_not_count_stops_its_chat_alone(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    cursor = ClaimCursor(instance.id, 1)
    for phone in (STRANGER, STRANGER, OTHER):
        await node.enqueue(instance, f"to {phone}", phone=phone)
    claimed = await node.claim(cursor)
    assert await node.starter.start(claimed)
    await node.recorder.record(claimed, Retried(3_600.0, "transient", "slowly", counts=False))
    cursor.has_parked = True

    assert await sent_to(node, cursor) == [OTHER]
    deferred = await rows(
        operator,
        "select attempts, deferrals from message_queue where parked_for is not null",
    )
    assert deferred == [(0, 1)]


@pytest.mark.parametrize(("counts", "expected"), [(True, (1, 0)), (False, (0, 1))])
async def test_hold_of_the_queue_counts_only_if_it_says_so(
    node: Node,
    instance: Instance,
    operator: AsyncConnection,
    expected: tuple[int, int],
    *,
    counts: bool,
) -> None:
    await node.enqueue(instance, "hello")
    claimed = await node.claim(ClaimCursor(instance.id, 1))
    assert await node.starter.start(claimed)

    await node.recorder.record(claimed, Held(UNTIL, "busy", counts=counts))

    assert await rows(operator, "select attempts, deferrals from message_queue") == [expected]
