"""A process that runs the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import DatabaseUnavailable, GatewayError, UnknownInstance
from gateway.providers.sandbox.engine import SandboxEngine
from gateway.providers.sandbox.people import People
from gateway.providers.sandbox.provider import SandboxProvider
from gateway.sessions.provider import ProviderContext

NO_LATENCY = {
    "GATEWAY_SANDBOX_LATENCY_MIN_SECONDS": "0",
    "GATEWAY_SANDBOX_LATENCY_MAX_SECONDS": "0",
}
NO_RECEIPTS = {**NO_LATENCY, "GATEWAY_SANDBOX_RECEIPTS": "off"}
IMMEDIATE_RECEIPTS = {**NO_LATENCY, "GATEWAY_SANDBOX_RECEIPTS": "0"}


class CountingStore(PostgresProviderStore):
    """Records the statements that ran."""

    after_due: Callable[[], None] = staticmethod(lambda: None)
    """Called after events that are due were read."""

    statements: list[str]
    refused_reads = 0

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        if not name.startswith("delete_expired"):  # runs once an hour, independent of the test
            self.statements.append(name)
        if name == "due_events" and self.refused_reads:
            self.refused_reads -= 1
            raise DatabaseUnavailable("gone for a while")
        rows = await super().fetch(name, **parameters)
        if name == "due_events" and any(row["body"] for row in rows):
            self.after_due()
        return rows


@dataclass
class Node:
    """A process that runs the sandbox."""

    engine: SandboxEngine
    store: CountingStore
    database: Database
    people: People
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self.engine.run_until(self.stopping))
            try:
                yield
            finally:
                self.stopping.set()

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(control_app(self.engine)), base_url="http://sandbox"
        ) as client:
            yield client


async def authorise(headers: Mapping[str, str], instance_id: str) -> None:
    assert headers["host"] == "sandbox"
    if instance_id == "unknown":
        raise UnknownInstance


def control_app(engine: SandboxEngine) -> Starlette:
    async def render(request: Request, error: Exception) -> Response:
        del request
        status = 404 if isinstance(error, UnknownInstance) else 400
        return JSONResponse({"error": str(error)}, status_code=status)

    return Starlette(
        routes=[Mount("/sandbox", engine.ingress(authorise))],
        exception_handlers={GatewayError: render},
    )


@asynccontextmanager
async def node_at(
    url: str, environment: Mapping[str, str] = NO_RECEIPTS, *, listen: bool = True
) -> AsyncIterator[Node]:
    clock, stopping = Clock(), asyncio.Event()
    notifications = Notifications(url, clock)
    database = Database(url, min_size=1, max_size=4)
    await database.open()
    store = CountingStore(database, notifications, provider="sandbox")
    store.statements = []
    engine = SandboxProvider().start(ProviderContext(environment, Path(), clock, store))
    people = People(store, lambda count: b"\1" * count)
    async with asyncio.TaskGroup() as parts:
        parts.create_task(database.run_until(stopping))
        if listen:
            parts.create_task(notifications.run_until(stopping))
        try:
            yield Node(engine, store, database, people)
        finally:
            stopping.set()
