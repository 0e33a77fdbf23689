"""Every question that Baileys asks WhatsApp ends, and the caller hears how."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.contract.extensions.proxies import Proxy
from gateway.contract.media import MediaFile
from gateway.contract.zapi.instances import ReadQrCode, RestoreSession
from gateway.contract.zapi.messages.media import SendImage
from gateway.contract.zapi.messages.text import SendText
from gateway.contract.zapi.privacy import ListDisallowed
from gateway.errors import NotConnected, SessionUnavailable, TryAgainLater
from gateway.providers.baileys.store import BaileysStore
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged, MessageReceived
from gateway.sessions.reachability import NetworkFault
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.baileys_node import Node, node_at
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_messages import PIXEL
from tests.providers.whatsmeow_node import Pair, new_phone

PROVIDERS = ("baileys",)
DEVICES = "usync"


@asynccontextmanager
async def unanswered(whatsapp: FakeWhatsApp, *namespaces: str) -> AsyncIterator[None]:
    await whatsapp.control("behave", ignored=namespaces)
    try:
        yield
    finally:
        await whatsapp.control("behave", ignored=[])


async def test_unanswered_question_of_a_message_lets_it_wait_and_of_a_request_fails_it(
    database_url: str, whatsapp: FakeWhatsApp, tmp_path: Path
) -> None:
    path = tmp_path / "pixel.png"
    path.write_bytes(PIXEL)
    picture = MediaFile(path, "image/png", len(PIXEL), "")
    async with node_at(database_url, whatsapp, answer_seconds=0.5) as node:
        ana, bob = await node.linked("ana"), await node.linked("bob")
        before = len((await whatsapp.control("state"))["sent"])
        message = SendText(phone=bob.phone, message="once they answer")
        async with unanswered(whatsapp, DEVICES, "privacy", "w:m"):
            with pytest.raises(TryAgainLater, match="it has not left"):
                await ana.send(message, "FIRST")
            with pytest.raises(TryAgainLater, match="did not answer in time"):
                await ana.send(SendImage(phone=bob.phone, image="it"), "FILE", it=picture)
            with pytest.raises(SessionUnavailable, match="did not answer in time"):
                await ana.session.execute(ListDisallowed(type="lastSeen"))
        assert len((await whatsapp.control("state"))["sent"]) == before
        await ana.send(message, "SECOND")
        await bob.wait_for(MessageReceived)
        states = [e.state for e in ana.events if isinstance(e, ConnectionChanged)]
        assert states[-1] is ConnectionState.CONNECTED


@pytest.mark.parametrize("why", ["replaced", None])
async def test_message_whose_connection_ends_during_a_question_waits_for_the_next_one(
    pair: Pair, whatsapp: FakeWhatsApp, why: str | None
) -> None:
    ana, bob = pair
    asked = (await whatsapp.control("state"))["unanswered"].get(DEVICES, 0)
    async with unanswered(whatsapp, DEVICES):
        message = SendText(phone=new_phone(), message="x")
        sending = asyncio.create_task(ana.send(message, seconds=10 * PATIENCE_SECONDS))
        await whatsapp.state_when(lambda state: state["unanswered"].get(DEVICES, 0) > asked)
        await whatsapp.control("cut", phone=ana.phone, why=why)
        with pytest.raises(NotConnected):
            await asyncio.wait_for(sending, PATIENCE_SECONDS)
    if why:
        await ana.until_state(ConnectionState.REPLACED)
        assert (await ana.session.execute(RestoreSession())).value
    else:
        await ana.wait_for(ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED)
    await ana.until_state(ConnectionState.CONNECTED)
    await ana.send(SendText(phone=bob.phone, message="on the next connection"))
    assert (await bob.wait_for(MessageReceived)).chat == ana.phone


@pytest.mark.long
async def test_proxy_that_takes_a_connection_and_says_nothing_is_named(town: Node) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_000):
            pass
        ended.set()
        writer.close()

    ended = asyncio.Event()
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        proxy = Proxy(proxy_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with town.opened("behind silence", proxy=proxy) as tom:
            with pytest.raises(SessionUnavailable, match="proxy"):
                await tom.session.execute(ReadQrCode())
            await ended.wait()  # the child leaves no connection behind


async def test_question_of_a_closed_session_lets_no_later_one_wait(
    database_url: str, whatsapp: FakeWhatsApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library has one queue for each person in a process, whatever sessions come and go."""
    asked, read = asyncio.Event(), BaileysStore.keys

    async def never_of_sessions(
        self: BaileysStore, instance_id: str, kind: str, ids: Sequence[str]
    ) -> dict[str, str]:
        if instance_id == "ana" and kind == "session":
            asked.set()
            await asyncio.Event().wait()
        return await read(self, instance_id, kind, ids)

    async with node_at(database_url, whatsapp) as node:
        bob = await node.linked("bob")
        with monkeypatch.context() as patch:
            patch.setattr(BaileysStore, "keys", never_of_sessions)
            async with node.opened("ana") as ana:
                await ana.link()
                await asked.wait()  # for a message of the phone, which each new device gets

        async with node.opened("ana", phone=ana.phone, epoch=2) as ana:
            await ana.until_state(ConnectionState.CONNECTED)
            await ana.send(SendText(phone=bob.phone, message="Hello"))
            assert (await bob.wait_for(MessageReceived)).chat == ana.phone


async def test_connection_that_broke_early_is_not_called_open(
    database_url: str, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(database_url, whatsapp) as node:
        async with node.opened("ana") as ana:
            await ana.link()
        async with unanswered(whatsapp, "passive"), node.opened("ana", phone=ana.phone) as ana:
            await ana.until_state(ConnectionState.CONNECTED)
            await whatsapp.control("behave", refusing=True)
            try:
                await whatsapp.control("cut", phone=ana.phone)
                refused = NetworkFault.INTERCEPTED
                await ana.wait_for(ConnectionChanged, lambda c: refused.is_in(c.reason))
            finally:
                await whatsapp.control("behave", refusing=False)
            states = [e.state for e in ana.events if isinstance(e, ConnectionChanged)]
            assert states.count(ConnectionState.CONNECTED) == 1
