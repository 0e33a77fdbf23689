"""A child whose lease lapses is suspended, and goes on if no node took the lease meanwhile."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
import pytest

from gateway.contract.zapi.instances import AlreadyConnected, ReadQrCode
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import NotConnected, Unconfirmed
from gateway.providers.whatsmeow.process import Child
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged, MessageReceived
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.fake_whatsapp.client import FakeWhatsApp, seen
from tests.providers.whatsmeow_node import FAR_AWAY, Node, OpenSession, Pair

LAPSES_IN_SECONDS = 1.2  # the engine moves the deadline of a child twice per second


def states(line: OpenSession) -> list[ConnectionChanged]:
    return [event for event in line.events if isinstance(event, ConnectionChanged)]


def texts(line: OpenSession) -> list[str]:
    received = [event for event in line.events if isinstance(event, MessageReceived)]
    return [event.content["text"]["message"] for event in received]


async def is_isolated(line: OpenSession) -> bool:
    assert isinstance(line.child, Child)
    return line.child._is_isolated


@dataclass
class Outage:
    """An outage that lasts longer than the lease; `end` renews the lease."""

    line: OpenSession

    async def lapsed(self) -> None:
        """Returns when the child is isolated, and the lease has lapsed."""
        await seen(lambda: is_isolated(self.line), bool)
        await asyncio.sleep(max(0.0, self.line.lease.until - time.monotonic()))

    def end(self) -> None:
        self.line.lease.until = FAR_AWAY


@asynccontextmanager
async def outage_of(line: OpenSession) -> AsyncIterator[Outage]:
    outage = Outage(line)
    line.lease.until = time.monotonic() + LAPSES_IN_SECONDS
    try:
        yield outage
    finally:
        outage.end()


async def test_process_and_session_outlast_a_lapsed_lease(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    pid, connections = ana.pid, states(ana)
    async with outage_of(ana) as outage:
        await outage.lapsed()
        before = await whatsapp.control("state")
        assert ana.phone not in before["online"]
        with pytest.raises(NotConnected):
            await ana.send(SendText(phone=bob.phone, message="too late"))
        await bob.send(SendText(phone=ana.phone, message="while it was away"))
        after = await whatsapp.control("state")
        assert after["logins"] == before["logins"]
        assert [m["sender"] for m in after["sent"][len(before["sent"]) :]] == [bob.phone]

        outage.end()
        assert await ana.session.execute(ReadQrCode()) == AlreadyConnected()
        await ana.send(SendText(phone=bob.phone, message="again"))
    await bob.wait_for(MessageReceived)
    await ana.wait_for(MessageReceived)
    assert texts(ana) == ["while it was away"]
    assert texts(bob) == ["again"]
    async with outage_of(ana) as another:
        await another.lapsed()
    await ana.send(SendText(phone=bob.phone, message="and again"))
    assert ana.pid == pid
    assert states(ana) == connections, "a disconnect is not reported"


async def test_send_in_work_gets_its_outcome(pair: Pair, whatsapp: FakeWhatsApp) -> None:
    """One whose receipt comes afterwards was sent; one that WhatsApp lost is unconfirmed."""
    ana, bob = pair
    before = len((await whatsapp.control("state"))["sent"])
    await whatsapp.control("behave", hold_acks=True)
    try:
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="arrived")))
        await bob.wait_for(MessageReceived)
        async with outage_of(ana) as outage:
            await outage.lapsed()
        assert (await sending).provider_message_id
        await whatsapp.control("behave", hold_acks=False, lose=True)
        lost = asyncio.create_task(
            ana.send(SendText(phone=bob.phone, message="lost"), seconds=2 * LAPSES_IN_SECONDS)
        )
        await whatsapp.state_when(lambda state: len(state["sent"]) > before + 1)
        async with outage_of(ana):
            with pytest.raises(Unconfirmed):
                await lost
    finally:
        await whatsapp.control("behave", hold_acks=False, lose=False)


async def sent_when_connected(session: OpenSession, message: SendText) -> None:
    """Sends as the worker does: what had not left is sent again by the session's next process."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await session.send(message)
            except NotConnected:
                # The state may still be that of before; a loop without a pause would keep it so.
                await asyncio.sleep(0.03)
                await session.until_state(ConnectionState.CONNECTED)
            else:
                return


async def test_message_that_had_not_left_is_not_sent_and_never_leaves(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bob = pair
    held, freed = asyncio.Event(), asyncio.Event()

    async def store_id(_provider_id: str) -> None:
        held.set()  # as while the database is away
        await freed.wait()

    with monkeypatch.context() as patch:
        patch.setattr(ana.session, "_store_id", store_id)
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="held")))
        await held.wait()
        async with outage_of(ana):
            with pytest.raises(NotConnected):
                await sending
            freed.set()
    await sent_when_connected(ana, SendText(phone=bob.phone, message="next"))
    await bob.wait_for(MessageReceived, lambda event: "next" in str(event.content))
    assert texts(bob) == ["next"]


async def test_child_ends_with_a_session_that_is_lost_meanwhile(
    town: Node, whatsapp: FakeWhatsApp
) -> None:
    async with town.opened("liz") as liz:
        await liz.link()
        child = psutil.Process(liz.pid)
        async with outage_of(liz) as outage:
            await outage.lapsed()
            assert child.is_running()
    assert not child.is_running()
    assert liz.phone not in (await whatsapp.control("state"))["online"]


async def test_child_that_hangs_at_the_deadline_is_killed(pair: Pair) -> None:
    ana, bob = pair
    child = ana.session.supervisor._child
    assert child
    async with outage_of(ana):
        os.kill(ana.pid, signal.SIGSTOP)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await child.gone.wait()
        assert time.monotonic() >= ana.lease.until
    await ana.send_when_connected(SendText(phone=bob.phone, message="by a new process"), "NEW")
    assert ana.pid != child.pid


async def test_child_that_shows_a_code_ends_with_its_lease(town: Node) -> None:
    async with town.opened("new") as new:
        await new.session.execute(ReadQrCode())
        child = new.session.supervisor._child
        assert child
        async with outage_of(new), asyncio.timeout(PATIENCE_SECONDS):
            await child.gone.wait()
