"""Receipts of many sessions commit together, and each as if it were alone."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection

from gateway.database.pool import Database
from gateway.sessions.events import MessageAcknowledged, stored_event
from gateway.sessions.inbound.inbox import NewEvent
from gateway.sessions.inbound.receipt_batch import ReceiptBatch, ReportedReceipt
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.outbox import Outbox
from tests.fixtures.inbound import NOW
from tests.fixtures.queue import add_instances, rows

CHAT = "5511988888888"
LID = "81896604192873@lid"
UNSTORABLE = "\0"


@asynccontextmanager
async def running_batch(url: str) -> AsyncIterator[tuple[Database, ReceiptBatch]]:
    database = Database(url, min_size=1, max_size=2)
    await database.open()
    batch = ReceiptBatch(database.planned_once(), Outbox(database, uuid.uuid4, CallbackNotifier()))
    running = asyncio.create_task(batch.run_until(asyncio.Event()))
    try:
        yield database, batch
    finally:
        running.cancel()
        await database.pool.close()


async def add_sent(operator: AsyncConnection, *instance_ids: str) -> None:
    """Adds a sent message of each instance, all with the id M, and the webhook of its states."""
    await operator.execute("update instances set message_status_callback_url = 'https://a.example'")
    for instance_id in instance_ids:
        await operator.execute(
            """with recorded as (
                   insert into messages (instance_id, message_id, recorded_at, created_at, sent_at,
                                         from_me, status, phone, type, payload,
                                         version, sequence_number)
                   values (%(id)s, 'M', now(), now(), now(), true, 'sent', %(chat)s, 'send-text',
                           '{}', 1, 1)
                   returning instance_id, message_id, recorded_at
               )
               insert into message_ids (instance_id, message_id, recorded_at)
               select * from recorded""",
            {"id": instance_id, "chat": CHAT},
        )


def receipt(
    instance_id: str, event_id: str, status: Any = "delivered", **fields: Any
) -> ReportedReceipt:
    event = MessageAcknowledged(
        **{"provider_message_ids": ["M"], **fields}, chat=CHAT, status=status, at=NOW
    )
    stored = NewEvent(instance_id, event_id, CHAT, stored_event(event), None)
    return ReportedReceipt(stored, event)


async def store(batch: ReceiptBatch, *receipts: ReportedReceipt) -> list[Any]:
    stores = (batch.store(each) for each in receipts)
    return await asyncio.gather(*stores, return_exceptions=True)


async def test_receipts_of_many_instances_share_a_transaction(
    database_url: str, operator: AsyncConnection
) -> None:
    names = [instance.id for instance in await add_instances(operator, 3)]
    await add_sent(operator, *names)
    async with running_batch(database_url) as (_, batch):
        assert await store(batch, *(receipt(name, "E") for name in names)) == [True] * 3

    assert await rows(operator, "select count(distinct xmin::text) from inbox") == [1]
    found = """select instance_id, body::jsonb ->> 'status' from webhook_outbox
               order by instance_id"""
    assert await rows(operator, found) == [(name, "RECEIVED") for name in names]
    assert await rows(operator, "select distinct delivered_at from messages") == [NOW]


async def test_receipts_of_one_instance_follow_each_other(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await add_sent(operator, instance.id)
    async with running_batch(database_url) as (_, batch):
        reported = [
            receipt(instance.id, f"E{n}", status)
            for n, status in enumerate(("delivered", "delivered", "read"))
        ]
        assert await store(batch, *reported) == [True] * 3

    states = "select body::jsonb ->> 'status' from webhook_outbox order by position"
    assert await rows(operator, states) == ["RECEIVED", "READ"]


async def test_receipt_that_was_reported_before_changes_nothing(
    database_url: str, operator: AsyncConnection
) -> None:
    names = [instance.id for instance in await add_instances(operator, 2)]
    await add_sent(operator, *names)
    async with running_batch(database_url) as (_, batch):
        assert await store(batch, receipt(names[0], "E")) == [True]
        answers = await store(batch, *(receipt(name, "E", "read") for name in names))

    assert answers == [None, True]
    states = "select instance_id, body::jsonb ->> 'status' from webhook_outbox order by instance_id"
    assert await rows(operator, states) == [(names[0], "RECEIVED"), (names[1], "READ")]


async def test_receipt_that_fails_does_so_alone(
    database_url: str, operator: AsyncConnection
) -> None:
    names = [instance.id for instance in await add_instances(operator, 3)]
    await add_sent(operator, *names)
    async with running_batch(database_url) as (_, batch):
        reported = [receipt(name, "E") for name in names]
        reported[1] = receipt(names[1], "E", provider_message_ids=[UNSTORABLE])
        first, failed, last = await store(batch, *reported)

    assert (first, last) == (True, True)
    assert isinstance(failed, Exception)
    stored = "select instance_id from inbox order by instance_id"
    assert await rows(operator, stored) == [names[0], names[2]]


async def test_receipt_before_its_record_is_pending_and_others_are_not(
    database_url: str, operator: AsyncConnection
) -> None:
    names = [instance.id for instance in await add_instances(operator, 2)]
    await add_sent(operator, names[1])
    await operator.execute(
        """insert into message_queue (instance_id, zaap_id, message_id, type, payload, version,
               phone, priority, position, sequence_number, status, attempts, max_attempts, due_at,
               claimed_epoch, attempt_started_at)
           values (%s, 'Z', 'M', 'send-text', '{}', 1, %s, 1, 1, 1, 'processing', 1, 3, now(), 1,
                   now())""",
        [names[0], CHAT],
    )
    async with running_batch(database_url) as (_, batch):
        assert await store(batch, *(receipt(name, "E") for name in names)) == [False, True]

    pending = "select instance_id, body is not null from inbox order by instance_id"
    assert await rows(operator, pending) == [(names[0], True), (names[1], False)]


async def test_receipt_teaches_the_lid_of_its_chat(
    database_url: str, operator: AsyncConnection
) -> None:
    names = [instance.id for instance in await add_instances(operator, 2)]
    await add_sent(operator, *names)
    async with running_batch(database_url) as (_, batch):
        await store(batch, receipt(names[0], "E", chat_lid=LID), receipt(names[1], "E"))

    known = "select instance_id, lid, phone from identities"
    assert await rows(operator, known) == [(names[0], LID, CHAT)]
    lids = "select body::jsonb ->> 'chatLid' from webhook_outbox order by instance_id"
    assert await rows(operator, lids) == [LID, None]


async def test_receipts_of_silent_postgres_raise_for_each_session(database_url: str) -> None:
    async with running_batch(database_url) as (database, batch):
        await database.pool.close()
        answers = await store(batch, receipt("one", "E"), receipt("two", "E"))

    assert [type(answer).__name__ for answer in answers] == ["DatabaseUnavailable"] * 2
