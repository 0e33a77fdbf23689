"""An account with its share in work waits with sends, events and callbacks; others do not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL

from gateway.account_turns import AccountTurns, Share
from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.database.pool import Database
from gateway.instances.accounts import Accounts
from gateway.instances.api_keys import ApiKeys
from gateway.instances.store import Instance, Instances
from gateway.send_queue.worker import Worker
from gateway.sessions.provider import Attempt, Receipt
from tests.fixtures.delivery import add_instances_with_webhooks, enqueue, running_delivery
from tests.fixtures.inbound import inbound_session
from tests.fixtures.queue import Node, add_instances, blocked_sessions, rows, running_node
from tests.fixtures.service import until
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.postgres.test_queue_races import Phone, fill

ANA = "5511988888888"


@asynccontextmanager
async def working(
    node: Node, instance: Instance, turns: AccountTurns, phone: Phone
) -> AsyncIterator[None]:
    wakeup, leaving = asyncio.Event(), asyncio.Event()
    deps = replace(node.worker_dependencies(), turns=turns)
    worker = Worker(node.live(instance, phone), deps, wakeup)
    running = asyncio.create_task(worker.run_until(leaving))
    try:
        yield
    finally:
        leaving.set()
        wakeup.set()
        await running


async def test_sends_of_a_full_account_wait_and_those_of_others_do_not(
    database_url: str, operator: AsyncConnection
) -> None:
    turns = AccountTurns(Share(1, 1))
    full, free = await add_instances(operator, 2)
    free = replace(free, account_id="other")
    waiting, sending = Phone(), Phone()
    async with running_node(database_url) as node:
        await fill(node, full, "1", "2")
        await fill(node, free, "1", "2")
        async with working(node, full, turns, waiting), turns.turn(full.account_id):
            async with working(node, free, turns, sending):
                assert [await sending.sent.get() for _ in range(2)] == ["1", "2"]
            assert waiting.sent.empty()
            statement = "select distinct status from message_queue where instance_id = %s"
            assert await rows(operator, statement, full.id) == ["pending"]
        async with working(node, full, turns, waiting):
            assert [await waiting.sent.get() for _ in range(2)] == ["1", "2"]


@dataclass
class PhoneWithTurn(Phone):
    """Takes the only turn of the account for each message."""

    turns: AccountTurns = field(default_factory=AccountTurns)

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        async with self.turns.turn("acme"):  # would wait for ever for a turn of the worker
            return await super().send(message, attempt)


async def test_worker_has_no_turn_while_it_waits_for_whatsapp(
    database_url: str, operator: AsyncConnection
) -> None:
    turns = AccountTurns(Share(1, 1))
    (instance,) = await add_instances(operator, 1)
    phone = PhoneWithTurn(turns=turns)
    async with running_node(database_url) as node:
        await fill(node, instance, "1", "2", "3")
        async with working(node, instance, turns, phone):
            assert [await phone.sent.get() for _ in range(3)] == ["1", "2", "3"]


async def test_worker_has_no_turn_while_a_batch_collects(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = AccountTurns(Share(1, 1))
    (instance,) = await add_instances(operator, 1)
    phone, steps = Phone(), asyncio.Queue[asyncio.Event]()

    async def wait() -> None:
        is_due = asyncio.Event()
        steps.put_nowait(is_due)
        await is_due.wait()

    async with running_node(database_url) as node:
        monkeypatch.setattr(node.claimer, "claim_due", wait)
        monkeypatch.setattr(node.starter, "due", wait)
        await fill(node, instance, "1")
        async with working(node, instance, turns, phone):
            for _ in ("claim", "start"):
                is_due = await steps.get()
                async with turns.turn(instance.account_id):
                    is_due.set()
            assert await phone.sent.get() == "1"


async def test_events_of_a_full_account_wait(database_url: str) -> None:
    turns = AccountTurns(Share(1, 1))
    async with inbound_session(database_url, turns=turns) as session:
        async with turns.turn(session.live.instance.account_id):
            storing = asyncio.create_task(
                session.simulate("receive", phone=ANA, messageId="M", text="hi")
            )
            await until(waiting_of(turns), bool)
            assert await session.callbacks() == []
        await storing

        assert [body["messageId"] for body in await session.callbacks()] == ["M"]


async def test_callbacks_of_a_full_account_are_recorded_later(
    database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    turns = AccountTurns(Share(1, 1))
    (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
    await enqueue(operator, instance, [1])
    left = "select count(*) from webhook_outbox"
    async with running_delivery(database_url, turns=turns):
        async with turns.turn(instance.account_id):
            await until(waiting_of(turns), bool)
            assert await rows(operator, left) == [1]

        async def count_left() -> list[int]:
            return await rows(operator, left)

        await until(count_left, [0].__eq__)
    assert [posted.body["n"] for posted in catcher.delivered] == [1]


def waiting_of(turns: AccountTurns) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        return sum(len(account.waiting) for account in turns._accounts.values())

    return count


async def test_statements_in_turns_leave_a_full_account_without_a_connection(
    database_url: str,
) -> None:
    turns = AccountTurns(Share(1, 1))
    database = Database(database_url, min_size=1, max_size=2)
    await database.open()
    try:
        full, free = (database.in_turns(partial(turns.turn, a)) for a in ("full", "free"))
        async with full.connection():
            waiting = asyncio.create_task(full.fetch_dicts(SQL("select 1 as n")))
            assert await free.fetch_dicts(SQL("select 2 as n")) == [{"n": 2}]
            assert not waiting.done()
        assert await waiting == [{"n": 1}]
    finally:
        await database.pool.close()


async def test_made_up_credentials_leave_connections_to_others(
    database_url: str, operator: AsyncConnection
) -> None:
    database = Database(database_url, min_size=1, max_size=4)
    await database.open()
    keys = ApiKeys(database, Clock())
    accounts, instances = Accounts(database, keys), Instances(database)
    asked = [
        ask
        for number in range(20)
        for ask in (
            accounts.find_by_token(f"made up {number}"),
            accounts.find_by_token(f"gwk_made up {number}"),
            accounts.redeem_ticket(f"made up {number}"),
            instances.find(f"made up {number}"),
        )
    ]
    try:
        async with (
            await AsyncConnection.connect(database_url) as locking,
            locking.transaction(),
        ):
            await locking.execute(
                "lock table accounts, api_keys, event_tickets, instances in access exclusive mode"
            )
            looking = [asyncio.ensure_future(ask) for ask in asked]
            await until(lambda: blocked_sessions(operator), (3).__eq__)
            assert await database.fetch_dicts(SQL("select 1 as n")) == [{"n": 1}]
        assert await asyncio.gather(*looking) == [None] * len(asked)
    finally:
        await database.pool.close()
