"""A connection ends where a request does not, and gives its place to one that works."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from gateway.observability.metrics import Metrics
from gateway.runtime.guarded_protocol import GuardedProtocol
from gateway.runtime.http_connections import ConnectionLimits, ConnectionRegister
from gateway.runtime.http_server import HttpServer
from tests.fixtures.patience import PATIENCE_SECONDS

SHORT = 0.05
GET = b"GET /length HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /length HTTP/1.1\r\nHost: x\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_BYTES = 32 * 1024 * 1024  # more than the buffers of a connection take
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(slots=True)
class Served:
    """A server whose route /work waits until it is released."""

    http: HttpServer
    metrics: Metrics
    works: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def length(self, request: Request) -> Response:
        try:
            return JSONResponse(len(await request.body()))
        except ClientDisconnect:
            self.disconnected.set()
            raise

    async def work(self, _request: Request) -> Response:
        self.works.set()
        await self.released.wait()
        return JSONResponse("done")

    async def large(self, _request: Request) -> Response:
        return Response(bytes(LARGE_BYTES))

    async def stream(self, _request: Request) -> Response:
        pieces = itertools.repeat(bytes(LARGE_BYTES // 32), 32)
        return StreamingResponse(pieces, headers={"content-length": str(LARGE_BYTES)})

    @property
    def protocols(self) -> list[GuardedProtocol]:
        return cast("list[GuardedProtocol]", list(self.http._server.server_state.connections))

    def refusals(self) -> dict[str, float]:
        return {
            sample.labels["reason"]: sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "http_connections_refused_total"
        }


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[Served]:
    metrics = Metrics()
    app = Starlette()
    http = HttpServer(
        app,
        host="127.0.0.1",
        port=0,
        drain_seconds=2.0,
        limits=ConnectionLimits(**limits),
        metrics=metrics,
    )
    served = Served(http, metrics)
    app.router.routes += [
        Route("/length", served.length, methods=["GET", "POST"]),
        Route("/large", served.large),
        Route("/stream", served.stream),
        Route("/work", served.work, methods=["POST"]),
    ]
    stopping = asyncio.Event()
    running = asyncio.create_task(http.run_until(stopping))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield served
    finally:
        served.released.set()
        stopping.set()
        await running


@dataclass(slots=True)
class Caller:
    """One connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, Any]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        (length,) = [
            int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-len")
        ]
        return int(head.split()[1]), orjson.loads(await self.reader.readexactly(length))

    async def size_of_answer(self) -> int:
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split()[0])
        return len(await self.reader.readexactly(length))

    async def is_closed(self) -> bool:
        return await self.reader.read() == b""

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def calling(served: Served, written: bytes = b"") -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.http.port)
    caller = Caller(reader, writer)
    try:
        writer.write(written)
        yield caller
    finally:
        caller.close()


# --- Time ---------------------------------------------------------------------------------------


async def test_connection_without_a_request_is_closed() -> None:
    async with serving(header_seconds=SHORT) as served, calling(served) as caller:
        assert await caller.is_closed()
        assert served.refusals() == {"slow_head": 1}


@pytest.mark.parametrize("written", [b"G", b"GET / HTTP/1.1\r\n", GET[:-2]])
async def test_unfinished_headers_are_answered_408(written: bytes) -> None:
    async with serving(header_seconds=SHORT) as served, calling(served, written) as caller:
        status, body = await caller.answer()

        assert status == 408
        assert body["error"] == body["message"]
        assert "headers" in body["message"]
        assert await caller.is_closed()


async def test_headers_of_a_second_request_have_the_same_time() -> None:
    async with serving(header_seconds=0.5) as served, calling(served, GET) as caller:
        assert await caller.answer() == (200, 0)
        caller.writer.write(GET[:-2])
        assert (await caller.answer())[0] == 408


async def test_idle_connection_is_closed_after_the_time_of_its_setting() -> None:
    async with serving(keep_alive_seconds=SHORT) as served, calling(served, GET) as caller:
        assert await caller.answer() == (200, 0)
        assert await caller.is_closed()
        assert served.refusals() == {}


@pytest.mark.parametrize(
    "written",
    [POST + b"Content-Length: 10\r\n\r\n", POST + b"Content-Length: 10\r\n\r\nabc", CHUNKED],
)
async def test_body_that_stands_still_is_answered_408(written: bytes) -> None:
    async with serving(body_idle_seconds=SHORT) as served, calling(served, written) as caller:
        status, body = await caller.answer()

        assert (status, "body" in body["message"]) == (408, True)
        assert await caller.is_closed()
        await served.disconnected.wait()
        assert served.refusals() == {"slow_body": 1}


async def test_body_below_the_rate_is_answered_408() -> None:
    limits = {"body_idle_seconds": 0.2, "body_bytes_per_second": 1e9}
    async with serving(**limits) as served, calling(served, CHUNKED) as caller:
        answer = asyncio.create_task(caller.answer())
        while not answer.done():
            caller.writer.write(b"40\r\n" + b"x" * 64 + b"\r\n")
            await asyncio.wait({answer}, timeout=0.01)

        assert (await answer)[0] == 408


async def test_body_that_comes_in_time_is_read_whatever_its_age() -> None:
    written = POST + b"Content-Length: 100000\r\n\r\n" + b"x"
    async with serving(body_idle_seconds=3_600) as served, calling(served, written) as caller:
        await until(lambda: any(p._timer for p in served.protocols))
        (protocol,) = served.protocols
        protocol._checked_at -= 60.0 * 3_600
        protocol._body_bytes = 60 * 3_600 * 500
        protocol._check_body()
        caller.writer.write(b"x" * 99_999)

        assert await caller.answer() == (200, 100_000)


async def test_body_that_the_server_does_not_read_is_not_slow() -> None:
    async with serving() as served:
        head = b"POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        async with calling(served, head + b"x" * 800_000) as caller:
            await served.works.wait()
            await until(lambda: all(p.flow.read_paused for p in served.protocols))
            (protocol,) = served.protocols
            protocol._received_at -= 1_000.0
            protocol._check_body()

            assert not protocol.transport.is_closing()
            caller.close()


async def test_rest_of_an_answered_body_is_not_awaited_for_long() -> None:
    async with serving() as served:
        written = b"GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
        async with calling(served, written) as caller:
            await caller.reader.readuntil(b"\r\n\r\n")
            (protocol,) = served.protocols
            protocol._checked_at -= 11.0
            protocol._check_body()

            assert await caller.reader.read() in {b"", b"Not Found"}


# --- Number -------------------------------------------------------------------------------------


async def test_longest_idle_connection_yields_to_a_new_one() -> None:
    async with serving(max_connections=2) as served:
        async with calling(served, GET) as first, calling(served) as second:
            assert await first.answer() == (200, 0)
            second.writer.write(GET)
            assert await second.answer() == (200, 0)
            first.writer.write(GET)  # now the second has waited longest
            assert await first.answer() == (200, 0)
            async with calling(served, GET) as third:
                assert await third.answer() == (200, 0)
                assert await second.is_closed()
                first.writer.write(GET)
                assert await first.answer() == (200, 0)
        assert served.refusals() == {"yielded": 1}


async def test_unfinished_requests_keep_no_caller_out() -> None:
    async with serving(max_connections=3) as served:
        callers = [calling(served, GET[:-2]) for _ in range(9)]
        for caller in callers:
            await caller.__aenter__()
        await until(lambda: served.refusals() == {"yielded": 6})
        async with calling(served, GET) as honest:
            assert await honest.answer() == (200, 0)
        for caller in callers:
            await caller.__aexit__(None, None, None)


@pytest.mark.parametrize("written", [LARGE, LARGE + GET, LARGE + CHUNKED, STREAM])
async def test_unread_answers_keep_no_caller_out(written: bytes) -> None:
    async with serving(max_connections=2) as served, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(calling(served, written))
        await until(lambda: [each.flow.write_paused for each in served.protocols] == [True, True])
        async with calling(served, GET) as honest:
            assert await honest.answer() == (200, 0)
            assert len(served.protocols) == 2  # one is gone
        assert served.refusals() == {"yielded": 1}


async def test_connection_works_again_once_its_answer_is_read() -> None:
    async with serving(max_connections=1) as served, calling(served, STREAM) as caller:
        await until(lambda: [each.flow.write_paused for each in served.protocols] == [True])
        assert await caller.size_of_answer() == LARGE_BYTES
        caller.writer.write(b"POST /work HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.works.wait()
        async with calling(served) as refused:
            assert (await refused.answer())[0] == 503
        served.released.set()
        assert await caller.answer() == (200, "done")


async def test_connection_beyond_the_limit_is_refused_while_all_work() -> None:
    with capture_logs() as logged:
        async with serving(max_connections=1) as served, serving() as internal:
            async with calling(served, b"POST /work HTTP/1.1\r\nHost: x\r\n\r\n") as busy:
                await served.works.wait()
                for _ in range(3):
                    async with calling(served) as refused:
                        status, body = await refused.answer()
                        assert (status, "connections" in body["message"]) == (503, True)
                        assert await refused.is_closed()
                async with calling(internal, GET) as other:
                    assert await other.answer() == (200, 0)
                served.released.set()
                assert await busy.answer() == (200, "done")
            assert served.refusals() == {"full": 3}

    assert [line["event"] for line in logged].count("connection_limit_reached") == 1


def test_connection_limit_is_logged_at_most_once_a_minute() -> None:
    now = itertools.count(0.0, 25.0)
    connections = ConnectionRegister(
        "public", ConnectionLimits(max_connections=0), None, lambda: next(now)
    )
    connection = cast("GuardedProtocol", object())

    with capture_logs() as logged:
        assert not any(connections.admit(connection) for _ in range(7))  # 0 s to 150 s

    assert len(logged) == 3


# --- Size ---------------------------------------------------------------------------------------


def chunks(size: int, count: int) -> bytes:
    return CHUNKED + (b"%x\r\n" % size + b"x" * size + b"\r\n") * count + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("written", "status", "reason"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414, "url"),
        (b"GET /length?" + b"a&" * 1_000 + b" HTTP/1.1\r\n\r\n", 414, "url"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 129 + b"\r\n", 431, "head"),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 70_000 + b"\r\n\r\n", 431, "head"),
        (GET[:-2] + b"POST" + b" " * 5, 400, "invalid"),
        (b"\x16\x03\x01 TLS", 400, "invalid"),
        (chunks(1, 5_000), 400, "chunks"),
        (chunks(63, 70_000), 400, "chunks"),
    ],
)
async def test_request_beyond_a_bound_is_answered_and_ends_the_connection(
    written: bytes, status: int, reason: str
) -> None:
    async with serving() as served, calling(served, written) as caller:
        answer, body = await caller.answer()
        assert (answer, body["error"]) == (status, body["message"])
        assert await closed(caller)
        assert served.refusals() == {reason: 1}


async def test_headers_without_an_end_are_refused_at_their_bound() -> None:
    async with serving() as served, calling(served, b"GET / HTTP/1.1\r\na: ") as caller:
        answer = asyncio.create_task(caller.answer())
        sent = 0
        while not answer.done():
            caller.writer.write(b"b" * 8_192)
            sent += 8_192
            await asyncio.wait({answer}, timeout=0.01)

        assert (await answer)[0] == 431
        assert served.refusals() == {"head": 1}


@pytest.mark.parametrize("written", [chunks(64, 5_000), chunks(1, 900), chunks(8_192, 100)])
async def test_body_in_honest_chunks_is_read(written: bytes) -> None:
    expected = written.count(b"x") - POST.count(b"x")
    async with serving() as served, calling(served, written) as caller:
        assert await caller.answer() == (200, expected)


def post(size: int) -> bytes:
    return b"POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size


@pytest.mark.parametrize("sizes", [[0] * 40, [*range(900)], [70_000, 3, 200_000, 0, 5_000] * 8])
async def test_pipelined_requests_are_answered_in_order(sizes: list[int]) -> None:
    written = b"".join(map(post, sizes))
    async with serving() as served, calling(served, written) as caller:
        assert [await caller.answer() for _ in sizes] == [(200, size) for size in sizes]
        assert served.refusals() == {}


WORK = b"POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


async def test_connection_with_a_request_behind_an_answered_one_yields_to_none() -> None:
    async with serving(max_connections=1) as served, calling(served, GET + WORK) as caller:
        assert await caller.answer() == (200, 0)
        await served.works.wait()
        async with calling(served) as refused:
            assert (await refused.answer())[0] == 503
        served.released.set()
        assert await caller.answer() == (200, "done")


async def test_requests_behind_one_in_work_wait_for_its_answer() -> None:
    async with serving() as served, calling(served, WORK + GET * 2_000) as caller:
        await served.works.wait()
        (protocol,) = served.protocols
        await until(lambda: bool(protocol._unparsed))
        assert len(protocol.pipeline) < 100
        protocol._on_slow_head()  # the time for a head has passed, while its rest waits
        served.released.set()
        assert await caller.answer() == (200, "done")
        assert [await caller.answer() for _ in range(2_000)] == [(200, 0)] * 2_000


async def test_requests_behind_one_in_work_have_a_bound_in_bytes() -> None:
    async with serving() as served, calling(served, WORK + GET * 100) as caller:
        await served.works.wait()
        (protocol,) = served.protocols
        await until(lambda: bool(protocol._unparsed))
        while not protocol.transport.is_closing():
            protocol.data_received(GET * 1_000)
        assert await closed(caller)
        assert served.refusals() == {"pipelined": 1}


async def closed(caller: Caller) -> bool:
    try:
        return await caller.is_closed()
    except ConnectionResetError:  # the rest of the request was not read
        return True


async def until(holds: Callable[[], bool]) -> None:
    """Polls the state of a connection, which sets no event."""
    while not holds():  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.005)
