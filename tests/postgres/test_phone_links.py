"""A phone that is linked with a link sends nothing before it is decided whether it may."""

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import AsyncConnection, Rollback

from gateway.contract.extensions.queue_control import ReadQueueStats
from gateway.database.queries import query
from gateway.identities.numbers import spellings
from gateway.instances.phone_links import LinkStatus, PhoneLinks
from gateway.instances.store import Instance
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.control import read_stats
from tests.fixtures.queue import Node, add_instances, rows, running_node

TOKEN, CODE, PHONE = "a" * 64, "2@code", "5511987654321"
_RECORD_CONNECTION = query("sessions", "record_connection")


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    async with running_node(database_url) as node:
        yield node


@pytest.fixture
async def instance(node: Node, operator: AsyncConnection) -> Instance:
    (added,) = await add_instances(operator, 1, connected=False)
    return added


async def report(
    connection: AsyncConnection,
    instance: Instance,
    state: str,
    *,
    phone: str | None = PHONE,
    at: datetime | None = None,
) -> None:
    """Stores what the session reports, as the node does."""
    await connection.execute(
        _RECORD_CONNECTION,
        {
            "instance_id": instance.id,
            "epoch": 1,
            "state": state,
            "phone": phone,
            "reason": None,
            "error": None,
            "at": at or datetime.now(UTC),
            "chat": "connection",
            "type": "ConnectedCallback",
            "callback_id": uuid.uuid4(),
            "callback": "{}",
        },
    )


async def hand_out(
    node: Node, instance: Instance, *, phones: Sequence[str] = (), shows_code: bool = True
) -> PhoneLinks:
    links = PhoneLinks(node.database)
    assert await links.create(instance.id, TOKEN, phones=phones, max_codes=2, minutes=30)
    if shows_code:
        assert await links.count_code(TOKEN, CODE)
    return links


async def hold_of(operator: AsyncConnection, instance: Instance) -> str | None:
    (kind,) = await rows(
        operator, "select hold_kind from instance_lines where instance_id = %s", instance.id
    )
    return None if kind is None else str(kind)


async def claims(node: Node, instance: Instance) -> bool:
    return await node.claimer.claim(ClaimCursor(instance.id, 1)) is not None


async def test_linking_holds_before_a_worker_can_claim(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    """The same commit makes the queue move and holds it, whenever the process is killed."""
    await node.enqueue(instance, "waits")
    links = await hand_out(node, instance)

    async with node.database.transaction() as linking:
        await report(linking, instance, "connected")
        assert not await claims(node, instance)
    assert not await claims(node, instance)

    found = await links.find(instance.id)
    assert found is not None
    assert (found.status, found.awaits_confirmation) == (LinkStatus.LINKED, True)
    stats = await read_stats(node.queue_context(instance), ReadQueueStats())
    assert (stats.hold_until, stats.seconds_to_empty) == (None, None)
    assert stats.hold_reason == "A phone was linked with a link that was handed out: confirm it"

    await report(operator, instance, "disconnected")
    await report(operator, instance, "connected")
    assert not await claims(node, instance)

    assert await links.confirm(instance.id)
    assert await links.confirm(instance.id)
    assert await claims(node, instance)


async def test_linking_that_was_not_committed_leaves_the_link_open(
    node: Node, instance: Instance
) -> None:
    await node.enqueue(instance, "waits")
    links = await hand_out(node, instance)

    async with node.database.transaction() as linking:
        await report(linking, instance, "connected")
        raise Rollback

    found = await links.find(instance.id)
    assert found is not None
    assert found.status is LinkStatus.WAITING
    assert not await claims(node, instance)


@pytest.mark.parametrize("way", ["revoked", "expired", "replaced"])
async def test_code_scanned_after_the_end_of_its_link_holds(
    node: Node, instance: Instance, operator: AsyncConnection, way: str
) -> None:
    """A code works for a while after it was shown: it must not outlive the hold."""
    await node.enqueue(instance, "waits")
    links = await hand_out(node, instance)
    if way == "revoked":
        assert await links.revoke(instance.id)
    elif way == "replaced":
        assert await links.create(instance.id, "b" * 64, phones=(), max_codes=2, minutes=30)
    else:
        await operator.execute("update phone_links set expires_at = now()")

    await report(operator, instance, "connected")

    assert await hold_of(operator, instance) == "linking"
    assert not await claims(node, instance)


async def test_linking_without_a_code_of_the_link_is_the_owners(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    await node.enqueue(instance, "waits")
    links = await hand_out(node, instance, phones=("5511911111111",), shows_code=False)

    await report(operator, instance, "connected")

    found = await links.find(instance.id)
    assert found is not None
    assert found.status is LinkStatus.LINKED
    assert not await links.count_code(TOKEN, CODE)
    assert await claims(node, instance)


async def test_linking_long_after_the_last_code_is_the_owners(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    await node.enqueue(instance, "waits")
    await hand_out(node, instance)

    await report(operator, instance, "connected", at=datetime.now(UTC) + timedelta(minutes=11))

    assert await claims(node, instance)


async def test_late_report_of_a_linking_still_holds(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    """Postgres may have been away since: the time of the linking counts."""
    await node.enqueue(instance, "waits")
    await hand_out(node, instance)
    await operator.execute(
        "update phone_links set last_code_at = now() - interval '2 hours',"
        " created_at = now() - interval '3 hours', expires_at = now() - interval '1 hour'"
    )

    at = datetime.now(UTC) - timedelta(minutes=119)
    await report(operator, instance, "connected", at=at)

    assert not await claims(node, instance)


async def test_named_phone_needs_no_confirmation_in_any_spelling(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    await node.enqueue(instance, "waits")
    links = await hand_out(node, instance, phones=spellings(PHONE))

    await report(operator, instance, "connected", phone="551187654321")

    assert not await links.confirm(instance.id)
    assert await claims(node, instance)


@pytest.mark.parametrize("phone", ["5511911111111", None])
async def test_wrong_phone_holds_also_an_empty_queue_until_it_is_logged_out(
    node: Node, instance: Instance, operator: AsyncConnection, phone: str | None
) -> None:
    links = await hand_out(node, instance, phones=spellings(PHONE))

    await report(operator, instance, "connected", phone=phone)
    await node.enqueue(instance, "comes before the phone is logged out")

    assert not await claims(node, instance)
    assert not await links.confirm(instance.id)
    await report(operator, instance, "disconnected", phone=phone)
    assert await hold_of(operator, instance) == "linking"

    await report(operator, instance, "logged_out", phone=None)
    assert await hold_of(operator, instance) is None
    assert not await claims(node, instance)

    await report(operator, instance, "connected")  # by the owner
    assert await claims(node, instance)


async def test_link_without_waiting_messages_holds_nothing(
    node: Node, instance: Instance, operator: AsyncConnection
) -> None:
    await hand_out(node, instance)

    await report(operator, instance, "connected")
    await node.enqueue(instance, "later")

    assert await claims(node, instance)


async def test_link_shows_each_code_once_counted_and_no_more_than_its_limit(
    node: Node, instance: Instance
) -> None:
    links = await hand_out(node, instance)

    shown = [await links.count_code(TOKEN, code) for code in (CODE, "2@two", "2@two", "2@three")]
    found = await links.find(instance.id)

    assert shown == [True, True, True, False]
    assert found is not None
    assert found.codes_left == 0


@pytest.mark.parametrize("state", ["connected", "disconnected", "replaced", "outdated"])
async def test_link_is_refused_while_a_phone_is_linked(
    node: Node, instance: Instance, operator: AsyncConnection, state: str
) -> None:
    await report(operator, instance, state)

    created = await PhoneLinks(node.database).create(
        instance.id, TOKEN, phones=(), max_codes=2, minutes=30
    )

    assert created is None


async def test_new_link_replaces_the_one_before(node: Node, instance: Instance) -> None:
    links = await hand_out(node, instance)

    await links.create(instance.id, "b" * 64, phones=(), max_codes=2, minutes=30)

    assert await links.find_by_token(TOKEN) is None
    assert not await links.count_code(TOKEN, CODE)
