"""A session of Baileys links once, then moves and restarts without a code or a message twice."""

import asyncio
import os
import signal
import time
from typing import Any

import psutil
import pytest
from psycopg import AsyncConnection

from gateway.contract.extensions.proxies import Proxy
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
from gateway.sessions.provider import ConnectionChanged, IdentityLearned, MessageReceived
from gateway.whatsapp_web.library_child import ChildGone
from tests.fixtures.proxies import Kind, local_proxy
from tests.providers.baileys_node import Node, node_at
from tests.providers.fake_whatsapp.client import FakeWhatsApp, seen
from tests.providers.whatsmeow_node import FAR_AWAY, OpenSession, Pair

PROVIDERS = ("baileys",)


def texts(line: OpenSession) -> list[str]:
    received = [event for event in line.told if isinstance(event, MessageReceived)]
    return [event.content["text"]["message"] for event in received]


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


@pytest.mark.parametrize("kind", ["http", pytest.param("socks5", marks=pytest.mark.long)])
async def test_instance_links_and_sends_through_its_own_proxy(
    town: Node, pair: Pair, whatsapp: FakeWhatsApp, kind: Kind
) -> None:
    name, (_ana, bob) = f"over {kind}", pair
    async with (
        local_proxy(kind, beyond=whatsapp.port, login="ana:secret") as first,
        local_proxy(kind, beyond=whatsapp.port) as second,
    ):
        async with town.opened(name, proxy=Proxy(proxy_url=first.url)) as mia:
            await mia.link()
        linked_through = list(first.targets)
        assert set(linked_through) == {"web.whatsapp.com:443"}

        phone = mia.phone
        async with town.opened(
            name, phone=phone, epoch=2, proxy=Proxy(proxy_url=second.url)
        ) as mia:
            await mia.until_state(ConnectionState.CONNECTED)
            await mia.send(SendText(phone=bob.phone, message="by another way"))
            assert (await bob.wait_for(MessageReceived)).chat == phone
        assert second.targets
        assert first.targets == linked_through


async def test_instance_with_a_failing_proxy_does_not_bypass_it(town: Node) -> None:
    async with (
        local_proxy("http", refuses=403) as proxy,
        town.opened("cut off", proxy=Proxy(proxy_url=proxy.url)) as tom,
    ):
        with pytest.raises(SessionUnavailable, match="proxy"):
            await tom.session.execute(ReadQrCode())
        assert set(proxy.targets) == {"web.whatsapp.com:443"}


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
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="x"), seconds=4))
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
async def test_child_that_fills_its_memory_ends_and_says_why(
    database_url: str, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(database_url, whatsapp, memory_mb=128) as node:
        ana = await node.linked("ana")
        child = ana.child
        with pytest.raises(ChildGone, match="GATEWAY_BAILEYS_MEMORY_MB"):
            await child.call("ana", "ready", filling=[[number] for number in range(2_500_000)])
        await ana.wait_for(ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED)
        await ana.until_state(ConnectionState.CONNECTED)


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
