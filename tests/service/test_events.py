"""GET /events streams every event in order, resumes, and survives slow subscribers."""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
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
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

MANY, LARGE_BYTES = 2_000, 30_000


async def test_events_are_streamed_in_order_without_a_webhook(client: Client) -> None:
    async with stream_of(client) as events:
        sent = [(await client.send_text(f"{n}", trackId=n))["messageId"] for n in range(5)]
        told: list[str] = []
        states: list[tuple[str, str]] = []
        while len(states) < 5:
            event = await anext(events)
            if event.type == "DeliveryCallback":
                told.append(event.data["messageId"])
            if event.data.get("status") == "SENT":
                states.append((event.data["messageId"], event.data["trackId"]))

    assert told == sent
    assert states == [(message_id, str(n)) for n, message_id in enumerate(sent)]


async def test_last_event_id_resumes_without_a_gap(client: Client) -> None:
    async def receive(text: str) -> None:
        await client.control("receive", phone="5511888888888", text=text)

    async with stream_of(client) as events:
        await receive("0")
        (first,) = await take(events, 1)
    for n in range(1, 150):
        await receive(str(n))
    async with stream_of(client, **{"Last-Event-ID": first.id}) as events:
        later = await take(events, 149)

    texts = [event.data["text"]["message"] for event in later]
    assert texts == [str(n) for n in range(1, 150)]
    assert len({event.id for event in later}) == 149


async def test_stream_requires_the_account_tokens(client: Client) -> None:
    nobody = await client.http.get("/events", headers={"Client-Token": ""})
    in_query = await client.http.get(
        "/events", params={"token": client.demo.partner_token}, headers={"Client-Token": "x"}
    )
    nonsense = await client.http.get(
        "/events",
        headers={"Authorization": f"Bearer {client.demo.partner_token}", "Last-Event-ID": "x"},
    )

    assert (nobody.status_code, in_query.status_code) == (401, 401)
    assert nonsense.status_code == 400
    assert nonsense.json()["error"] == "Last-Event-ID: is not an id of this stream"


async def test_stream_across_a_restart_misses_nothing(tmp_path: Path, database_url: str) -> None:
    with running_gateway(tmp_path, database_url) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            async with stream_of(client) as events:
                await client.control("receive", phone="5511888888888", text="before")
                (before,) = await take(events, 1)
                await client.send_text("while nobody listens")
                code = await asyncio.to_thread(gateway.stop)
                with suppress(httpx.RemoteProtocolError):
                    _ = [event async for event in events]  # comes to an end
            gateway.start()
            await gateway.ready()
            async with stream_of(client, **{"Last-Event-ID": before.id}) as events:
                while (await anext(events)).type != "DeliveryCallback":
                    pass

    assert code == 0


async def write_many_events(client: Client, host: RunningGateway) -> None:
    """Writes more events than a gateway should have in memory."""
    async with await AsyncConnection.connect(
        host.environment["DATABASE_URL"], autocommit=True
    ) as operator:
        await operator.execute(
            """insert into webhook_events (account_id, instance_id, chat, id, type, body)
               select account_id, id, 'chat', gen_random_uuid(), 'ReceivedCallback',
                      jsonb_build_object('number', n, 'text', repeat('x', %s))::text
               from instances, generate_series(1, %s) n
               where id = %s
               order by n""",
            (LARGE_BYTES, MANY, client.demo.instance_id),
        )


@asynccontextmanager
async def reading_nothing(client: Client) -> AsyncIterator[asyncio.StreamReader]:
    """Yields a subscriber whose buffers are full after a few events, until it is read."""
    url = httpx.URL(client.demo.base_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        writer.write(
            f"GET /events HTTP/1.1\r\nHost: {url.host}\r\n"
            f"Authorization: Bearer {client.demo.partner_token}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        yield reader
    finally:
        writer.close()


async def test_stalled_subscriber_costs_little_and_delays_no_other(
    client: Client, host: RunningGateway
) -> None:
    assert host.process is not None
    process = psutil.Process(host.process.pid)
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        reading_nothing(client) as slow,
        stream_of(client) as events,
    ):
        before = process.memory_info().rss
        await write_many_events(client, host)
        seen = [(await anext(events)).data["number"] for _ in range(MANY)]
        grown = process.memory_info().rss - before
        late: list[int] = []
        while len(late) < MANY:
            line = await slow.readline()
            if line.startswith(b"data: "):
                late.append(json.loads(line.removeprefix(b"data: "))["number"])

    assert seen == late == list(range(1, MANY + 1))
    assert grown < MANY * LARGE_BYTES / 2, "what is not taken stays in the database"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone can do this")
async def test_subscriber_stalled_for_long_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.api.events._SEND_SECONDS", 0.1)
    monkeypatch.setattr("gateway.runtime.http_server._UNACKNOWLEDGED_MS", 200)
    left, stopping = asyncio.Event(), asyncio.Event()

    async def endless(*_asked: object) -> AsyncGenerator[list[LoggedEvent]]:
        page = [LoggedEvent(0, 1, 1, "i", "chat", uuid.uuid4(), "T", "x" * LARGE_BYTES)] * 100
        try:
            while True:
                yield page
        finally:
            left.set()

    @asynccontextmanager
    async def subscribe(*_asked: object) -> AsyncIterator[Any]:
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

    async def connections() -> list[Any]:
        ours = psutil.Process().net_connections("tcp")
        return [each for each in ours if each.raddr and each.laddr.port == server.port]

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as parts:
        parts.create_task(server.run_until(stopping))
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        await left.wait()
        await until(connections, lambda found: not found)
        writer.close()
        stopping.set()
