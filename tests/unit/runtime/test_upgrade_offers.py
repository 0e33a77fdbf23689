"""A request that offers an upgrade is served in HTTP/1.1, with its body (RFC 9110, 7.8)."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.runtime.http_server import HttpServer

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
OFFERS = [
    H2C,
    H2C.lower(),
    H2C.upper(),
    b"Upgrade: h2c\r\nConnection: keep-alive, Upgrade\r\n",
    b"connection: upgrade,http2-settings,keep-alive\r\nupgrade:h2c\r\n",
    b"Connection: Upgrade\r\nConnection: HTTP2-Settings\r\nUpgrade: h2c\r\n",
    b"Connection: HTTP2-Settings\r\nConnection: Upgrade\r\nUpgrade: h2c, TLS/1.0\r\n",
    b"Connection: \t Upgrade \t,\tHTTP2-Settings\r\nUpgrade:   h2c  \r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",  # a WebSocket begins with GET
    b"Connection: Upgrade\r\nUpgrade: something-else/7\r\n",
]
BODY = b'{"phone": "5511999999999"}'
CHUNKED = b"5\r\n" + BODY[:5] + b"\r\n15\r\n" + BODY[5:] + b"\r\n0\r\n\r\n"
JAVA = """
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

class Post {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int size : new int[] {1, 10, 200000}) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString("x".repeat(size)))
                .build();
            HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
        }
    }
}
"""


async def echo(request: Request) -> Response:
    return JSONResponse(
        {
            "length": len(await request.body()),
            "query": request.url.query,
            "connection": request.headers.get("connection"),
            "upgrade": request.headers.get("upgrade"),
            "settings": request.headers.get("http2-settings"),
            "other": request.headers.get("x-other"),
        }
    )


@asynccontextmanager
async def serving() -> AsyncIterator[HttpServer]:
    routes = [Route("/echo", echo, methods=["GET", "POST"])]
    http = HttpServer(Starlette(routes=routes), host="127.0.0.1", port=0, drain_seconds=2.0)
    http._server.config.load()
    stopping = asyncio.Event()
    running = asyncio.create_task(http.run_until(stopping))
    try:
        async with asyncio.timeout(60):
            yield http
    finally:
        stopping.set()
        await running


def request(offer: bytes, body: bytes = BODY, *, method: bytes = b"POST") -> bytes:
    framing = (
        b"Transfer-Encoding: chunked\r\n"
        if body is CHUNKED
        else b"Content-Length: %d\r\n" % len(body)
    )
    head = method + b" /echo?a=1 HTTP/1.1\r\nHost: x\r\n" + offer + framing + b"X-Other: o\r\n\r\n"
    return head + body


async def answers(
    http: HttpServer, *pieces: bytes, count: int = 1
) -> list[tuple[int, dict[str, Any]]]:
    """Returns the statuses and bodies of the responses on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0)
        found = []
        for _ in range(count):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            (length,) = [
                int(line.split(":")[1])
                for line in head.splitlines()
                if line.startswith("content-length")
            ]
            body = await reader.readexactly(length)
            found.append((int(head.split()[1]), json.loads(body)))
        return found
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("body", [BODY, CHUNKED])
@pytest.mark.parametrize("offer", OFFERS)
async def test_body_of_a_request_that_offers_an_upgrade_arrives(offer: bytes, body: bytes) -> None:
    async with serving() as http:
        ((status, seen),) = await answers(http, request(offer, body))

    assert (status, seen["length"], seen["query"]) == (200, len(BODY), "a=1")
    assert (seen["upgrade"], seen["settings"], seen["other"]) == (None, None, "o")
    assert "upgrade" not in (seen["connection"] or "").lower()
    assert ("keep-alive" in (seen["connection"] or "")) is (b"keep-alive" in offer)


@pytest.mark.parametrize("body", [BODY, CHUNKED])
async def test_body_arrives_in_packets_of_any_size(body: bytes) -> None:
    whole = request(H2C, body)
    async with serving() as http:
        single = await answers(http, *(whole[n : n + 1] for n in range(len(whole))))
        halves = [await answers(http, whole[:at], whole[at:]) for at in range(1, len(whole) - 1, 7)]

    assert all(seen["length"] == len(BODY) for ((_, seen),) in [single, *halves])


async def test_requests_of_one_connection_do_not_mix() -> None:
    """The requests are pipelined, with and without an offer, with and without a body."""
    sent = [
        request(H2C, b"1"),
        request(b"", b"22"),
        request(H2C, b"", method=b"GET"),
        request(H2C, CHUNKED),
        request(OFFERS[3], b"55555"),
        request(b"", b"666666"),
    ]
    async with serving() as http:
        at_once = await answers(http, b"".join(sent), count=len(sent))
        one_by_one = await answers(http, *sent, count=len(sent))

    lengths = [1, 2, 0, len(BODY), 5, 6]
    assert [seen["length"] for _, seen in at_once] == lengths
    assert [seen["length"] for _, seen in one_by_one] == lengths


async def test_large_body_behind_an_offer_is_whole() -> None:
    async with serving() as http:
        ((_, seen),) = await answers(http, request(H2C, b"x" * 1_000_000))

    assert seen["length"] == 1_000_000


async def test_client_that_expects_continue_gets_it() -> None:
    head, body = request(H2C + b"Expect: 100-continue\r\n").split(b"\r\n\r\n")
    async with serving() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(head + b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")
        await reader.readline()
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize(
    "broken", [b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", H2C, b"POST / HTTP/9.9\r\n" + H2C]
)
async def test_broken_request_is_refused(broken: bytes) -> None:
    async with serving() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(broken + b"\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()


async def test_websocket_is_handed_on_where_the_server_has_one() -> None:
    received = asyncio.Queue[bytes]()

    class WebSocket(asyncio.Protocol):
        def __init__(self, **_server: object) -> None:
            pass

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            received.put_nowait(data)
            self.transport.close()

    offer = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    async with serving() as http:
        http._server.config.ws_protocol_class = WebSocket
        _reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(b"GET /echo HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
        handed_on = await received.get()
        writer.close()

    assert b"upgrade: websocket\r\n" in handed_on


async def _run(*command: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()


@pytest.mark.skipif(shutil.which("java") is None, reason="needs a JDK")
async def test_java_client_with_its_defaults_posts(tmp_path: Path) -> None:
    program = tmp_path / "Post.java"
    program.write_text(JAVA)
    async with serving() as http:
        lines = await _run("java", str(program), f"http://127.0.0.1:{http.port}/echo")

    assert [line.split(",")[0] for line in lines] == [
        f'200 HTTP_1_1 {{"length":{size}' for size in (1, 10, 200_000)
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_that_offers_http2_posts() -> None:
    async with serving() as http:
        url = f"http://127.0.0.1:{http.port}/echo"
        (line,) = await _run("curl", "-s", "--http2", "-d", "12345", url)

    assert line.startswith('{"length":5,')
