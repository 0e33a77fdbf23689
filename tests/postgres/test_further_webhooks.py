"""Further webhooks have an order, a breaker, dead letters, headers and a secret of their own."""

import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection
from pydantic import ValidationError

from gateway.clock import Clock
from gateway.contract.extensions.dead_letters import (
    CountDeadLetters,
    ListDeadLetters,
    RetryAllDeadLetters,
)
from gateway.contract.extensions.replay import ListDeliveries, ReplayWebhooks, TestWebhook
from gateway.contract.extensions.webhooks import (
    AddWebhook,
    DeleteWebhook,
    ListWebhooks,
    UpdateWebhook,
    Webhook,
)
from gateway.database.queries import query
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.instances.store import Instance
from gateway.webhooks import dead_letters, further_webhooks, replay, webhook_tests
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.circuit_breakers import BreakerLimits
from tests.fixtures.delivery import (
    DeliveryNode,
    add_instances_with_webhooks,
    enqueue,
    running_delivery,
)
from tests.fixtures.postgres_proxy import Cut, bad_connection
from tests.fixtures.queue import rows
from tests.fixtures.service import until
from tests.fixtures.webhook_catcher import WebhookCatcher

TWICE = RetrySchedule(lambda low, _high: low, base_seconds=0.02, factor=1.0, max_attempts=2)
OWN = uuid.UUID(int=0)
CHAT = "5511999999999"


@pytest.fixture
async def other() -> AsyncIterator[WebhookCatcher]:
    """The receiver of a further webhook."""
    async with WebhookCatcher().serving() as catcher:
        yield catcher


async def add(node: DeliveryNode, instance: Instance, url: str, **fields: Any) -> Webhook:
    operation = AddWebhook.model_validate({"url": url, **fields})
    return await further_webhooks.add_webhook(node.context(instance), operation)


async def append(operator: AsyncConnection, instance: Instance, kind: str) -> None:
    """Enqueues one callback of a type."""
    await operator.execute(
        """select enqueue_callbacks_v2(
               array[%s], array[%s], array[%s], array[gen_random_uuid()], array[%s])""",
        [instance.id, CHAT, kind, f'{{"type": "{kind}"}}'],
    )


def numbers(catcher: WebhookCatcher) -> list[int]:
    return [posted.body["n"] for posted in catcher.delivered]


async def test_each_webhook_gets_every_callback_in_order(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, other: WebhookCatcher
) -> None:
    other.answer = lambda number: 500 if number % 3 == 1 else 200
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with running_delivery(database_url) as node:
        await add(node, instance, other.url)
        await enqueue(operator, instance, range(40))
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 40)
        await other.wait_for(lambda c: len(c.delivered) == 40)

    assert numbers(catcher) == numbers(other) == list(range(40))
    own_ids, other_ids = {p.id for p in catcher.delivered}, {p.id for p in other.delivered}
    assert len(other_ids) == 40
    assert not own_ids & other_ids


async def test_instance_without_webhooks_of_z_api_delivers_to_a_further_one(
    database_url: str, operator: AsyncConnection, other: WebhookCatcher
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, "")
    await operator.execute("update instances set delivery_callback_url = null")
    async with running_delivery(database_url) as node:
        await add(node, instance, other.url)
        await enqueue(operator, instance, range(3))
        node.delivery.wake()
        await other.wait_for(lambda c: len(c.delivered) == 3)

    assert await rows(operator, "select count(*) from webhook_events") == [3]


async def test_types_choose_what_a_webhook_gets(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, other: WebhookCatcher
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with running_delivery(database_url) as node:
        webhook = await add(node, instance, other.url, types=["ReceivedCallback"])
        for kind in ("DeliveryCallback", "ReceivedCallback", "DeliveryCallback"):
            await append(operator, instance, kind)
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 3)
        await other.wait_for(lambda c: len(c.delivered) == 1)
        await further_webhooks.update_webhook(
            node.context(instance), UpdateWebhook(webhook_id=webhook.id, types=())
        )
        await append(operator, instance, "DeliveryCallback")
        node.delivery.wake()
        await other.wait_for(lambda c: len(c.delivered) == 2)

    assert [posted.body["type"] for posted in other.delivered] == [
        "ReceivedCallback",
        "DeliveryCallback",
    ]


async def test_headers_and_secret_are_of_the_webhook(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, other: WebhookCatcher
) -> None:
    secret, value = "0123456789abcdef", "Bearer of-the-crm"
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with running_delivery(database_url) as node:
        shown = await add(
            node, instance, other.url, headers={"Authorization": value}, secret=secret
        )
        await enqueue(operator, instance, [1])
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 1)
        await other.wait_for(lambda c: len(c.delivered) == 1)
        result = await webhook_tests.test_webhook(
            node.context(instance), TestWebhook(webhook_id=shown.id)
        )

    assert result.value
    for posted in other.posted:
        assert posted.headers["authorization"] == value
        signed = f"{posted.headers['x-webhook-timestamp']}.{posted.raw.decode()}"
        expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        assert posted.headers["x-webhook-signature"] == expected
        assert "z-api-token" not in posted.headers
    assert "authorization" not in catcher.posted[0].headers
    assert "z-api-token" in catcher.posted[0].headers
    assert shown.header_names == ("Authorization",)
    assert shown.has_secret
    stored = await rows(operator, "select webhooks::text from webhooks")
    assert not any(text in str(shown) + str(stored) for text in (value, secret))


async def test_webhook_that_is_down_delays_no_other(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, other: WebhookCatcher
) -> None:
    other.answer = lambda _number: 500
    limits = BreakerLimits(max_server_errors=2, max_open_after_error_seconds=60.0)
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with running_delivery(database_url, limits=limits) as node, AsyncExitStack() as stack:
        # On the same server as Z-API's webhooks, and yet with a breaker of its own.
        same = await stack.enter_async_context(WebhookCatcher().serving())
        await add(node, instance, other.url)
        await add(node, instance, same.url)
        for chat in ("1", "2", "3"):
            await enqueue(operator, instance, [1, 2], chat=chat)
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 6)
        await same.wait_for(lambda c: len(c.delivered) == 6)
        await until(lambda: _is_open(node), bool)

    assert not other.delivered


async def _is_open(node: DeliveryNode) -> bool:
    return node.breakers.count_open() == 1


async def test_dead_letters_of_a_webhook_are_retried_to_it_alone(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, other: WebhookCatcher
) -> None:
    other.answer = lambda _number: 500
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with running_delivery(database_url, schedule=TWICE) as node:
        context = node.context(instance)
        webhook = await add(node, instance, other.url)
        await enqueue(operator, instance, [1])
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 1)
        await until(lambda: _dead(operator, 1), bool)
        of_own = await dead_letters.count_dead_letters(context, CountDeadLetters(webhook_id=OWN))
        page = await dead_letters.list_dead_letters(context, ListDeadLetters(webhook_id=webhook.id))
        other.answer = lambda _number: 200
        retried = await dead_letters.retry_all(context, RetryAllDeadLetters(webhook_id=webhook.id))
        await other.wait_for(lambda c: len(c.delivered) == 1)
        await until(lambda: _dead(operator, 0), bool)
        log = await replay.list_deliveries(context, ListDeliveries(webhook_id=webhook.id))

    assert of_own.total_events == 0
    assert [event.webhook_id for event in page.events] == [webhook.id]
    assert retried.retried_count == 1
    assert len(catcher.posted) == 1
    assert {posted.id for posted in other.posted} == {str(page.events[0].event_id)}
    assert [attempt.success for attempt in log.deliveries] == [True, False, False]


async def _dead(operator: AsyncConnection, count: int) -> bool:
    found = await rows(
        operator, "select count(*) from webhook_dead_letters where status <> 'success'"
    )
    return found == [count]


async def test_replay_to_one_webhook_uses_the_ids_of_the_first_delivery(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, other: WebhookCatcher
) -> None:
    since = Clock().now() - timedelta(minutes=1)
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with running_delivery(database_url) as node:
        webhook = await add(node, instance, other.url)
        await enqueue(operator, instance, range(5))
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 5)
        await other.wait_for(lambda c: len(c.delivered) == 5)
        to_one = ReplayWebhooks.model_validate({"from": since, "webhookId": str(webhook.id)})
        assert (await replay.replay(node.context(instance), to_one)).replayed == 5
        await other.wait_for(lambda c: len(c.delivered) == 10)
        to_all = ReplayWebhooks.model_validate({"from": since})
        assert (await replay.replay(node.context(instance), to_all)).replayed == 10
        await other.wait_for(lambda c: len(c.delivered) == 15)
        await catcher.wait_for(lambda c: len(c.delivered) == 10)

    ids = [posted.id for posted in other.delivered]
    assert ids == ids[:5] * 3
    own_ids = [posted.id for posted in catcher.delivered]
    assert own_ids == own_ids[:5] * 2


@pytest.mark.parametrize("deletes", [True, False], ids=["deleted", "disabled"])
async def test_what_waits_for_a_webhook_that_is_gone_is_dropped(
    database_url: str,
    operator: AsyncConnection,
    catcher: WebhookCatcher,
    other: WebhookCatcher,
    *,
    deletes: bool,
) -> None:
    other.answer = lambda _number: 500
    late = RetrySchedule(lambda low, _high: low, base_seconds=36_000.0)
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with running_delivery(database_url, schedule=late) as node:
        context = node.context(instance)
        webhook = await add(node, instance, other.url)
        await enqueue(operator, instance, range(3))
        node.delivery.wake()
        await until(lambda: _waits(operator), bool)
        if deletes:
            await further_webhooks.delete_webhook(context, DeleteWebhook(webhook_id=webhook.id))
        else:
            off = UpdateWebhook(webhook_id=webhook.id, enabled=False)
            assert not (await further_webhooks.update_webhook(context, off)).enabled
        await until(lambda: _is_empty(operator), bool)
        await enqueue(operator, instance, [3])
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 4)

    assert len(other.posted) == 1
    assert await _is_empty(operator)


async def _waits(operator: AsyncConnection) -> bool:
    found = await rows(operator, "select attempts from further_delivery_queues")
    return found == [1]


async def _is_empty(operator: AsyncConnection) -> bool:
    return await rows(operator, "select count(*) from further_outbox") == [0]


async def test_new_address_gets_what_waits_at_once(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, other: WebhookCatcher
) -> None:
    other.answer = lambda _number: 500
    late = RetrySchedule(lambda low, _high: low, base_seconds=36_000.0)
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with (
        running_delivery(database_url, schedule=late) as node,
        WebhookCatcher().serving() as third,
    ):
        webhook = await add(node, instance, other.url)
        await enqueue(operator, instance, range(3))
        node.delivery.wake()
        await until(lambda: _waits(operator), bool)
        moved = UpdateWebhook(webhook_id=webhook.id, url=third.url)
        await further_webhooks.update_webhook(node.context(instance), moved)
        await third.wait_for(lambda c: len(c.delivered) == 3)

    assert numbers(third) == [0, 1, 2]


async def test_webhooks_are_limited_listed_and_of_one_instance(
    database_url: str, operator: AsyncConnection
) -> None:
    first, second = await add_instances_with_webhooks(operator, 2, "http://127.0.0.1:9/")
    async with running_delivery(database_url) as node:
        added = [await add(node, first, f"http://127.0.0.1:9/{n}") for n in range(10)]
        with pytest.raises(Conflict, match="10"):
            await add(node, first, "http://127.0.0.1:9/10")
        with pytest.raises(InvalidRequest, match="url"):
            await add(node, second, "ftp://example.com/")
        listed = await further_webhooks.list_webhooks(node.context(first), ListWebhooks())
        foreign = node.context(second)
        assert (await further_webhooks.list_webhooks(foreign, ListWebhooks())).webhooks == ()
        with pytest.raises(NotFound):
            await further_webhooks.delete_webhook(foreign, DeleteWebhook(webhook_id=added[0].id))
        with pytest.raises(NotFound):
            await further_webhooks.update_webhook(
                foreign, UpdateWebhook(webhook_id=added[0].id, enabled=False)
            )
        with pytest.raises(NotFound):
            await webhook_tests.test_webhook(foreign, TestWebhook(webhook_id=added[0].id))

    assert listed.webhooks == tuple(added)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"content-length": "5"},
        {"Content-Type": "text/plain"},
        {"Transfer-Encoding": "chunked"},
        {"X-Webhook-Signature": "forged"},
        {"Proxy-Authorization": "x"},
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "\u00e9"},
        {"X-A": ""},
        {"X A": "a"},
        {"": "a"},
        {"X-A": "a", "x-a": "b"},
        {f"X-{n}": "a" for n in range(21)},
        {"X-A": "a" * 8_192},
    ],
)
def test_headers_that_would_break_a_request_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        AddWebhook.model_validate({"url": "https://example.com/", "headers": headers})

    assert "forged" not in str(refused.value)


@pytest.mark.parametrize("secret", ["short", "a" * 257])
def test_secret_of_another_length_is_refused(secret: str) -> None:
    with pytest.raises(ValidationError):
        AddWebhook.model_validate({"url": "https://example.com/", "secret": secret})


async def test_webhook_is_added_once_after_a_lost_answer(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, "http://127.0.0.1:1/")
    async with bad_connection(database_url) as connection:
        connection.lose(query("webhooks", "add_webhook"), Cut.AFTER, at_commit=True)
        async with running_delivery(connection.url) as node:
            added = await add(node, instance, "http://127.0.0.1:1/further")

    assert await rows(operator, "select id from webhooks") == [added.id]
    assert connection.cuts == 1


def test_empty_array_of_php_is_no_headers() -> None:
    added = AddWebhook.model_validate({"url": "https://example.com/", "headers": []})
    assert added.sent_headers == {}
