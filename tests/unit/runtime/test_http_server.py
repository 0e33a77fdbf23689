"""The server listens as soon as it is created, and a used port is a GatewayError."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.errors import StartRefused
from gateway.runtime.http_server import HttpServer
from tests.fixtures.patience import PATIENCE_SECONDS


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


def server(port: int = 0) -> HttpServer:
    app = Starlette(routes=[Route("/", hello)])
    return HttpServer(app, host="127.0.0.1", port=port, drain_seconds=2.0)


def test_server_used_port_is_refused_with_a_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StartRefused, match=rf"Cannot listen on 127.0.0.1:{port} .*GATEWAY_PORT"
        ):
            server(port)


async def test_server_that_stops_closes_its_port() -> None:
    http, stopping = server(), asyncio.Event()
    url = f"http://127.0.0.1:{http.port}/"
    running = asyncio.create_task(http.run_until(stopping))
    async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient() as client:
        answer = await client.get(url)
        stopping.set()
        await running
        with pytest.raises(httpx.ConnectError):
            await client.get(url)

    assert answer.text == "hello"
    assert "server" not in answer.headers


@asynccontextmanager
async def serving(*routes: Route) -> AsyncIterator[int]:
    """Yields the port of a server with these routes."""
    http = HttpServer(Starlette(routes=routes), host="127.0.0.1", port=0, drain_seconds=2.0)
    stopping = asyncio.Event()
    running = asyncio.create_task(http.run_until(stopping))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield http.port
    finally:
        stopping.set()
        await running


async def test_server_head_does_not_wait_for_a_slow_body() -> None:
    asked = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        await asked.wait()
        yield b"HTTP/1.1 is what this body begins with"

    async def slowly(_request: Request) -> Response:
        return StreamingResponse(body(), media_type="text/plain")

    async with serving(Route("/", slowly)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        asked.set()
        rest = await reader.read()
        writer.close()

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 is what this body begins with" in rest
