"""A session of Baileys links once, then moves and restarts without a code or a message twice."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import psutil
import pytest
from psycopg import AsyncConnection
from structlog.testing import capture_logs

from gateway.contract.operation import Operation
from gateway.contract.zapi.business.profile import ReadBusinessProfile
from gateway.contract.zapi.chats import TouchChat
from gateway.contract.zapi.contacts import LookUpNumber
from gateway.contract.zapi.groups.group import ReadGroupLight
from gateway.contract.zapi.instances import (
    AlreadyConnected,
    Disconnect,
    PhoneCode,
    ReadDevice,
    ReadPhoneCode,
    ReadQrCode,
    RestoreSession,
)
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import NotConnected, Restricted, SessionUnavailable, Unconfirmed
from gateway.providers.baileys.store import BaileysStore
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    ConnectionChanged,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
)
from gateway.whatsapp_web.library_child import ChildGone
from tests.fixtures.service import until
from tests.providers.baileys_node import Node, node_at
from tests.providers.fake_whatsapp.client import FakeWhatsApp, seen
from tests.providers.whatsmeow_node import FAR_AWAY, OpenSession, Pair

PROVIDERS = ("baileys",)


def texts(line: OpenSession) -> list[str]:
    received = [event for event in line.events if isinstance(event, MessageReceived)]
    return [event.content["text"]["message"] for event in received]


def hold_ratchets(
    monkeypatch: pytest.MonkeyPatch, instance_id: str
) -> tuple[asyncio.Event, asyncio.Event]:
    """Withholds the keys that decrypt an instance's messages.

    Returns an event that says that they are asked for, and one that hands them out.
    """
    keys, asked, free = BaileysStore.keys, asyncio.Event(), asyncio.Event()

    async def keys_later(
        store: BaileysStore, instance: str, kind: str, ids: Sequence[str]
    ) -> dict[str, str]:
        if (instance, kind) == (instance_id, "session"):
            asked.set()
            await free.wait()
        return await keys(store, instance, kind, ids)

    monkeypatch.setattr(BaileysStore, "keys", keys_later)
    return asked, free


async def test_phone_is_linked_by_code_read_and_unlinked(
    town: Node, whatsapp: FakeWhatsApp
) -> None:
    async with town.opened("eve") as ana:
        await ana.until_state(ConnectionState.UNPAIRED)
        code = await ana.session.execute(ReadPhoneCode(phone=ana.phone))
        assert isinstance(code, PhoneCode)
        # The library answers the code before its request for it has arrived.
        await seen(
            lambda: whatsapp.control("type", phone=ana.phone, code=code.code),
            lambda answer: bool(answer["linked"]),
        )
        connected = await ana.until_state(ConnectionState.CONNECTED)
        assert connected.phone == ana.phone
        learned = await ana.wait_for(IdentityLearned)
        lid = (await whatsapp.control("state"))["lids"][ana.phone]
        assert (learned.lid, learned.phone) == (f"{lid}@lid", ana.phone)
        assert (await ana.session.execute(ReadDevice())).phone == ana.phone
        assert await ana.session.execute(ReadQrCode()) == AlreadyConnected()

        await ana.session.execute(Disconnect())
        await ana.until_state(ConnectionState.LOGGED_OUT)
        state = await whatsapp.control("state")
        assert state["devices"][ana.phone] == [0]

        await ana.link()
        await whatsapp.control("cut", phone=ana.phone, why="logged_out")
        await ana.until_state(ConnectionState.LOGGED_OUT)
        assert not (await ana.session.execute(RestoreSession())).value


async def test_session_moves_to_another_node_and_an_older_epoch_writes_no_key(
    database_url: str, whatsapp: FakeWhatsApp, pair: Pair
) -> None:
    _ana, bob = pair
    async with node_at(database_url, whatsapp) as one, node_at(database_url, whatsapp) as two:
        async with one.opened("ana") as ana:
            await ana.link()
        await bob.send(SendText(phone=ana.phone, message="while it moved"))
        async with two.opened("ana", phone=ana.phone, epoch=2) as moved:
            await moved.until_state(ConnectionState.CONNECTED)
            assert (await moved.wait_for(MessageReceived)).content["text"]["message"]
            old = BaileysStore(one.context.store, one.context.clock)
            written = await old.commit("ana", 1, rows=[("session", "x", '"old"')])
            assert not written
            assert await old.keys("ana", "session", ["x"]) == {}
            # A session of the older epoch finds that out with its first write, and stops.
            async with one.opened("ana", phone=ana.phone, epoch=1) as older:
                state = await older.wait_for(ConnectionChanged, lambda c: c.reason is not None)
                assert "Another node" in str(state.reason)


async def test_receipt_confirms_a_message_after_the_child_died(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    await whatsapp.control("behave", hold_acks=True)
    try:
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="once")))
        await bob.wait_for(MessageReceived)
        os.kill(ana.pid, signal.SIGKILL)
        receipt = await sending
    finally:
        await whatsapp.control("behave", hold_acks=False)
    await ana.until_state(ConnectionState.CONNECTED)
    assert texts(bob) == ["once"]
    assert receipt.provider_message_id == (await bob.wait_for(MessageReceived)).provider_message_id


async def test_send_without_receipt_is_unconfirmed_or_not_sent(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    before = len((await whatsapp.control("state"))["sent"])
    await whatsapp.control("behave", lose=True)
    try:
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="x"), seconds=10))
        await whatsapp.state_when(lambda state: len(state["sent"]) > before)
        os.kill(ana.pid, signal.SIGKILL)
        with pytest.raises(Unconfirmed):
            await sending
    finally:
        await whatsapp.control("behave", lose=False)
    await ana.until_state(ConnectionState.CONNECTED)
    ana.forget()
    os.kill(ana.pid, signal.SIGSTOP)
    sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="y")))
    await asyncio.sleep(0)  # until it is in the socket of a process that does not read
    os.kill(ana.pid, signal.SIGKILL)
    with pytest.raises(NotConnected):
        await sending
    await ana.wait_for(ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED)


async def test_refusal_of_first_contacts_restricts_the_number(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    await whatsapp.control("behave", next_fault="463")
    with pytest.raises(Restricted) as caught:
        await ana.send(SendText(phone=bob.phone, message="x"))
    assert "new people" in str(caught.value)


async def test_sessions_of_a_child_that_dies_are_opened_again(pair: Pair) -> None:
    ana, bob = pair
    first = ana.pid
    assert bob.pid == first
    os.kill(first, signal.SIGKILL)
    for line in pair:
        await line.wait_for(ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED)
        await line.until_state(ConnectionState.CONNECTED)
    assert not psutil.pid_exists(first)
    await ana.send(SendText(phone=bob.phone, message="again"))
    assert (await bob.wait_for(MessageReceived)).chat == ana.phone


@pytest.mark.long
async def test_session_that_does_not_answer_and_child_that_hangs_are_restarted(
    database_url: str, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(database_url, whatsapp, probe_seconds=0.3, probe_timeout_seconds=1) as node:
        ana = await node.linked("ana")
        await whatsapp.control("behave", mute=True)
        await ana.until_state(ConnectionState.DISCONNECTED)
        await whatsapp.control("behave", mute=False)
        await ana.until_state(ConnectionState.CONNECTED)
        hanging = ana.pid
        os.kill(hanging, signal.SIGSTOP)
        await ana.until_state(ConnectionState.DISCONNECTED)
        await ana.until_state(ConnectionState.CONNECTED)
        assert not psutil.pid_exists(hanging)


@pytest.mark.long
async def test_child_that_fills_its_memory_ends_alone_and_says_why(
    database_url: str, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(
        database_url, whatsapp, memory_mb=128, sessions_per_process=2, probe_timeout_seconds=240
    ) as node:
        ana, bob, cid = [await node.linked(name) for name in ("ana", "bob", "cid")]
        full, other = ana.child, cid.pid
        assert ana.pid == bob.pid != other
        with pytest.raises(ChildGone, match="GATEWAY_BAILEYS_MEMORY_MB"):
            await full.call("ana", "ready", filling=[[number] for number in range(2_500_000)])
        for line in (ana, bob):
            change = await line.wait_for(
                ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED
            )
            assert "GATEWAY_BAILEYS_MEMORY_MB" in str(change.reason)
            await line.until_state(ConnectionState.CONNECTED)
        assert not psutil.pid_exists(full.pid)
        await cid.send(SendText(phone=bob.phone, message="are you back?"))
        await bob.wait_for(MessageReceived)
        assert cid.pid == other


async def shares_chats(line: OpenSession) -> bool:
    """Returns whether the phone has given this device the key of its chats."""
    try:
        await line.session.execute(TouchChat(phone="5511955554444", action="pin"))
    except SessionUnavailable:
        return False
    return True


async def test_request_that_whatsapp_does_not_answer_fails_in_time(
    database_url: str, whatsapp: FakeWhatsApp
) -> None:
    group = "120363019502650977-group"
    asked: tuple[Operation[Any], ...] = (
        ReadGroupLight.model_validate({"phone": group}),
        LookUpNumber(phones=("5511955554444",)),
        ReadBusinessProfile(phone="5511955554444"),
        TouchChat(phone=group, action="pin"),
    )
    async with node_at(database_url, whatsapp, answer_seconds=3) as node:
        ana = await node.linked("ana")
        await until(lambda: shares_chats(ana), bool)
        await whatsapp.control("behave", mute=True)
        try:
            for operation in asked:
                with pytest.raises(SessionUnavailable, match="did not answer"):
                    await ana.session.execute(operation)
        finally:
            await whatsapp.control("behave", mute=False)


async def test_session_ended_by_whatsapp_is_reported_not_restarted(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, _bob = pair
    await whatsapp.control("cut", phone=ana.phone, why="replaced")
    replaced = await ana.until_state(ConnectionState.REPLACED)
    assert replaced.reason == ConnectionState.REPLACED.sentence
    with pytest.raises(NotConnected):
        await ana.send(SendText(phone="5511988887777", message="x"))
    assert (await ana.session.execute(RestoreSession())).value
    await ana.until_state(ConnectionState.CONNECTED)


async def test_child_ends_at_its_deadline_and_sends_nothing_more(
    database_url: str, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(database_url, whatsapp) as node:
        ana, bob = await node.linked("ana"), await node.linked("bob")
        pid = ana.pid
        ana.lease.until = bob.lease.until = time.monotonic() + 1.2
        await whatsapp.state_when(lambda s: not {ana.phone, bob.phone} & {*s["online"]})
        with pytest.raises(NotConnected):
            await ana.send(SendText(phone=bob.phone, message="late"))
        ana.lease.until = bob.lease.until = FAR_AWAY
        for line in (ana, bob):
            await line.wait_for(
                ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED
            )
            await line.until_state(ConnectionState.CONNECTED)
        assert ana.pid != pid
        await ana.send(SendText(phone=bob.phone, message="in time"))
        await bob.wait_for(MessageReceived)
        assert texts(bob) == ["in time"]


@pytest.mark.long
async def test_key_that_cannot_be_read_is_negotiated_anew(
    database_url: str, whatsapp: FakeWhatsApp
) -> None:
    async with (
        node_at(database_url, whatsapp) as node,
        await AsyncConnection.connect(database_url, autocommit=True) as connection,
    ):
        bob = await node.linked("bob")
        async with node.opened("ana") as ana:
            await ana.link()
            await ana.send(SendText(phone=bob.phone, message="before"), "M1")
            await bob.send(SendText(phone=ana.phone, message="back"), "M2")
            await ana.wait_for(MessageReceived)
        damage = "update baileys.keys set value = '?' where instance_id = 'ana' and kind = "
        await connection.execute(damage + "'session'")
        async with node.opened("ana", phone=ana.phone, epoch=2) as ana:
            await ana.until_state(ConnectionState.CONNECTED)
            await ana.send(SendText(phone=bob.phone, message="after"), "M3")
            await bob.wait_for(MessageReceived, lambda m: "after" in str(m.content))
            await bob.send(SendText(phone=ana.phone, message="and back"), "M4")
            await ana.wait_for(MessageReceived, lambda m: "and back" in str(m.content))
        await connection.execute(damage + "'creds'")
        async with node.opened("ana", phone=ana.phone, epoch=3) as ana:
            state = await ana.wait_for(ConnectionChanged, lambda c: c.reason is not None)
            assert "cannot be read" in str(state.reason)
            assert state.state is ConnectionState.DISCONNECTED


async def test_new_message_does_not_overtake_those_that_waited_for_the_login(
    town: Node, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ana, bob = pair
    async with town.opened("zoe") as zoe:
        await zoe.link()
        await bob.send(SendText(phone=zoe.phone, message="0"), "BEFORE")
        await zoe.wait_for(MessageReceived)
    for number in (1, 2, 3):
        await bob.send(SendText(phone=zoe.phone, message=str(number)), f"WAITS {number}")
    is_reading, has_new = hold_ratchets(monkeypatch, "zoe")
    async with town.opened("zoe", phone=zoe.phone, epoch=2) as zoe:
        await zoe.until_state(ConnectionState.CONNECTED)
        await is_reading.wait()
        await bob.send(SendText(phone=zoe.phone, message="4"), "NEW")
        has_new.set()
        await zoe.wait_for(MessageReceived, lambda m: "4" in str(m.content))
        await zoe.wait_for(MessageReceived, lambda m: "3" in str(m.content))
        assert texts(zoe) == ["1", "2", "3", "4"]


async def test_message_decrypted_as_the_connection_breaks_is_reported(
    town: Node, pair: Pair, whatsapp: FakeWhatsApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys are used up, and its sender is gone and could not send it again."""
    _ana, bob = pair
    async with town.opened("yan") as yan:
        await yan.link()
        async with town.opened("tim") as tim:
            await tim.link()
            await tim.send(SendText(phone=yan.phone, message="only once"), "M1")
        await yan.wait_for(MessageReceived)
        yan.forget()
    async with town.opened("tim", phone=tim.phone, epoch=2) as tim:
        await tim.until_state(ConnectionState.CONNECTED)
        await tim.send(SendText(phone=yan.phone, message="as it breaks"), "M2")
    is_reading, is_cut = hold_ratchets(monkeypatch, "yan")
    async with town.opened("yan", phone=yan.phone, epoch=2) as yan:
        await is_reading.wait()
        await whatsapp.control("cut", phone=yan.phone)
        await yan.until_state(ConnectionState.DISCONNECTED)
        is_cut.set()
        await yan.until_state(ConnectionState.CONNECTED)
        await bob.send(SendText(phone=yan.phone, message="later"), "M3")
        await yan.wait_for(MessageReceived, lambda m: "later" in str(m.content))
        assert texts(yan) == ["as it breaks", "later"]


async def test_malformed_stanzas_end_no_session(pair: Pair, whatsapp: FakeWhatsApp) -> None:
    ana, bob = pair
    pid = ana.pid
    for tag in ("message", "receipt", "notification", "call", "presence", "chatstate", "ib"):
        await whatsapp.control("inject", phone=ana.phone, tag=tag)
        attributes = {"id": "X", "from": "120363@g.us", "type": "w:gp2"}
        content = [{"tag": "create"}, {"tag": "add"}, {"tag": "enc"}]
        await whatsapp.control(
            "inject", phone=ana.phone, tag=tag, attrs=attributes, content=content
        )
    await bob.send(SendText(phone=ana.phone, message="still there?"), "ASK")
    await ana.wait_for(MessageReceived, lambda m: "still there?" in str(m.content))
    await ana.send(SendText(phone=bob.phone, message="yes"), "YES")
    await bob.wait_for(MessageReceived, lambda m: "yes" in str(m.content))
    assert ana.pid == pid


async def test_unreadable_event_is_set_aside_and_tried_again_by_the_next_session(
    database_url: str, whatsapp: FakeWhatsApp
) -> None:
    async with (
        node_at(database_url, whatsapp) as node,
        await AsyncConnection.connect(database_url, autocommit=True) as connection,
    ):
        bob = await node.linked("bob")
        stored = "select id, error from baileys.events where instance_id = 'ana'"
        async with node.opened("ana") as ana:
            await ana.link()
            who = f"{bob.phone}@s.whatsapp.net"
            attributes = {"id": "ASKED", "from": who, "t": "soon"}
            with capture_logs() as logged:
                await whatsapp.control("inject", phone=ana.phone, tag="receipt", attrs=attributes)
                await bob.send(SendText(phone=ana.phone, message="after it"), "AFTER")
                await ana.wait_for(MessageReceived, lambda m: "after it" in str(m.content))
            (event,) = await (await connection.execute(stored)).fetchall()
            assert event[1] == "ValueError"
            reports = [each for each in logged if each["event"] == "unexpected_error"]
            assert [each["message_type"] for each in reports] == ["Receipt"]
        async with node.opened("ana", phone=ana.phone, epoch=2) as ana:
            with capture_logs() as logged:
                await bob.send(SendText(phone=ana.phone, message="again"), "AGAIN")
                await ana.wait_for(MessageReceived, lambda m: "again" in str(m.content))
            assert not [each for each in logged if each["event"] == "unexpected_error"]
            assert await (await connection.execute(stored)).fetchall() == [event]
        await connection.execute(
            """update baileys.events set body = body || '{"Timestamp": "1700000000"}'"""
            " where error is not null"
        )
        async with node.opened("ana", phone=ana.phone, epoch=3) as ana:
            found = await ana.wait_for(MessageAcknowledged)
            assert (found.chat, list(found.provider_message_ids)) == (bob.phone, ["ASKED"])
            await bob.send(SendText(phone=ana.phone, message="last"), "LAST")
            await ana.wait_for(MessageReceived, lambda m: "last" in str(m.content))
            assert event[0] not in {
                row[0] for row in await (await connection.execute(stored)).fetchall()
            }


async def test_child_killed_between_its_key_write_and_its_frame_sends_nothing(
    pair: Pair, whatsapp: FakeWhatsApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bob = pair
    commit = BaileysStore.commit
    killed: list[int] = []

    async def commit_and_kill(store: BaileysStore, *given: Any, **rows: Any) -> bool:
        written = await commit(store, *given, **rows)
        if not killed and any(kind == "session" for kind, _, _ in rows["rows"]):
            killed.append(ana.pid)
            os.kill(ana.pid, signal.SIGKILL)
        return written

    monkeypatch.setattr(BaileysStore, "commit", commit_and_kill)
    before = len((await whatsapp.control("state"))["sent"])
    with pytest.raises((Unconfirmed, NotConnected)):
        await ana.send(SendText(phone=bob.phone, message="never left"), seconds=3)
    assert killed
    assert len((await whatsapp.control("state"))["sent"]) == before
    for line in pair:
        await line.until_state(ConnectionState.CONNECTED)
    await ana.send(SendText(phone=bob.phone, message="with the next key"), "NEXT")
    await bob.wait_for(MessageReceived)
    assert texts(bob) == ["with the next key"]


async def test_message_whose_keys_are_not_committed_in_time_does_not_leave_later(
    pair: Pair, whatsapp: FakeWhatsApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bob = pair
    commit = BaileysStore.commit
    may_commit = asyncio.Event()

    async def commit_late(store: BaileysStore, *given: Any, **rows: Any) -> bool:
        if any(kind == "session" for kind, _, _ in rows["rows"]):
            await may_commit.wait()  # as while the database is away
        return await commit(store, *given, **rows)

    monkeypatch.setattr(BaileysStore, "commit", commit_late)
    before = len((await whatsapp.control("state"))["sent"])
    with pytest.raises((NotConnected, Unconfirmed)):  # the second where this machine is slow
        await ana.send(SendText(phone=bob.phone, message="too late"), seconds=3)
    may_commit.set()
    await ana.wait_for(ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED)
    await ana.until_state(ConnectionState.CONNECTED)
    await ana.send(SendText(phone=bob.phone, message="in time"), "NEXT")
    await bob.wait_for(MessageReceived)
    assert texts(bob) == ["in time"]
    assert len((await whatsapp.control("state"))["sent"]) == before + 1
