"""Real WhatsApp's library, unmodified, against a server of our own."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from gateway.contract.instances import (
    AlreadyConnected,
    Disconnect,
    PhoneCode,
    ReadDevice,
    ReadPhoneCode,
    ReadQrCode,
    RestoreSession,
)
from gateway.contract.known import KnownMessage
from gateway.contract.messages.text import SendText
from gateway.errors import NotConnected, Unconfirmed
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged, MessageAcknowledged, MessageReceived
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake, seen
from tests.providers.whatsmeow_node import Line, Node, node_at


@pytest.fixture(scope="module")
def whatsapp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeWhatsApp]:
    with running_fake(tmp_path_factory.mktemp("whatsapp")) as fake:
        yield fake


@pytest.fixture(params=["file"])
async def node(
    database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp, request: pytest.FixtureRequest
) -> AsyncIterator[Node]:
    async with node_at(database_url, tmp_path, whatsapp, keys=request.param) as node:
        yield node


def texts(line: Line) -> list[str]:
    received = [event for event in line.told if isinstance(event, MessageReceived)]
    return [event.content["text"]["message"] for event in received]


@pytest.mark.parametrize("node", ["file", "postgres"], indirect=True)
async def test_a_text_is_sent_delivered_answered_and_edited(node: Node) -> None:
    ana, bob = await node.linked("ana"), await node.linked("bob")
    receipt = await ana.send(SendText(phone=bob.phone, message="Hello"), "OURS")
    assert receipt.provider_message_id.startswith("3EB0")

    arrived = await bob.wait_for(MessageReceived)
    assert arrived.content == {"text": {"message": "Hello"}}
    assert arrived.chat == arrived.sender == ana.phone
    delivered = await ana.wait_for(MessageAcknowledged)
    assert (delivered.status, delivered.provider_message_ids) == ("delivered", ["OURS"])

    known = KnownMessage(
        message_id="THEIRS",
        provider_message_id=arrived.provider_message_id,
        chat=ana.phone,
        sender=ana.phone,
        from_me=False,
        type="text",
        payload={},
    )
    await bob.send(SendText(phone=ana.phone, message="Hi", message_id="THEIRS"), "ANSWER", known)
    answer = await ana.wait_for(MessageReceived)
    assert answer.quoted_provider_id == "OURS"


async def test_a_phone_is_linked_by_a_code_looked_at_and_unlinked(
    node: Node, whatsapp: FakeWhatsApp
) -> None:
    async with node.opened("ana") as ana:
        await ana.until_state(ConnectionState.UNPAIRED)
        code = await ana.session.ask(ReadPhoneCode(phone=ana.phone))
        assert isinstance(code, PhoneCode)
        assert (await whatsapp.control("type", phone=ana.phone, code=code.code))["linked"]
        connected = await ana.until_state(ConnectionState.CONNECTED)
        assert connected.phone == ana.phone
        assert (await ana.session.ask(ReadDevice())).phone == ana.phone
        assert await ana.session.ask(ReadQrCode()) == AlreadyConnected()

        await ana.session.ask(Disconnect())
        await ana.until_state(ConnectionState.LOGGED_OUT)
        state = await whatsapp.control("state")
        assert state["devices"][ana.phone] == [0]
        await ana.link()


async def test_what_comes_while_we_are_cut_off_comes_in_order_afterwards(
    node: Node, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = await node.linked("ana"), await node.linked("bob")
    await whatsapp.control("cut", phone=bob.phone)
    await bob.until_state(ConnectionState.DISCONNECTED)
    for number in range(5):
        await ana.send(SendText(phone=bob.phone, message=f"text {number}"), f"OURS{number}")
    await bob.until_state(ConnectionState.CONNECTED)
    await bob.wait_for(MessageReceived, lambda m: m.content["text"]["message"] == "text 4")
    assert texts(bob) == [f"text {number}" for number in range(5)]


async def test_a_session_moves_to_another_node_without_a_code(
    database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp
) -> None:
    async with (
        node_at(database_url, tmp_path / "one", whatsapp) as one,
        node_at(database_url, tmp_path / "two", whatsapp) as two,
    ):
        bob = await one.linked("bob")
        async with one.opened("ana") as ana:
            await ana.link()
        await bob.send(SendText(phone=ana.phone, message="while it moved"))
        async with two.opened("ana", phone=ana.phone, epoch=2) as moved:
            await moved.until_state(ConnectionState.CONNECTED)
            assert (await moved.wait_for(MessageReceived)).content["text"]["message"]
            assert moved.told[0] == ConnectionChanged(ConnectionState.CONNECTING, moved.told[0].at)


async def test_a_message_that_left_before_the_child_died_is_proven_by_its_receipt(
    node: Node, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = await node.linked("ana"), await node.linked("bob")
    await whatsapp.control("behave", hold_acks=True)
    try:
        sending = asyncio.create_task(
            ana.send(SendText(phone=bob.phone, message="once"), seconds=30)
        )
        await bob.wait_for(MessageReceived)
        os.kill(ana.pid, signal.SIGKILL)
        receipt = await sending
    finally:
        await whatsapp.control("behave", hold_acks=False)
    await ana.until_state(ConnectionState.CONNECTED)
    assert texts(bob) == ["once"]
    assert receipt.provider_message_id == (await bob.wait_for(MessageReceived)).provider_message_id


async def test_without_a_receipt_it_is_unconfirmed_and_before_it_left_it_is_not_sent(
    node: Node, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = await node.linked("ana"), await node.linked("bob")
    await whatsapp.control("behave", lose=True)
    try:
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="x"), seconds=4))
        await whatsapp.state_when(lambda s: any(m["sender"] == ana.phone for m in s["sent"]))
        os.kill(ana.pid, signal.SIGKILL)
        with pytest.raises(Unconfirmed):
            await sending
    finally:
        await whatsapp.control("behave", lose=False)
    await ana.until_state(ConnectionState.CONNECTED)
    os.kill(ana.pid, signal.SIGSTOP)
    sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="y"), seconds=20))
    await asyncio.sleep(0.2)  # until it is in the socket of a process that does not read
    os.kill(ana.pid, signal.SIGKILL)
    with pytest.raises(NotConnected):
        await sending


async def test_a_child_that_dies_takes_no_other_down_and_comes_back_without_a_code(
    node: Node,
) -> None:
    ana, bob = await node.linked("ana"), await node.linked("bob")
    first, other = ana.pid, bob.pid
    os.kill(first, signal.SIGKILL)
    await ana.until_state(ConnectionState.DISCONNECTED)
    assert not psutil.pid_exists(first)
    await ana.until_state(ConnectionState.CONNECTED)
    assert ana.pid != first
    assert bob.pid == other
    await ana.send(SendText(phone=bob.phone, message="again"))
    assert (await bob.wait_for(MessageReceived)).chat == ana.phone


async def test_a_session_that_only_seems_alive_is_started_again(
    database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(
        database_url, tmp_path, whatsapp, keys="file", probe_seconds=0.3, probe_timeout_seconds=1
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


async def test_what_whatsapp_ends_is_told_and_not_begun_again_by_itself(
    node: Node, whatsapp: FakeWhatsApp
) -> None:
    ana = await node.linked("ana")
    await whatsapp.control("cut", phone=ana.phone, why="replaced")
    replaced = await ana.until_state(ConnectionState.REPLACED)
    assert replaced.reason == ConnectionState.REPLACED.sentence
    with pytest.raises(NotConnected):
        await ana.send(SendText(phone="5511988887777", message="x"))
    assert (await ana.session.ask(RestoreSession())).value
    await ana.until_state(ConnectionState.CONNECTED)

    await whatsapp.control("cut", phone=ana.phone, why="logged_out")
    await ana.until_state(ConnectionState.LOGGED_OUT)
    assert not (await ana.session.ask(RestoreSession())).value


async def test_a_child_does_not_outlive_its_lease(node: Node) -> None:
    ana = await node.linked("ana")
    child = psutil.Process(ana.pid)
    node.lease = time.monotonic() + 2
    await seen(lambda: _gone(child), bool)
    assert time.monotonic() < node.lease + 2
    with pytest.raises(NotConnected):
        await ana.send(SendText(phone="5511988887777", message="x"))


async def _gone(process: psutil.Process) -> bool:
    return not process.is_running()


async def test_several_instances_share_a_process_and_fall_together(
    database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(
        database_url, tmp_path, whatsapp, keys="file", instances_per_process=3
    ) as node:
        phones = {}
        for name in ("ana", "bob"):
            async with node.opened(name) as line:
                await line.link()
                phones[name] = line.phone
        async with (
            node.opened("ana", phone=phones["ana"]) as ana,
            node.opened("bob", phone=phones["bob"]) as bob,
        ):
            await ana.until_state(ConnectionState.CONNECTED)
            await bob.until_state(ConnectionState.CONNECTED)
            assert ana.pid == bob.pid
            await ana.send(SendText(phone=bob.phone, message="next door"))
            assert (await bob.wait_for(MessageReceived)).sender == ana.phone
            os.kill(ana.pid, signal.SIGKILL)
            for line in (ana, bob):
                await line.wait_for(
                    ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED
                )
                await line.until_state(ConnectionState.CONNECTED)


@pytest.mark.skipif("WHATSMEOW_MANY" not in os.environ, reason="20 processes: WHATSMEOW_MANY=1")
async def test_twenty_instances_at_once(node: Node) -> None:
    lines = await asyncio.gather(*(node.linked(f"instance {n}") for n in range(20)))
    following = [*lines[1:], lines[0]]
    await asyncio.gather(
        *(
            a.send(SendText(phone=b.phone, message="round"))
            for a, b in zip(lines, following, strict=True)
        )
    )
    for line in lines:
        await line.wait_for(MessageReceived)
