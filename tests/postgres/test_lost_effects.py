"""What a statement did is found again, or done, when its answer is lost."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.business.tags import CreateTag
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.database.queries import query
from gateway.directory.context import DirectoryContext
from gateway.directory.tags import create_tag
from gateway.errors import DatabaseUnavailable
from gateway.instances.creation import Registry
from gateway.instances.store import Instance
from gateway.instances.tokens import hash_of
from gateway.providers.whatsmeow.store import Store
from gateway.runtime.housekeeping import Housekeeping, MaintenanceTask
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.worker import Worker, WorkerDependencies
from gateway.sessions.provider import Attempt, Receipt
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.circuit_breakers import BreakerLimits
from gateway.webhooks.delivery import DeliveryLimits
from gateway.webhooks.secrets import WebhookSecrets
from tests.fixtures.delivery import (
    VAULT,
    add_instances_with_webhooks,
    enqueue,
    running_delivery,
    set_delivery_webhook,
)
from tests.fixtures.inbound import inbound_session
from tests.fixtures.postgres_proxy import BadConnection, Cut, bad_connection
from tests.fixtures.queue import (
    Node,
    add_instances,
    at_once,
    blocked_sessions,
    rows,
    running_node,
)
from tests.fixtures.service import until
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.postgres.test_lost_answers import QuickClock, running_worker
from tests.postgres.test_queue_races import Phone, cursor_of, fill

ADD_EVENTS = query("inbox", "add_events")
ADD_ACCOUNT, ADD_INSTANCE = query("instances", "add_account"), query("instances", "add_instance")
CLAIM_QUEUES = query("webhooks", "claim_delivery_queues")
FINISH_QUEUES = query("webhooks", "finish_delivery_queues")
WAKE_RECEIVER = query("webhooks", "wake_receiver")
LONG = DeliveryLimits(claim_seconds=3_600.0)
"""A claim whose answer is lost does not lapse within the test."""
STATE = "select status, attempts, attempt_started_at is not null from message_queue"


@asynccontextmanager
async def bad_database(url: str) -> AsyncIterator[tuple[BadConnection, Database]]:
    async with bad_connection(url) as connection:
        database = Database(connection.url, min_size=1, max_size=2)
        await database.open()
        try:
            yield connection, database
        finally:
            await database.pool.close()


# --- Attempts whose provider was not called -----------------------------------------------------


async def rescue(node: Node, instance: Instance, deps: WorkerDependencies) -> None:
    """Does what the coordinator does before the next worker of this process begins."""
    part = Rescue(node.database, node.recorder, at_once(), deps.uncalled)
    stopping = asyncio.Event()
    running = asyncio.create_task(part.run_until(stopping))
    await part.process(node.live(instance, Phone()))
    stopping.set()
    await running


class StuckHistory:
    """Reads earlier messages until the worker is canceled."""

    def __init__(self) -> None:
        self.reading = asyncio.Event()

    async def known(self, *_named: object) -> dict[str, Any]:
        self.reading.set()
        await asyncio.Event().wait()
        return {}


async def test_worker_canceled_before_the_call_spends_no_attempt(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    history: Any = StuckHistory()
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        deps = replace(node.worker_dependencies(), history=history)
        worker = Worker(node.live(instance, Phone()), deps, asyncio.Event())
        running = asyncio.create_task(worker.run_until(asyncio.Event()))
        await history.reading.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await rows(operator, STATE) == [("processing", 1, True)]

        await rescue(node, instance, deps)

    assert await rows(operator, STATE) == [("pending", 0, False)]


async def test_rescue_counts_an_attempt_that_called_the_provider(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        deps = node.worker_dependencies()
        claimed = await node.claim(cursor_of(instance))
        deps.uncalled.add(claimed)
        assert await node.starter.start(claimed)
        deps.uncalled.discard(claimed)  # as before the call

        await rescue(node, instance, deps)

    assert await rows(operator, STATE) == [("parked", 1, False)]
    assert await rows(operator, "select outcome from message_attempts") == ["unconfirmed"]


class ForgetfulPhone(Phone):
    """Its first answer is lost with the provider's connection to Postgres."""

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        receipt = await super().send(message, attempt)
        if self.sent.qsize() == 1:
            raise DatabaseUnavailable("Postgres did not answer")
        return receipt


async def test_provider_that_loses_postgres_leaves_the_attempt_unconfirmed(
    database_url: str, operator: AsyncConnection
) -> None:
    """The message may have left, so its repetition must be counted."""
    (instance,) = await add_instances(operator, 1)
    phone, leaving, wakeup = ForgetfulPhone(), asyncio.Event(), asyncio.Event()
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        worker = Worker(node.live(instance, phone), node.worker_dependencies(), wakeup)
        running = asyncio.create_task(worker.run_until(leaving))
        await until(
            lambda: rows(operator, "select status, attempts from messages"),
            lambda found: found == [("sent", 2)],
        )
        leaving.set()
        wakeup.set()
        await running

    assert await rows(operator, "select outcome from message_attempts") == ["unconfirmed"]


class BrokenHistory:
    """Fails once, in a way that no one expects."""

    def __init__(self) -> None:
        self.failures = 1

    async def known(self, *_named: object) -> dict[str, Any]:
        self.failures -= 1
        if self.failures >= 0:
            raise ValueError("broken")
        return {}


async def test_unexpected_error_before_the_call_is_not_unconfirmed(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    phone, leaving, wakeup = Phone(), asyncio.Event(), asyncio.Event()
    history: Any = BrokenHistory()
    async with running_node(database_url) as node:
        await fill(node, instance, "1")
        live = replace(node.worker_dependencies(), history=history)
        worker = Worker(node.live(instance, phone), live, wakeup)
        running = asyncio.create_task(worker.run_until(leaving))
        assert await phone.sent.get() == "1"
        leaving.set()
        wakeup.set()
        await running

    assert await rows(operator, "select outcome from message_attempts") == ["transient"]


async def test_daily_limit_hold_ends_although_the_connection_is_lost(
    database_url: str, operator: AsyncConnection
) -> None:
    """The limit is lifted while the hold is being written; only the worker ends such a hold."""
    await operator.execute(
        """create function lift() returns trigger language plpgsql as $$
           begin update instances set daily_limit = 0; return new; end $$"""
    )
    await operator.execute(
        """create trigger lift after update on instance_lines
           for each row when (new.hold_kind = 'daily_limit') execute function lift()"""
    )
    (instance,) = await add_instances(operator, 1)
    await operator.execute("update instances set daily_limit = 1")
    instance = replace(instance, daily_limit=1)
    async with bad_connection(database_url) as connection, running_node(connection.url) as node:
        await fill(node, instance, "1", "2")
        connection.lose(query("send_queue", "end_daily_limit_hold"), Cut.BEFORE)
        async with running_worker(node, instance) as (phone, _wakeup, clock):
            assert await phone.sent.get() == "1"
            await connection.lost.wait()
            await clock.asleep.wait()

    assert await rows(operator, "select hold_until from instance_lines") == [None]


# --- Callbacks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", Cut)
async def test_lost_claim_of_delivery_queues_delays_no_callback(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher, cut: Cut
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with bad_connection(database_url) as connection:
        connection.lose(CLAIM_QUEUES, cut)
        await enqueue(operator, instance, range(3))
        async with running_delivery(connection.url, delivery_limits=LONG) as node:
            await connection.lost.wait()
            connection.deliver.set()
            await enqueue(operator, instance, range(3, 6))
            node.delivery.wake()
            await catcher.wait_for(lambda c: len(c.delivered) >= 6)

    assert [posted.body["n"] for posted in catcher.delivered] == list(range(6))


async def test_delivery_whose_record_lost_its_answer_is_logged_once(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    async with bad_connection(database_url) as connection:
        connection.lose(FINISH_QUEUES, Cut.AFTER)
        await enqueue(operator, instance, [1])
        async with running_delivery(connection.url, delivery_limits=LONG) as node:
            await connection.answered.wait()
            await enqueue(operator, instance, [2])
            node.delivery.wake()
            await until(
                lambda: rows(operator, "select count(*) from webhook_outbox"), lambda n: n == [0]
            )

    assert await rows(operator, "select count(*) from webhook_deliveries") == [2]


async def test_receiver_that_answers_again_is_woken_after_a_lost_connection(
    database_url: str, operator: AsyncConnection
) -> None:
    catcher = WebhookCatcher()
    (instance,) = await add_instances_with_webhooks(operator, 1, "http://127.0.0.1:1/")
    async with catcher.serving():
        url = catcher.url
    await set_delivery_webhook(operator, instance, url)
    for n in range(12):
        await enqueue(operator, instance, [n], chat=f"chat-{n}")
    patient = RetrySchedule(lambda low, _high: low, base_seconds=3_600.0)
    limits = BreakerLimits(max_in_flight=4, max_strikes=3, first_open_seconds=1.0)
    waits = "select 1 from webhook_lines where address is not null"
    async with (
        bad_connection(database_url) as connection,
        running_delivery(connection.url, schedule=patient, limits=limits) as node,
    ):
        connection.lose(WAKE_RECEIVER, Cut.BEFORE)
        await until(lambda: rows(operator, waits), lambda found: len(found) > 8)
        async with catcher.serving(port=int(url.split(":")[2].split("/")[0])):
            await operator.execute("update webhook_lines set due_at = now() where chat = 'chat-9'")
            node.delivery.wake()
            await catcher.wait_for(lambda c: len(c.delivered) == 12)

    assert connection.cuts == 1


# --- Inbound ------------------------------------------------------------------------------------


async def test_event_with_a_file_is_processed_although_its_commit_lost_its_answer(
    database_url: str,
) -> None:
    async with (
        bad_connection(database_url) as connection,
        inbound_session(connection.url) as session,
    ):
        connection.lose(ADD_EVENTS, Cut.AFTER, at_commit=True)
        await session.simulate(
            "receive", phone="5511988888888", image={"source": "https://example.com/a.png"}
        )

        (callback,) = await session.callbacks()

    assert callback["image"]["imageUrl"].startswith("https://gateway.example/media/")
    assert connection.cuts == 1


# --- Callers and operators ----------------------------------------------------------------------


@pytest.mark.parametrize("cut", Cut)
async def test_instance_and_account_are_made_once_with_the_tokens_returned(
    database_url: str, operator: AsyncConnection, cut: Cut
) -> None:
    async with bad_database(database_url) as (connection, database):
        registry = Registry(database, VAULT, os.urandom, secret_settings=lambda _provider: ())
        async with lost(connection, operator, ADD_ACCOUNT, cut):
            account = await registry.add_account(
                "Acme", client_token_required=True, unique_name=True
            )
        async with lost(connection, operator, ADD_INSTANCE, cut):
            made = await registry.add_instance(account.id, "Line", provider="sandbox")

    assert connection.cuts == 2
    accounts = await rows(operator, "select id, client_token_hash from accounts")
    assert accounts == [(account.id, hash_of(account.client_token))]
    instances = await rows(operator, "select id, token_hash from instances")
    assert instances == [(made.id, hash_of(made.token))]


@asynccontextmanager
async def lost(
    connection: BadConnection, operator: AsyncConnection, statement: SQL, cut: Cut
) -> AsyncIterator[None]:
    """Loses the connection at the commit of a statement's transaction within the block.

    A late commit runs once another transaction waits for it.
    """

    async def deliver() -> None:
        await connection.lost.wait()
        if cut is Cut.MEANWHILE:
            await until(partial(blocked_sessions, operator), bool)
        connection.deliver.set()

    connection.lose(statement, cut, at_commit=True)
    delivering = asyncio.create_task(deliver())
    yield
    await delivering


async def test_rotated_secret_keeps_the_receivers_secret_after_a_lost_answer(
    database_url: str, operator: AsyncConnection
) -> None:
    await operator.execute("insert into accounts (id, name) values ('acme', 'Acme')")
    async with bad_database(database_url) as (connection, database):
        secrets = WebhookSecrets(database, VAULT, os.urandom)
        await secrets.rotate("acme")
        (first,) = await rows(operator, "select webhook_secret_ciphertext from accounts")
        connection.lose(query("webhooks", "rotate_secret"), Cut.AFTER)
        await secrets.rotate("acme")

    previous = await rows(operator, "select previous_webhook_secret_ciphertext from accounts")
    assert previous == [first]
    assert connection.cuts == 1


async def test_tag_is_made_once_after_a_lost_answer(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    router: Any = None
    async with bad_database(database_url) as (connection, database):
        context = DirectoryContext(database, router, os.urandom, instance)
        connection.lose(query("directory", "add_tag"), Cut.AFTER)
        made = await create_tag(context, CreateTag(name="New"))

    assert await rows(operator, "select id::text, color from tags") == [(made.id, 0)]
    assert connection.cuts == 1


async def test_event_of_the_library_is_stored_once_after_a_lost_answer(
    database_url: str, operator: AsyncConnection
) -> None:
    async with bad_database(database_url) as (connection, database):
        notifications = Notifications(connection.url, Clock())
        store = Store(
            PostgresProviderStore(database, notifications, provider="whatsmeow"),
            QuickClock(asyncio.Event()),
        )
        connection.lose(query("whatsmeow", "add_event"), Cut.AFTER)
        await store.add_event("one", "Message", {"n": 1})
        await store.add_event("one", "Message", {"n": 1})

    assert await rows(operator, "select name from whatsmeow.events") == ["Message", "Message"]
    assert connection.cuts == 1


async def test_maintenance_task_runs_although_the_answer_to_its_claim_was_lost(
    database_url: str,
) -> None:
    done, stopping = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        done.set()

    async with bad_database(database_url) as (connection, database):
        task = MaintenanceTask("delete", 3_600.0, work)
        part = Housekeeping(database, Clock(), [task], node_id=str(uuid.uuid4()))
        connection.lose(query("chores", "take"), Cut.AFTER)
        running = asyncio.create_task(part.run_until(stopping))
        await done.wait()
        stopping.set()
        await running

    assert connection.cuts == 1
