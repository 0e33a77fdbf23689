"""Delivery posts in order per chat, retries, gives up, and delays no other receiver."""

import hashlib
import hmac
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.extensions.dead_letters import (
    CountDeadLetters,
    DeadLetterPage,
    DiscardDeadLetter,
    GetDeadLetter,
    ListDeadLetters,
    PurgeDeadLetters,
    RetryAllDeadLetters,
    RetryDeadLetter,
)
from gateway.contract.extensions.replay import ListDeliveries, ReplayWebhooks, TestWebhook
from gateway.contract.zapi.webhooks import SetDeliveryWebhook
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.instances.store import Instance
from gateway.observability.metrics import Metrics
from gateway.webhooks import dead_letters, operations, replay, webhook_tests
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.circuit_breakers import BreakerLimits
from gateway.webhooks.retention import Retention
from gateway.webhooks.secrets import WebhookSecrets
from tests.fixtures.delivery import (
    TOKEN,
    VAULT,
    DeliveryNode,
    add_instances_with_webhooks,
    enqueue,
    running_delivery,
    set_delivery_webhook,
)
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.queue import rows
from tests.fixtures.service import until
from tests.fixtures.webhook_catcher import WebhookCatcher, hanging_receiver

TWICE = RetrySchedule(lambda low, _high: low, base_seconds=0.01, factor=1.0, max_attempts=2)


def numbers(catcher: WebhookCatcher, chat: str = "5511999999999") -> list[int]:
    return [p.body["n"] for p in catcher.delivered if p.body["chat"] == chat]


async def test_chats_are_delivered_in_order_although_posts_fail(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    fate = random.Random(7)  # a fixed third may meet the same callback each time it is posted
    catcher.answer = lambda _number: 500 if fate.random() < 1 / 3 else 200
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    chats = [f"55119{n:08}" for n in range(5)]
    for chat in chats:
        await enqueue(operator, instance, range(30), chat=chat)

    async with running_delivery(database_url):
        await catcher.wait_for(lambda c: len(c.delivered) >= 150)

    assert all(numbers(catcher, chat) == list(range(30)) for chat in chats)
    assert await rows(operator, "select count(*) from webhook_outbox") == [0]


async def test_dead_receiver_of_one_instance_delays_no_other(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    one, other = await add_instances_with_webhooks(operator, 2, catcher.url)
    limits = BreakerLimits(max_in_flight=4)
    # The dead receiver holds each of its posts for longer than this test waits.
    held_seconds = 2 * PATIENCE_SECONDS
    async with (
        running_delivery(database_url, timeout_seconds=held_seconds, limits=limits) as node,
        hanging_receiver() as url,
    ):
        await set_delivery_webhook(operator, one, url)
        for n in range(300):
            await enqueue(operator, one, [n], chat=f"dead-{n}")
        await enqueue(operator, other, range(100))
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 100)

    assert numbers(catcher) == list(range(100))


async def test_silent_receivers_of_one_account_leave_posts_to_others(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    one, other = await add_instances_with_webhooks(operator, 2, catcher.url)
    await operator.execute("insert into accounts (id, name) values ('other', 'Other')")
    await operator.execute("update instances set account_id = 'other' where id = %s", [other.id])
    limits = BreakerLimits(max_in_flight=400)
    held_seconds = 2 * PATIENCE_SECONDS
    async with (
        running_delivery(database_url, timeout_seconds=held_seconds, limits=limits) as node,
        hanging_receiver() as url,
    ):
        await set_delivery_webhook(operator, one, url)
        for n in range(400):
            await enqueue(operator, one, [n], chat=f"dead-{n}")
        node.delivery.wake()
        await until(_count(operator, "claim_id is not null"), lambda n: n >= 64)
        await enqueue(operator, other, range(20))
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 20)
        full_accounts = node.breakers.full_accounts()

    assert numbers(catcher) == list(range(20))
    assert full_accounts == ["acme"]


async def test_silent_receiver_is_blocked_until_it_answers(
    database_url: str, operator: AsyncConnection
) -> None:
    catcher = WebhookCatcher()
    (instance,) = await add_instances_with_webhooks(operator, 1, "http://127.0.0.1:1/")
    async with catcher.serving():
        url = catcher.url
    await set_delivery_webhook(operator, instance, url)
    for n in range(40):
        await enqueue(operator, instance, [n], chat=f"chat-{n}")
    patient = RetrySchedule(lambda low, _high: low, base_seconds=3_600.0)
    limits = BreakerLimits(max_in_flight=4, max_strikes=3, first_open_seconds=2.0)

    async with running_delivery(database_url, schedule=patient, limits=limits) as node:
        await until(_count(operator, "attempts > 0"), lambda n: n >= 3)
        await until(_count(operator, "address is not null"), lambda n: n > 30)
        attempts = await rows(operator, "select count(*) from webhook_deliveries")
        async with catcher.serving(port=int(url.split(":")[2].split("/")[0])):
            await operator.execute("update webhook_lines set due_at = now() where chat = 'chat-39'")
            node.delivery.wake()
            await catcher.wait_for(lambda c: len(c.delivered) == 40)

    assert attempts[0] < 20  # one queue finds out for all 40


def _count(operator: AsyncConnection, condition: str) -> Callable[[], Awaitable[int]]:
    async def look() -> int:
        (count,) = await rows(operator, f"select count(*) from webhook_lines where {condition}")
        return int(count)

    return look


async def test_retry_after_of_a_receiver_is_obeyed(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    posted_at: list[float] = []

    def answer(number: int) -> int:
        posted_at.append(time.monotonic())
        return 429 if number == 0 else 200

    catcher.answer = answer
    catcher.headers = {"Retry-After": "1"}
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    await enqueue(operator, instance, range(2))

    async with running_delivery(database_url) as node:
        await catcher.wait_for(lambda c: len(c.posted) == 1)
        await enqueue(operator, instance, [7], chat="another")
        node.delivery.wake()
        await catcher.wait_for(lambda c: len(c.delivered) == 3)

    assert posted_at[-1] - posted_at[0] >= 1.0
    assert numbers(catcher) == [0, 1]


@pytest.mark.parametrize(("status", "posts"), [(500, 2), (410, 1)])
async def test_callback_given_up_becomes_a_dead_letter(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, status: int, posts: int
) -> None:
    catcher.answer = lambda number: status if number < posts else 200
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    await enqueue(operator, instance, range(2))

    async with running_delivery(database_url, schedule=TWICE) as node:
        await catcher.wait_for(lambda c: len(c.delivered) == 1)
        (dead_letter,) = (await _page(node, instance)).events
        stats = await dead_letters.handlers.handle(node.context(instance), CountDeadLetters())

    assert numbers(catcher) == [1]
    assert dead_letter.original_payload["n"] == 0
    assert dead_letter.original_metadata == {"chat": "5511999999999"}
    assert (dead_letter.total_attempts, dead_letter.last_error) == (posts, f"HTTP {status}")
    assert (dead_letter.reprocess_status, dead_letter.reprocess_attempts) == ("pending", 0)
    assert dead_letter.first_attempt_at is not None
    assert dead_letter.first_attempt_at <= dead_letter.last_attempt_at
    assert stats.by_failure_reason == stats.open_by_failure_reason == {f"HTTP {status}": 1}
    assert (stats.total_events, stats.by_status) == (1, {"pending": 1})


async def age(operator: AsyncConnection, table: str, column: str) -> None:
    await operator.execute(f"update {table} set {column} = now() - interval '8 days'".encode())


async def _page(node: DeliveryNode, instance: Instance, **query: Any) -> DeadLetterPage:
    page: DeadLetterPage = await dead_letters.handlers.handle(
        node.context(instance), ListDeadLetters(**query)
    )
    return page


async def test_dead_letter_is_retried_discarded_and_purged(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    catcher.answer = lambda _number: 410
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    await enqueue(operator, instance, range(4))

    async with running_delivery(database_url, schedule=TWICE) as node:
        context, handle = node.context(instance), dead_letters.handlers.handle
        await catcher.wait_for(lambda c: len(c.posted) == 4)
        await until(_dead(operator), lambda n: n == 4)
        first, second, *_ = reversed((await _page(node, instance)).events)
        catcher.answer = lambda _number: 200

        await handle(context, RetryDeadLetter(event_id=first.event_id))
        await catcher.wait_for(lambda c: len(c.delivered) == 1)
        await until(_dead(operator, "success"), lambda n: n == 1)
        with pytest.raises(Conflict):
            await handle(context, RetryDeadLetter(event_id=first.event_id))
        with pytest.raises(NotFound):
            await handle(context, RetryDeadLetter(event_id=uuid.uuid4()))
        await handle(context, DiscardDeadLetter(event_id=second.event_id))
        with pytest.raises(Conflict):
            await handle(context, DiscardDeadLetter(event_id=second.event_id))
        retried = await handle(context, RetryAllDeadLetters(limit=100))
        await catcher.wait_for(lambda c: len(c.delivered) == 3)
        await until(_dead(operator, "success"), lambda n: n == 3)
        page = await _page(node, instance, status="success", page_size=2)
        shown = await handle(context, GetDeadLetter(event_id=first.event_id))
        await operator.execute(
            "update webhook_dead_letters set died_at = now() - interval '8 days'"
        )
        purged = await handle(context, PurgeDeadLetters())

    assert catcher.delivered[0].id == str(first.event_id)
    assert (retried.retried_count, retried.failed_count) == (2, 0)
    assert (page.total, len(page.events)) == (3, 2)
    assert (shown.reprocess_status, shown.reprocess_attempts) == ("success", 1)
    assert purged.deleted_count == 4


def _dead(operator: AsyncConnection, status: str | None = None) -> Callable[[], Awaitable[int]]:
    async def look() -> int:
        (count,) = await rows(
            operator,
            "select count(*) from webhook_dead_letters where coalesce(status = %s, true)",
            status,
        )
        return int(count)

    return look


async def test_dead_letter_that_fails_again_is_failed(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    catcher.answer = lambda _number: 410
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    await enqueue(operator, instance, [0])

    async with running_delivery(database_url) as node:
        await until(_dead(operator), lambda n: n == 1)
        await dead_letters.handlers.handle(node.context(instance), RetryAllDeadLetters())
        await until(_dead(operator, "failed"), lambda n: n == 1)
        (dead_letter,) = (await _page(node, instance)).events

    assert (dead_letter.total_attempts, dead_letter.reprocess_attempts) == (2, 1)


async def test_after_a_long_outage_each_callback_is_posted_once(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    catcher.answer = lambda _number: 500
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    await enqueue(operator, instance, range(5))
    await operator.execute("update webhook_lines set failing_since = now() - interval '25 hours'")

    async with running_delivery(database_url):
        await until(_dead(operator), lambda n: n == 5)

    assert [p.body["n"] for p in catcher.posted] == [0, 1, 2, 3, 4]


async def test_replay_delivers_under_the_same_ids_in_order(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    await enqueue(operator, instance, range(10))
    now = Clock().now()

    async with running_delivery(database_url) as node:
        await catcher.wait_for(lambda c: len(c.delivered) == 10)
        context, handle = node.context(instance), replay.handlers.handle
        since = now - timedelta(minutes=1)
        nothing = await handle(
            context, ReplayWebhooks.model_validate({"from": since, "types": ["ReceivedCallback"]})
        )
        earlier = await handle(
            context, ReplayWebhooks.model_validate({"from": since - timedelta(1), "to": since})
        )
        all_of_it = await handle(context, ReplayWebhooks.model_validate({"from": since}))
        await catcher.wait_for(lambda c: len(c.delivered) == 20)
        with pytest.raises(InvalidRequest):
            await handle(context, ReplayWebhooks.model_validate({"from": now, "to": since}))

    assert (nothing.replayed, earlier.replayed, all_of_it.replayed) == (0, 0, 10)
    assert numbers(catcher) == [*range(10), *range(10)]
    ids = [p.id for p in catcher.delivered]
    assert ids[:10] == ids[10:]


async def test_every_attempt_is_logged_until_its_retention(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    catcher.answer = lambda number: 500 if number == 0 else 200
    catcher.text = "oops " * 200
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url + "?key=hidden")
    await enqueue(operator, instance, [0])
    metrics = Metrics()

    async with running_delivery(database_url, metrics=metrics) as node:
        await catcher.wait_for(lambda c: len(c.delivered) == 1)
        handle = replay.handlers.handle
        page = await until(
            lambda: handle(node.context(instance), ListDeliveries()),
            lambda page: len(page.deliveries) == 2,
        )
        failed = await handle(node.context(instance), ListDeliveries(success=False))
        retention = Retention(node.database, history_days=7, dead_letter_days=30)
        await retention.delete_expired()
        stored = await logged_rows(operator)
        await operator.execute(
            "update webhook_deliveries set posted_at = now() - interval '8 days'"
        )
        await operator.execute("update webhook_events set created_at = now() - interval '8 days'")
        await retention.delete_expired()

    delivered, failed_one = page.deliveries
    assert (delivered.attempt, delivered.success, delivered.status, delivered.error) == (
        2,
        True,
        200,
        None,
    )
    assert (failed_one.attempt, failed_one.status, failed_one.error) == (1, 500, "HTTP 500")
    assert failed_one.answer == ("oops " * 200)[:500]
    assert failed_one.target == catcher.url
    assert failed_one.event_id == delivered.event_id
    assert failed.deliveries == (failed_one,)
    assert (stored, await logged_rows(operator)) == (3, 0)
    assert b'webhook_posts_total{outcome="not_taken",type="DeliveryCallback"} 1.0' in (
        await metrics.render()
    )


async def logged_rows(operator: AsyncConnection) -> int:
    """Returns how many rows of deliveries and events are stored."""
    cursor = await operator.execute(
        "select (select count(*) from webhook_deliveries) + (select count(*) from webhook_events)"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_callbacks_are_signed_with_both_secrets_in_rotation(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)

    async with running_delivery(database_url) as node:
        secrets = WebhookSecrets(node.database, VAULT, lambda n: uuid.uuid4().bytes * (n // 16))
        made = [await secrets.rotate("acme")]
        await _deliver_one(node, operator, instance, catcher)
        made.append(await secrets.rotate("acme"))
        await _deliver_one(node, operator, instance, catcher)
        await secrets.retire("acme")
        await _deliver_one(node, operator, instance, catcher)

    def signed(number: int, *by: str) -> bool:
        posted = catcher.delivered[number]
        given = posted.headers["x-webhook-signature"].split(",")
        text = posted.headers["x-webhook-timestamp"].encode() + b"." + posted.raw
        return given == [
            hmac.new(secret.encode(), text, hashlib.sha256).hexdigest() for secret in by
        ]

    first, second = made
    assert signed(0, first)
    assert signed(1, second, first)
    assert signed(2, second)
    assert all(TOKEN.encode() not in posted.raw for posted in catcher.delivered)


async def _deliver_one(
    node: DeliveryNode, operator: AsyncConnection, instance: Instance, catcher: WebhookCatcher
) -> None:
    before = len(catcher.delivered)
    await enqueue(operator, instance, [before])
    node.delivery.wake()
    await catcher.wait_for(lambda c: len(c.delivered) > before)


@pytest.mark.parametrize(
    "kind",
    [
        "ReceivedCallback",
        "DeliveryCallback",
        "MessageStatusCallback",
        "ConnectedCallback",
        "DisconnectedCallback",
        "PresenceChatCallback",
    ],
)
async def test_webhook_test_posts_a_sample(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, kind: str
) -> None:
    catcher.answer = lambda number: 418 if number else 200
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)

    async with running_delivery(database_url) as node:
        context, handle = node.context(instance), webhook_tests.handlers.handle
        well = await handle(context, TestWebhook.model_validate({"type": kind}))
        ill = await handle(context, TestWebhook.model_validate({"type": kind}))

    assert (well.value, well.status, well.error) == (True, 200, None)
    assert (ill.value, ill.status, ill.error) == (False, 418, "HTTP 418")
    assert catcher.posted[0].body["type"] == kind
    assert catcher.posted[0].body["test"] is True


async def test_two_nodes_keep_the_order_of_each_chat(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with AsyncExitStack() as stack:
        for name in "ab":
            await stack.enter_async_context(running_delivery(database_url, name=name))
        for start in range(0, 100, 10):
            for chat in ("one", "two", "three"):
                await enqueue(operator, instance, range(start, start + 10), chat=chat)
        await catcher.wait_for(lambda c: len({posted.id for posted in c.delivered}) == 300)

    for chat in ("one", "two", "three"):  # in the order in which each came first
        assert list(dict.fromkeys(numbers(catcher, chat))) == list(range(100))


async def test_new_webhook_gets_waiting_callbacks_at_once(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, "http://127.0.0.1:1/")
    await enqueue(operator, instance, [0])
    patient = RetrySchedule(lambda low, _high: low, base_seconds=3_600.0)

    async with running_delivery(database_url, schedule=patient) as node:
        await until(_count(operator, "attempts = 1 and claim_id is null"), lambda n: n == 1)
        context = node.context(instance)
        await operations.handlers.handle(context, SetDeliveryWebhook(value=catcher.url))
        await catcher.wait_for(lambda c: len(c.delivered) == 1)
