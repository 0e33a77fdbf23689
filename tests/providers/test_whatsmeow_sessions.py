"""A session links once, then moves and restarts without a new code or a message twice."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

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
from gateway.errors import NotConnected, Unconfirmed
from gateway.providers.whatsmeow.session import WhatsmeowSession
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged, IdentityLearned, MessageReceived
from tests.fixtures.proxies import local_proxy
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import FAR_AWAY, Node, OpenSession, Pair, node_at


def texts(line: OpenSession) -> list[str]:
    received = [event for event in line.events if isinstance(event, MessageReceived)]
    return [event.content["text"]["message"] for event in received]


async def test_phone_is_linked_by_code_read_and_unlinked(
    town: Node, whatsapp: FakeWhatsApp
) -> None:
    async with town.opened("eve") as ana:
        await ana.until_state(ConnectionState.UNPAIRED)
        code = await ana.session.execute(ReadPhoneCode(phone=ana.phone))
        assert isinstance(code, PhoneCode)
        assert (await whatsapp.control("type", phone=ana.phone, code=code.code))["linked"]
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


async def test_session_moves_to_another_node_without_a_code(
    database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp, pair: Pair
) -> None:
    _ana, bob = pair
    async with (
        node_at(database_url, tmp_path / "one", whatsapp) as one,
        node_at(database_url, tmp_path / "two", whatsapp) as two,
    ):
        async with one.opened("ana") as ana:
            await ana.link()
        await bob.send(SendText(phone=ana.phone, message="while it moved"))
        async with two.opened("ana", phone=ana.phone, epoch=2) as moved:
            await moved.until_state(ConnectionState.CONNECTED)
            assert (await moved.wait_for(MessageReceived)).content["text"]["message"]
            assert moved.events[0] == ConnectionChanged(
                ConnectionState.CONNECTING, moved.events[0].at
            )


async def test_receipt_confirms_a_message_after_the_child_died(
    pair: Pair, whatsapp: FakeWhatsApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bob = pair
    assert isinstance(ana.session, WhatsmeowSession)
    store, child, has_arrived = ana.session._context.store, ana.child, asyncio.Event()
    add_event = store.add_event

    async def add_unless_it_dies(instance_id: str, name: str, body: dict[str, Any]) -> None:
        """Loses the receipt with the child, after the child could have acknowledged it."""
        if name == "Receipt" and instance_id == "ana" and not has_arrived.is_set():
            has_arrived.set()
            await ana.session.check_health()
            os.kill(child.pid, signal.SIGKILL)
            await child.gone.wait()
            raise asyncio.CancelledError
        await add_event(instance_id, name, body)

    monkeypatch.setattr(store, "add_event", add_unless_it_dies)
    await whatsapp.control("behave", hold_acks=True)
    try:
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="once")))
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
    await asyncio.sleep(0.2)  # until it is in the socket of a process that does not read
    os.kill(ana.pid, signal.SIGKILL)
    with pytest.raises(NotConnected):
        await sending
    await ana.wait_for(ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED)


async def test_child_that_dies_restarts_alone_and_without_a_code(
    pair: Pair,
) -> None:
    ana, bob = pair
    first, other = ana.pid, bob.pid
    os.kill(first, signal.SIGKILL)
    await ana.until_state(ConnectionState.DISCONNECTED)
    assert not psutil.pid_exists(first)
    await ana.until_state(ConnectionState.CONNECTED)
    assert ana.pid != first
    assert bob.pid == other
    await ana.send(SendText(phone=bob.phone, message="again"))
    assert (await bob.wait_for(MessageReceived)).chat == ana.phone


async def test_session_that_does_not_answer_is_restarted(
    database_url: str, memory_path: Path, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(
        database_url, memory_path, whatsapp, keys="file", probe_seconds=0.3, probe_timeout_seconds=1
    ) as node:
        ana = await node.linked("ana")
        first = ana.pid
        await whatsapp.control("behave", mute=True)
        await ana.until_state(ConnectionState.DISCONNECTED)
        await whatsapp.control("behave", mute=False)
        await ana.until_state(ConnectionState.CONNECTED)
        second = ana.pid
        assert second != first
        os.kill(second, signal.SIGSTOP)  # a process that hangs is no better
        await ana.until_state(ConnectionState.DISCONNECTED)
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


async def test_instances_of_one_process_break_together(
    database_url: str, memory_path: Path, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(
        database_url, memory_path, whatsapp, keys="file", instances_per_process=3
    ) as node:
        async with node.opened("ana") as ana, node.opened("bob") as bob:
            await asyncio.gather(ana.link(), bob.link())
        async with (
            node.opened("ana", phone=ana.phone) as ana,
            node.opened("bob", phone=bob.phone) as bob,
        ):
            await ana.until_state(ConnectionState.CONNECTED)
            await bob.until_state(ConnectionState.CONNECTED)
            assert ana.pid == bob.pid
            await ana.send(SendText(phone=bob.phone, message="next door"))
            assert (await bob.wait_for(MessageReceived)).sender == ana.phone
            pid = ana.pid
            ana.lease.until = bob.lease.until = time.monotonic() + 1.2
            await whatsapp.state_when(lambda s: not {ana.phone, bob.phone} & {*s["online"]})
            ana.lease.until = bob.lease.until = FAR_AWAY
            await bob.send(SendText(phone=ana.phone, message="after an outage"))
            assert (await ana.wait_for(MessageReceived)).sender == bob.phone
            assert (ana.pid, bob.pid) == (pid, pid)
            os.kill(ana.pid, signal.SIGKILL)
            for line in (ana, bob):
                await line.wait_for(
                    ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED
                )
                await line.until_state(ConnectionState.CONNECTED)
        async with (
            local_proxy("http", beyond=whatsapp.port) as proxy,
            node.opened("ana", phone=ana.phone, proxy=Proxy(proxy_url=proxy.url)) as ana,
            node.opened("bob", phone=bob.phone) as bob,
        ):
            await ana.until_state(ConnectionState.CONNECTED)
            await bob.until_state(ConnectionState.CONNECTED)
            assert ana.pid != bob.pid  # whose environment may name another proxy


@pytest.mark.skipif("WHATSMEOW_MANY" not in os.environ, reason="20 processes: WHATSMEOW_MANY=1")
async def test_twenty_instances_at_once(town: Node) -> None:
    lines = await asyncio.gather(*(town.linked(f"instance {n}") for n in range(20)))
    following = [*lines[1:], lines[0]]
    await asyncio.gather(
        *(
            a.send(SendText(phone=b.phone, message="round"))
            for a, b in zip(lines, following, strict=True)
        )
    )
    for line in lines:
        await line.wait_for(MessageReceived)
