"""A node that runs the baileys provider, and its open sessions."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.clock import Clock
from gateway.contract.extensions.proxies import Proxy
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.providers.baileys.engine import BaileysEngine
from gateway.providers.baileys.session import BaileysSession
from gateway.providers.baileys.settings import read_settings
from gateway.sessions.provider import ProviderContext, SessionSpec
from tests.fixtures.baileys_packages import KEY_HOOK, installed_packages
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import Lease, OpenSession, new_phone


@dataclass
class Node:
    """A node, and the sessions that stay open as long as it."""

    engine: BaileysEngine
    whatsapp: FakeWhatsApp
    stack: AsyncExitStack
    tasks: asyncio.TaskGroup
    context: ProviderContext = field(repr=False)

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
        spec = SessionSpec(instance_id, epoch, {}, lambda: lease.until, proxy)
        async with self.engine.open_session(spec) as session:
            assert isinstance(session, BaileysSession)
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


def environment_of(whatsapp: FakeWhatsApp, **settings: Any) -> dict[str, str]:
    """Returns the variables that lead children to the fake server."""
    given = {"restart_seconds": 0.1, "packages": installed_packages(), **settings}
    if node := os.environ.get("TEST_BAILEYS_NODE"):
        given = {"node": node} | given
    return whatsapp.environment | {
        "NODE_OPTIONS": f"--import {KEY_HOOK.as_uri()}",
        "NODE_EXTRA_CA_CERTS": whatsapp.facts["authority"],
        **{f"GATEWAY_BAILEYS_{name.upper()}": str(value) for name, value in given.items()},
    }


async def _as_it_is(_instance_id: str, source: str) -> bytes:
    return source.encode()


@asynccontextmanager
async def node_at(url: str, whatsapp: FakeWhatsApp, **settings: Any) -> AsyncIterator[Node]:
    clock, stopping = Clock(), asyncio.Event()
    environment = environment_of(whatsapp, **settings)  # skips the test where nothing is installed
    database = Database(url, min_size=1, max_size=4)
    await database.open()
    provider_context = ProviderContext(
        environment,
        installed_packages(),
        clock,
        PostgresProviderStore(database, Notifications(url, clock), provider="baileys"),
        picture=_as_it_is,
    )
    engine = BaileysEngine(provider_context, read_settings(environment))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.run_until(stopping))
        running = tasks.create_task(engine.run_until(stopping))
        async with AsyncExitStack() as stack:
            yield Node(engine, whatsapp, stack, tasks, provider_context)
        stopping.set()
        await asyncio.wait({running})
