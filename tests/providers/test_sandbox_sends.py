"""The sandbox accepts and journals each send once, and only while its phone is connected."""

from dataclasses import replace

import pytest

from gateway.contract.internal.presence import MarkRead, ShowTyping
from gateway.contract.known import KnownMessage
from gateway.contract.operation import Value
from gateway.contract.zapi.messages.message_actions import Revoke
from gateway.contract.zapi.messages.polls_and_events import PollOption, SendPoll
from gateway.errors import NotConnected, NotSupported, Refused
from gateway.sessions.connection import ConnectionState
from tests.providers.sandbox_node import IMMEDIATE_RECEIPTS, Node, node_at
from tests.providers.sandbox_session import FRIEND, attempt, connected, sent, stored_events, text


async def test_repeated_message_keeps_its_place_in_the_journal(node: Node) -> None:
    async with connected(node) as listening:
        receipt = await listening.session.send(text("first"), attempt("A"))
        assert receipt.provider_message_id == "A"
        before = await sent(node)
        await listening.session.send(text("second"), attempt("B"))
        await listening.session.send(text("first"), attempt("A"))
    rows = await sent(node)
    assert [(row["message_id"], row["seen"]) for row in rows] == [("A", 2), ("B", 1)]
    assert rows[0]["at"] == before[0]["at"]
    assert (rows[0]["type"], rows[0]["phone"]) == ("send-text", FRIEND)
    assert rows[0]["payload"]["message"] == "first"


async def test_send_runs_one_statement(node: Node) -> None:
    async with connected(node) as listening:
        node.store.statements.clear()
        await listening.session.send(text(), attempt())
        assert [name for name in node.store.statements if name != "due_events"] == [
            "accept_message"
        ]


async def test_reply_to_an_unknown_message_is_refused(node: Node) -> None:
    async with connected(node) as listening:
        with pytest.raises(Refused, match="message X is not known on this instance"):
            await listening.session.send(text(message_id="X"), attempt())
        known = KnownMessage("X", "X", FRIEND, FRIEND, from_me=False, type="text", payload={})
        await listening.session.send(
            text(message_id="X"), replace(attempt(), referred={"X": known})
        )
    assert len(await sent(node)) == 1


async def test_marks_are_stored_while_the_phone_is_connected(
    node: Node,
) -> None:
    target = KnownMessage("M1", "M1", FRIEND, FRIEND, from_me=False, type="text", payload={})
    async with connected(node) as listening:
        await listening.session.send(text(), attempt())
        assert (
            await listening.session.execute(
                MarkRead(
                    phone=target.chat,
                    message_ids=(target.provider_message_id,),
                    sender=target.sender,
                )
            )
            == Value()
        )
        assert await listening.session.execute(Revoke(target=target)) == Value()
        assert (await sent(node))[0]["marks"] == {"read": True, "deleted": True}
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        with pytest.raises(NotConnected):
            await listening.session.execute(Revoke(target=target))


async def test_reader_of_a_poll_votes_once(database_url: str) -> None:
    poll = SendPoll(phone=FRIEND, message="?", poll=(PollOption(name="A"), PollOption(name="B")))
    async with node_at(database_url, IMMEDIATE_RECEIPTS) as node, connected(node) as listening:
        kept = 0
        for number in range(20):
            await listening.session.send(poll, attempt(f"M{number}"))
            before, kept = kept, await stored_events(node)
            assert kept - before in (1, 3)  # delivered, and perhaps read and answered
        await listening.session.send(poll, attempt("M1"))
        assert await stored_events(node) == kept
        assert kept > 20


async def test_answers_off_plans_no_answer(database_url: str) -> None:
    poll = SendPoll(phone=FRIEND, message="?", poll=(PollOption(name="A"), PollOption(name="B")))
    environment = {**IMMEDIATE_RECEIPTS, "GATEWAY_SANDBOX_ANSWERS": "false"}
    async with node_at(database_url, environment) as node, connected(node) as listening:
        for number in range(20):
            await listening.session.send(poll, attempt(f"M{number}"))
        assert await stored_events(node) <= 40


async def test_journal_off_writes_nothing(database_url: str) -> None:
    environment = {"GATEWAY_SANDBOX_JOURNAL": "false"}
    async with (
        node_at(database_url, environment) as node,
        node.delivering(),
        connected(node) as listening,
    ):
        node.store.statements.clear()
        await listening.session.send(text(), attempt())
        assert set(node.store.statements) <= {"due_events"}
        assert await sent(node) == []


async def test_typing_is_shown_while_connected(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        assert await listening.session.execute(ShowTyping(phone=FRIEND, seconds=5)) == Value()
        seen = (await http.get("/sandbox/one")).json()
        assert seen["typing"]["phone"] == FRIEND
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        with pytest.raises(NotConnected):
            await listening.session.execute(ShowTyping(phone=FRIEND, seconds=5))
        with pytest.raises(NotSupported):
            await listening.session.execute(Value())  # type: ignore[arg-type]
