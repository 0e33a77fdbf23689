"""GET /events: revoked tokens, other users of the server, and ids of another database."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg import AsyncConnection
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.api.events import EventsEndpoint
from gateway.runtime.http_server import HttpServer
from gateway.webhooks.event_log import LoggedEvent
from gateway.webhooks.stream import StreamAccess
from tests.fixtures.event_stream import stream_of, take
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway


async def receive(client: Client, text: str) -> None:
    await client.control("receive", phone="5511888888888", text=text)


MORE_THAN_BUFFERS = 32_000_000


async def test_renewed_tokens_end_the_stream(client: Client, host: RunningGateway) -> None:
    async with stream_of(client) as events:
        await receive(client, "before")
        await take(events, 1)
        async with await AsyncConnection.connect(
            host.environment["DATABASE_URL"], autocommit=True
        ) as operator:
            await operator.execute(
                """update accounts
                   set partner_token_hash = 'renewed', client_token_hash = 'renewed'
                   where id = (select account_id from instances where id = %s)""",
                [client.demo.instance_id],
            )
        later = [event async for event in events]  # comes to an end
    bearer = {"Authorization": f"Bearer {client.demo.partner_token}", "Client-Token": "x"}
    again = await client.http.get("/events", headers=bearer)

    assert later == []
    assert again.status_code == 401


async def test_write_transaction_in_another_database_delays_no_event(
    client: Client, empty_database_url: str
) -> None:
    async with await AsyncConnection.connect(empty_database_url) as foreign:
        await foreign.execute("create table written (n int)")
        async with stream_of(client) as events:
            await receive(client, "hello")
            (event,) = await take(events, 1)
        await foreign.rollback()

    assert event.data["text"]["message"] == "hello"


async def test_id_ahead_of_the_database_is_told_and_the_stream_goes_on(client: Client) -> None:
    async with stream_of(client) as events:
        await receive(client, "one")
        (first,) = await take(events, 1)
    generation, _, number = first.id.partition("-")
    async with stream_of(
        client, **{"Last-Event-ID": f"{generation}-{int(number) + 1_000}"}
    ) as events:
        (missing,) = await take(events, 1)
        await receive(client, "two")
        (second,) = await take(events, 1)
    async with stream_of(client, **{"Last-Event-ID": missing.id}) as events:
        (again,) = await take(events, 1)

    assert (missing.type, missing.data) == (
        "EventsMissing",
        {"type": "EventsMissing", "reason": "restored"},
    )
    assert second.data["text"]["message"] == "two"
    assert again == second


async def test_revoked_stream_of_a_client_that_reads_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.api.events._REVOKED_SECONDS", 0.05)
    opened: asyncio.Queue[StreamAccess] = asyncio.Queue()
    ended, stopping = asyncio.Event(), asyncio.Event()
    event = LoggedEvent(0, 10**17, 1, "i", "chat", uuid.uuid4(), "T", "x" * MORE_THAN_BUFFERS)

    async def endless() -> AsyncGenerator[list[LoggedEvent]]:
        try:
            while True:
                yield [event]
        finally:
            ended.set()

    @asynccontextmanager
    async def subscribe(_account: str, _after: object, access: StreamAccess) -> AsyncIterator[Any]:
        opened.put_nowait(access)
        async with aclosing(endless()) as pages:
            yield pages

    async def allowed() -> bool:
        return True

    async def find(*_asked: object) -> Any:
        return SimpleNamespace(id="acme"), StreamAccess(allowed)

    services: Any = SimpleNamespace(stream=SimpleNamespace(subscribe=subscribe))
    callers: Any = SimpleNamespace(find=find)
    endpoint = EventsEndpoint(callers, lambda: services)
    app = Starlette(routes=[Route("/events", endpoint, methods=["GET"])])
    server = HttpServer(app, host="127.0.0.1", port=0, drain_seconds=2)
    async with asyncio.timeout(PATIENCE_SECONDS / 10), asyncio.TaskGroup() as parts:
        parts.create_task(server.run_until(stopping))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        access = await opened.get()
        await reader.readuntil(b"\r\n\r\n")
        access.revoke()
        await ended.wait()
        writer.close()
        stopping.set()
