"""Receipts and received messages are delivered once due, until they are acknowledged or expire."""

import asyncio

from psycopg.sql import SQL

from gateway.providers.sandbox.messages import plan_receipts
from gateway.providers.sandbox.settings import SandboxSettings
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged, MessageAcknowledged, MessageReceived
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.sandbox_node import IMMEDIATE_RECEIPTS, NO_RECEIPTS, Node, node_at
from tests.providers.sandbox_session import (
    FRIEND,
    attempt,
    connected,
    received,
    stored_events,
    text,
)


def test_receipts_are_planned_at_the_pace_of_people() -> None:
    def low(least: float, max_count: float) -> float:
        del max_count
        return least

    def high(least: float, max_count: float) -> float:
        del least
        return max_count

    assert [(r.status, r.after_seconds) for r in plan_receipts(SandboxSettings(), low)] == [
        ("delivered", 0.3),
        ("read", 1.8),
    ]
    assert [r.status for r in plan_receipts(SandboxSettings(), high)] == ["delivered"]
    assert [r.after_seconds for r in plan_receipts(SandboxSettings(receipts=0), low)] == [0, 0]
    assert plan_receipts(SandboxSettings(receipts=None), low) == []


def test_voice_note_is_played_after_it_is_read() -> None:
    planned = plan_receipts(SandboxSettings(), lambda least, _max_count: least, is_audio=True)
    assert [receipt.status for receipt in planned] == ["delivered", "read", "played"]
    assert planned[2].after_seconds > planned[1].after_seconds
    assert len(plan_receipts(SandboxSettings(), lambda least, _max_count: least)) == 2


async def test_receipts_are_delivered_until_acknowledged(database_url: str) -> None:
    async with node_at(database_url, IMMEDIATE_RECEIPTS) as node, node.delivering():
        async with connected(node) as listening:
            await listening.session.send(text(), attempt("A"))
            await listening.session.send(text(), attempt("A"))
            first = await listening.delivery()
            assert isinstance(first.event, MessageAcknowledged)
            assert first.event.status == "delivered"
            assert list(first.event.provider_message_ids) == ["A"]
            assert first.event.chat == FRIEND
        async with connected(node) as listening:
            again = await listening.delivery()
            assert (again.event, again.event_id) == (first.event, first.event_id)
            await again.acknowledge()
        kept = await stored_events(node)
        assert kept in (0, 1)  # read comes for four messages of five
        async with connected(node) as listening:
            for _ in range(kept):
                event = await listening.next()
                assert event.status == "read"
            await node.people.change_state("one", ConnectionState.DISCONNECTED)
            assert isinstance(await listening.next(), ConnectionChanged)


async def test_receipts_are_delivered_when_due(database_url: str) -> None:
    environment = {**NO_RECEIPTS, "GATEWAY_SANDBOX_RECEIPTS": "1000"}
    async with (
        node_at(database_url, environment) as node,
        node.delivering(),
        connected(node) as listening,
    ):
        await listening.session.send(text(), attempt("A"))
        kept = await stored_events(node)
        assert kept in (1, 2)
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        assert isinstance(await listening.next(), ConnectionChanged)
        await node.people.change_state("one", ConnectionState.CONNECTED)
        assert isinstance(await listening.next(), ConnectionChanged)
        await node.database.execute(
            SQL("update sandbox.events set due_at = now() where instance_id = 'one'")
        )
        await node.store.signal("one")
        assert (await listening.next()).status == "delivered"


async def test_received_text_is_delivered(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        one = await http.post(
            "/sandbox/one/receive",
            json={"phone": FRIEND, "text": {"message": "hi"}, "senderName": "Ana"},
        )
        two = await http.post(
            "/sandbox/one/receive",
            json={"phone": FRIEND, "text": "yes", "messageId": "Z", "fromMe": True},
        )
        assert two.json() == {"messageId": "Z"}
        first, second = await listening.next(), await listening.next()
        assert isinstance(first, MessageReceived)
        assert first.provider_message_id == one.json()["messageId"]
        assert (first.chat, first.sender, first.sender_name) == (FRIEND, FRIEND, "Ana")
        assert (first.from_me, first.kind) == (False, "text")
        assert first.content == {"text": {"message": "hi"}}
        assert (second.from_me, second.sender, second.chat) == (True, None, FRIEND)


async def test_received_group_message_names_chat_and_sender(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        await http.post(
            "/sandbox/one/receive",
            json={"phone": FRIEND, "text": "hi", "chat": "120363025555555555@g.us"},
        )
        event = await listening.next()
        assert (event.chat, event.sender) == ("120363025555555555-group", FRIEND)


async def test_received_message_is_delivered_once(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        body = {"phone": FRIEND, "text": "hi"}
        for message_id in (0, "0", "1"):
            await http.post("/sandbox/one/receive", json={**body, "messageId": message_id})
        ids = [(await listening.next()).provider_message_id for _ in range(2)]
        assert ids == ["0", "1"]


async def test_slow_reader_gets_all_events(node: Node) -> None:
    many = 450
    async with connected(node) as listening:
        await node.people.write("one", received("0"))
        await node.database.execute(
            SQL(
                "insert into sandbox.events (instance_id, due_at, body)"
                " select instance_id, clock_timestamp(),"
                " jsonb_set(body, '{event,provider_message_id}', to_jsonb(n::text))"
                " from sandbox.events, generate_series(1, %(many)s::int) n"
            ),
            many=many,
        )
        await node.store.signal("one")
        delivered_ids = [int((await listening.next()).provider_message_id) for _ in range(many + 1)]
    assert delivered_ids == list(range(many + 1))


async def test_rows_past_their_retention_are_deleted(
    database_url: str,
) -> None:
    async with node_at(database_url) as node:
        async with node.delivering(), connected(node) as listening:
            for name in ("old", "young"):
                await listening.session.send(text(), attempt(name))
            await node.people.change_state("one", ConnectionState.DISCONNECTED)
            await listening.next()
        await node.people.write("one", received("young"))
        await node.people.write("one", received("old"))
        for statement in (
            """insert into sandbox.marks (instance_id, message_id, marks)
               values ('one', 'young', '{}'), ('one', 'old', '{}')""",
            """insert into sandbox.marks (instance_id, message_id, marks, at)
               values ('one', 'not ours', '{}', now() - interval '31 days')""",
            "update sandbox.sent set at = now() - interval '31 days' where message_id = 'old'",
            """update sandbox.events set due_at = now() - interval '31 days'
               where body #>> '{event,provider_message_id}' = 'old'""",
        ):
            assert await node.database.execute(SQL(statement))

    everything = SQL(
        "select 'sent ' || message_id as what from sandbox.sent union all"
        " select 'mark ' || message_id from sandbox.marks union all"
        " select 'event ' || (body #>> '{event,provider_message_id}') from sandbox.events"
    )
    async with node_at(database_url) as node, node.delivering():
        left = {"event old"}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "event old" in left:  # the last to go
                await asyncio.sleep(0.01)
                left = {row["what"] for row in await node.database.fetch_dicts(everything)}
    assert left == {"sent young", "mark young", "event young"}
