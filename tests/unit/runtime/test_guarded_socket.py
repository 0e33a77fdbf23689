"""WebSockets within the limits of their listener."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from gateway.observability.metrics import Metrics
from gateway.runtime.http_connections import ConnectionLimits
from gateway.runtime.http_server import HttpServer
from tests.fixtures.patience import PATIENCE_SECONDS

GET = b"GET /socket HTTP/1.1\r\n"
UPGRADE = (
    b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_CLOSING_FRAME = b"\x88\x80" + bytes(4)
SILENTLY_REFUSED = {
    "long address": b"GET /socket?ticket=" + b"a" * 9_000 + b" HTTP/1.1\r\n" + UPGRADE,
    "long header": GET + b"X-Long: " + b"a" * 9_000 + b"\r\n" + UPGRADE,
    "body": GET + b"Content-Length: 5\r\n" + UPGRADE + b"hello",
    "chunks": GET + b"Transfer-Encoding: chunked\r\n" + UPGRADE + b"0\r\n\r\n",
}


@dataclass(slots=True)
class Served:
    """A server with a WebSocket, and a route /work that waits until it is released."""

    port: int
    metrics: Metrics
    works: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, _request: Request) -> Response:
        self.works.set()
        await self.released.wait()
        return JSONResponse("done")

    async def socket(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()

    def connections(self) -> float | None:
        return self.metrics.registry.get_sample_value("http_connections", {"listener": "public"})


@asynccontextmanager
async def serving(**limits: int) -> AsyncIterator[Served]:
    app, metrics, stopping = Starlette(), Metrics(), asyncio.Event()
    http = HttpServer(
        app,
        host="127.0.0.1",
        port=0,
        drain_seconds=2.0,
        limits=ConnectionLimits(**limits),
        metrics=metrics,
    )
    served = Served(http.port, metrics)
    app.routes.extend((Route("/work", served.work), WebSocketRoute("/socket", served.socket)))
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(http.run_until(stopping))
        try:
            yield served
        finally:
            served.released.set()
            stopping.set()


async def answer_to(port: int, written: bytes) -> bytes:
    """Returns what comes until the gateway ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(written)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("written", SILENTLY_REFUSED.values(), ids=list(SILENTLY_REFUSED))
async def test_request_that_opens_no_socket_is_answered_and_ended(written: bytes) -> None:
    async with serving() as served:
        answer = await answer_to(served.port, written)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"does not open a WebSocket" in answer


async def test_socket_counts_as_a_connection_until_it_is_closed() -> None:
    async with serving(max_connections=1) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(GET + UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        open_sockets = served.connections()
        refused = await answer_to(served.port, GET + UPGRADE)
        writer.write(_CLOSING_FRAME)
        await reader.read()
        writer.close()

    assert (open_sockets, served.connections()) == (1, 0)
    assert refused.startswith(b"HTTP/1.1 503 ")


async def test_upgrade_behind_a_request_does_not_take_its_answer() -> None:
    async with serving() as served:
        asking = asyncio.create_task(
            answer_to(served.port, b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n" + GET + UPGRADE)
        )
        await served.works.wait()
        served.released.set()
        answer = await asking

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'"done"')
