"""A node that runs the whatsmeow provider, and its open sessions."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gateway.clock import Clock
from gateway.contract.extensions.proxies import Proxy
from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.instances import QrCode, ReadQrCode
from gateway.contract.zapi.messages.text import SendText
from gateway.database.library_pool.deferral import DeferredStatements
from gateway.database.library_pool.memory import RepeatedStatements
from gateway.database.library_pool.pool import PostgresLibraryPool
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import NotConnected
from gateway.providers.baileys.process import NodeChild
from gateway.providers.baileys.session import BaileysSession
from gateway.providers.whatsmeow.engine import WhatsmeowEngine
from gateway.providers.whatsmeow.process import Child
from gateway.providers.whatsmeow.session import WhatsmeowSession
from gateway.providers.whatsmeow.settings import read_settings
from gateway.sessions.connection import ConnectionState
from gateway.sessions.library_pool import LibraryPoolOf, LibraryPoolOptions
from gateway.sessions.provider import (
    Attempt,
    ConnectionChanged,
    Event,
    MessageAcknowledged,
    MessageReceived,
    ProviderContext,
    Receipt,
    SessionSpec,
)
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.fake_whatsapp.client import FakeWhatsApp

Fact = TypeVar("Fact")
_numbers = itertools.count(5511900000001)
_fences = itertools.count(1)


FAR_AWAY = 1e9
"""A deadline that no test reaches; JSON has no infinity."""


def new_phone() -> str:
    """Returns a phone number that no other test has."""
    return str(next(_numbers))


@dataclass
class Lease:
    """Until when a session may act, on the monotonic clock."""

    until: float = FAR_AWAY


@dataclass
class OpenSession:
    """An open session, whose events are read as the gateway reads them."""

    session: WhatsmeowSession | BaileysSession
    whatsapp: FakeWhatsApp
    phone: str
    lease: Lease
    events: list[Event] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        async with aclosing(self.session.events()) as events:  # type: ignore[type-var]
            async for delivery in events:
                self.events.append(delivery.event)
                await delivery.acknowledge()
                self._changed.set()

    def forget(self) -> None:
        """Drops every event but the newest state."""
        states = [event for event in self.events if isinstance(event, ConnectionChanged)]
        self.events[:] = states[-1:]

    async def wait_for(
        self, kind: type[Fact], when: Callable[[Fact], bool] = lambda _fact: True
    ) -> Fact:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and when(event):
                        return event
                self._changed.clear()
                await self._changed.wait()

    async def wait_for_message(self, provider_id: str) -> MessageReceived:
        return await self.wait_for(
            MessageReceived, lambda message: message.provider_message_id == provider_id
        )

    async def wait_for_status(self, our_id: str) -> MessageAcknowledged:
        return await self.wait_for(
            MessageAcknowledged, lambda status: our_id in status.provider_message_ids
        )

    async def until_state(self, state: ConnectionState) -> ConnectionChanged:
        """Waits until the newest state is this one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                states = [e for e in self.events if isinstance(e, ConnectionChanged)]
                if states and states[-1].state is state:
                    return states[-1]
                self._changed.clear()
                await self._changed.wait()

    async def link(self) -> None:
        shown = await self.session.execute(ReadQrCode())
        assert isinstance(shown, QrCode)
        answer = await self.whatsapp.control("scan", phone=self.phone, code=shown.value)
        assert answer["linked"]
        await self.until_state(ConnectionState.CONNECTED)

    async def send(
        self,
        message: OutgoingMessage,
        message_id: str = "OURS",
        *known: KnownMessage,
        seconds: float = PATIENCE_SECONDS,
        **files: MediaFile,
    ) -> Receipt:
        referred = {message.message_id: message for message in known}
        attempt = Attempt(message_id, self.session.spec.epoch, seconds, referred, files)
        return await self.session.send(message, attempt)

    async def send_when_connected(self, message: OutgoingMessage, message_id: str) -> Receipt:
        """Sends, again after a refusal: a child that an earlier test killed may be noticed late."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self._changed.clear()
                try:
                    return await self.send(message, message_id)
                except NotConnected:
                    await self._changed.wait()

    @property
    def child(self) -> Child | NodeChild:
        """The process of the session, which runs."""
        child = self.session.supervisor._child
        assert child
        return child

    @property
    def pid(self) -> int:
        return self.child.pid


_OWN_LEASE = (
    "insert into accounts (id, name) values ('acme', 'Acme') on conflict do nothing",
    """insert into instances
           (id, account_id, name, token_hash, token_ciphertext, token_key_id, provider)
       values (%(id)s, 'acme', 'Line', '', '', 'key', 'whatsmeow') on conflict do nothing""",
    """insert into instance_leases (instance_id, node_id, epoch) values (%(id)s, 'a', %(epoch)s)
       on conflict (instance_id) do update set epoch = excluded.epoch""",
)

Pair = tuple[OpenSession, OpenSession]


async def exchange_fences(one: OpenSession, other: OpenSession) -> None:
    """Waits until each has the other's latest message, then drops the events of both."""
    for line in (one, other):
        await line.until_state(ConnectionState.CONNECTED)
    for sender, recipient in ((one, other), (other, one)):
        name = f"fence {next(_fences)}"
        message = SendText(phone=recipient.phone, message=name)
        receipt = await sender.send_when_connected(message, name)
        await recipient.wait_for_message(receipt.provider_message_id)
        await sender.wait_for_status(name)
    for line in (one, other):
        line.forget()


@dataclass
class Node:
    """A node, and the sessions that stay open as long as it."""

    engine: WhatsmeowEngine
    whatsapp: FakeWhatsApp
    stack: AsyncExitStack
    tasks: asyncio.TaskGroup
    database: Database

    async def own_lease(self, instance_id: str, epoch: int) -> None:
        """Adds the instance, whose lease has this epoch: what its session writes needs it."""
        async with self.database.transaction() as transaction:
            for statement in _OWN_LEASE:
                await transaction.execute(statement, {"id": instance_id, "epoch": epoch})

    @asynccontextmanager
    async def opened(
        self,
        instance_id: str,
        *,
        phone: str | None = None,
        epoch: int = 1,
        proxy: Proxy | None = None,
    ) -> AsyncIterator[OpenSession]:
        lease = Lease()
        await self.own_lease(instance_id, epoch)
        spec = SessionSpec(instance_id, epoch, {}, lambda: lease.until, proxy)
        async with self.engine.open_session(spec) as session:
            assert isinstance(session, WhatsmeowSession)
            line = OpenSession(session, self.whatsapp, phone or new_phone(), lease)
            reading = self.tasks.create_task(line.read())
            try:
                yield line
            finally:
                session.close()
                await asyncio.wait({reading})

    async def linked(self, instance_id: str) -> OpenSession:
        line = await self.stack.enter_async_context(self.opened(instance_id))
        await line.link()
        return line


async def _as_it_is(_instance_id: str, source: str) -> bytes:
    return source.encode()


@asynccontextmanager
async def node_at(
    url: str,
    folder: Path,
    whatsapp: FakeWhatsApp,
    *,
    library_pool: LibraryPoolOf | None = None,
    **settings: Any,
) -> AsyncIterator[Node]:
    clock, stopping = Clock(), asyncio.Event()
    database = Database(url, min_size=1, max_size=4)
    await database.open()
    environment = whatsapp.environment | {
        f"GATEWAY_WHATSMEOW_{name.upper()}": str(value)
        for name, value in {"restart_seconds": 0.1, **settings}.items()
    }

    def pool_of(options: LibraryPoolOptions) -> PostgresLibraryPool:
        return PostgresLibraryPool(
            Database(url, min_size=1, max_size=options.max_connections),
            clock,
            schema="whatsmeow",
            folder=options.folder,
            prepare=True,
            repeated=RepeatedStatements.of(options.repeated),
            deferred=[DeferredStatements.of(each) for each in options.deferred],
        )

    provider_context = ProviderContext(
        environment,
        folder,
        clock,
        PostgresProviderStore(database, Notifications(url, clock), provider="whatsmeow"),
        library_pool or pool_of,
        picture=_as_it_is,
    )
    engine = WhatsmeowEngine(provider_context, read_settings(environment))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.run_until(stopping))
        running = tasks.create_task(engine.run_until(stopping))
        async with AsyncExitStack() as stack:
            yield Node(engine, whatsapp, stack, tasks, database)
        stopping.set()
        await asyncio.wait({running})
