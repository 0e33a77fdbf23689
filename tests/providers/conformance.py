"""The far side of each provider, as the conformance tests use it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import ProviderError, Refused, TryAgainLater, Unconfirmed
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    Attempt,
    ConnectionChanged,
    Engine,
    MessageReceived,
    Receipt,
    ReportedEvent,
    Session,
    SessionSpec,
)
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers import baileys_node, sandbox_node, whatsmeow_node
from tests.providers.fake_whatsapp.client import FakeWhatsApp, seen

INSTANCE = "conforming"
Fact = TypeVar("Fact")


class World(Protocol):
    """A running provider with one linked instance, and a contact called friend."""

    @property
    def engine(self) -> Engine: ...

    @property
    def friend(self) -> str: ...

    async def hold_lease(self, epoch: int) -> None:
        """Gives the lease of the instance this epoch, where its provider reads it there."""
        ...

    async def texts_seen(self) -> list[str]:
        """Returns the texts that the friend has received, oldest first."""
        ...

    async def write(self, text: str) -> None:
        """The friend writes to the instance."""
        ...

    async def cut(self) -> None:
        """Disconnects the instance from WhatsApp until `mend`."""
        ...

    async def mend(self) -> None: ...

    async def fail_next(self, failure: type[ProviderError]) -> None:
        """Makes the next send fail: refused, to be tried again, or without an answer."""
        ...


class SandboxWorld:
    """The friend is the number that the instance writes to."""

    friend = "5511988887777"
    _FAULTS: ClassVar[dict[type[ProviderError], str]] = {
        Refused: "permanent",
        TryAgainLater: "transient",
        Unconfirmed: "timeout",
    }

    def __init__(self, node: sandbox_node.Node) -> None:
        self._node, self.engine = node, node.engine

    async def hold_lease(self, epoch: int) -> None:
        """The sandbox asks for the right to act alone."""

    async def texts_seen(self) -> list[str]:
        rows = await self._node.people.sent(INSTANCE, after=0, max_count=1000)
        return [row["payload"]["message"] for row in rows]

    async def write(self, text: str) -> None:
        await self._post("receive", phone=self.friend, text=text)

    async def cut(self) -> None:
        await self._post("connection", state="down")

    async def mend(self) -> None:
        await self._post("connection", state="up")

    async def fail_next(self, failure: type[ProviderError]) -> None:
        await self._post("faults", next=[self._FAULTS[failure]])

    async def _post(self, command: str, **body: object) -> None:
        async with self._node.http() as http:
            answer = await http.post(f"/sandbox/{INSTANCE}/{command}", json=body)
            assert answer.is_success, answer.text


class WebWorld:
    """The friend is another instance of the same node."""

    _FAULTS: ClassVar[dict[type[ProviderError], str]] = {
        Refused: "479",
        TryAgainLater: "503",
        Unconfirmed: "lose",
    }

    def __init__(
        self,
        node: whatsmeow_node.Node | baileys_node.Node,
        friend: whatsmeow_node.OpenSession,
        phone: str,
    ) -> None:
        self._node, self._whatsapp, self.engine = node, node.whatsapp, node.engine
        self._session, self.friend, self._phone = friend, friend.phone, phone

    async def hold_lease(self, epoch: int) -> None:
        if isinstance(self._node, whatsmeow_node.Node):
            await self._node.own_lease(INSTANCE, epoch)

    async def texts_seen(self) -> list[str]:
        received = [event for event in self._session.events if isinstance(event, MessageReceived)]
        return [event.content["text"]["message"] for event in received]

    async def write(self, text: str) -> None:
        await self._session.send(SendText(phone=self._phone, message=text), f"friend's {text}")

    async def cut(self) -> None:
        await self._whatsapp.control("behave", refusing=True)
        await self._whatsapp.control("cut", phone=self._phone)

    async def mend(self) -> None:
        await self._whatsapp.control("behave", refusing=False)

    async def fail_next(self, failure: type[ProviderError]) -> None:
        await self._whatsapp.control("behave", next_fault=self._FAULTS[failure])


@asynccontextmanager
async def sandbox_world(url: str, _folder: Path, _whatsapp: FakeWhatsApp) -> AsyncIterator[World]:
    async with (
        sandbox_node.node_at(url, sandbox_node.IMMEDIATE_RECEIPTS) as node,
        node.delivering(),
    ):
        yield SandboxWorld(node)


@asynccontextmanager
async def whatsmeow_world(url: str, folder: Path, whatsapp: FakeWhatsApp) -> AsyncIterator[World]:
    async with whatsmeow_node.node_at(url, folder, whatsapp) as node:
        async with node.opened(INSTANCE) as line:
            await line.link()
        yield WebWorld(node, await node.linked("friend"), line.phone)


@asynccontextmanager
async def baileys_world(url: str, _folder: Path, whatsapp: FakeWhatsApp) -> AsyncIterator[World]:
    async with baileys_node.node_at(url, whatsapp) as node:
        async with node.opened(INSTANCE) as line:
            await line.link()
        yield WebWorld(node, await node.linked("friend"), line.phone)


WORLDS: Mapping[str, Callable[[str, Path, FakeWhatsApp], AbstractAsyncContextManager[World]]] = {
    "sandbox": sandbox_world,
    "whatsmeow": whatsmeow_world,
    "baileys": baileys_world,
}
"""How each provider is run against a WhatsApp of the tests, by its name."""


@dataclass
class Opened:
    """A session, and its events one by one."""

    session: Session
    events: AsyncIterator[ReportedEvent]
    epoch: int

    async def delivery(
        self, kind: type[Fact], when: Callable[[Fact], bool] = lambda _fact: True
    ) -> tuple[Fact, ReportedEvent]:
        """Returns the next such event without acknowledging it; acknowledges those before it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                delivery = await anext(self.events)
                if isinstance(delivery.event, kind) and when(delivery.event):
                    return delivery.event, delivery
                await delivery.acknowledge()

    async def next(
        self, kind: type[Fact], when: Callable[[Fact], bool] = lambda _fact: True
    ) -> Fact:
        event, delivery = await self.delivery(kind, when)
        await delivery.acknowledge()
        return event

    async def until(self, state: ConnectionState) -> ConnectionChanged:
        return await self.next(ConnectionChanged, lambda change: change.state is state)

    async def send(
        self,
        message: OutgoingMessage,
        message_id: str,
        *,
        epoch: int | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> Receipt:
        attempt = Attempt(message_id, self.epoch if epoch is None else epoch, seconds)
        return await self.session.send(message, attempt)

    async def text(self) -> str:
        """Returns the next text that the session received."""
        received = await self.next(MessageReceived)
        return str(received.content["text"]["message"])


@asynccontextmanager
async def opened(
    world: World, *, epoch: int = 1, may_act_until: Callable[[], float] = lambda: float("inf")
) -> AsyncIterator[Opened]:
    spec = SessionSpec(INSTANCE, epoch, {"paired": True}, may_act_until)
    await world.hold_lease(epoch)
    async with world.engine.open_session(spec) as session:
        events = session.events()
        async with aclosing(events):  # type: ignore[type-var]
            yield Opened(session, events, epoch)


@asynccontextmanager
async def connected(world: World, *, epoch: int = 1) -> AsyncIterator[Opened]:
    async with opened(world, epoch=epoch) as opening:
        await opening.until(ConnectionState.CONNECTED)
        yield opening


async def seen_when(world: World, last: str) -> list[str]:
    """Returns the texts that the friend has received once *last* is among them."""
    texts: list[str] = await seen(world.texts_seen, lambda found: last in found)
    return texts
