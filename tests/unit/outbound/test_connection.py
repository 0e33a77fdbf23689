"""A connection to a hostile server ends with a clear failure, and other tasks run meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Network

import pytest
import uvloop

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.errors import AddressRefused
from gateway.outbound.connection import (
    ONE_SLICE,
    AnswerPatience,
    ByteStream,
    HttpConnection,
    HttpRequest,
    Server,
)
from gateway.outbound.dialer import Dialer
from gateway.outbound.failures import ExcessiveResponse, NoConnection, TooSlow
from gateway.outbound.response_parser import ResponseLimits, ResponseParser
from gateway.public_address import AddressPolicy

LOOPBACK = AddressPolicy(allow_http=True, allowed=(IPv4Network("127.0.0.0/8"),))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class MovedClock(Clock):
    """Moves by a second whenever the time is read, and records the pauses."""

    def __init__(self) -> None:
        self.now_seconds = 0.0
        self.pauses: list[float] = []

    def monotonic_seconds(self) -> float:
        self.now_seconds += 1.0
        return self.now_seconds

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


class ReadOnlyStream(ByteStream):
    """Receives what a test feeds to it, and sends nothing."""

    def write(self, data: bytes) -> None:
        """Drops the request."""


class RecordedTransport(asyncio.Transport):
    """Records when reading is paused and resumed."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[HttpRequest]:
    """Yields a request to a server that answers once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield HttpRequest("GET", LOOPBACK.check_url(f"http://127.0.0.1:{port}/x?y=a b"))


def sending(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


async def read(request: HttpRequest, dialer: Dialer) -> bytes:
    connection = await dialer.connect(Server.of(request.url))
    try:
        response = await connection.send(request)
        return b"".join([piece async for piece in response.content()])
    finally:
        connection.close()


async def test_other_tasks_run_after_each_slice() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    stream = ReadOnlyStream()
    stream.data_received(CHUNKED + b"1\r\nA\r\n" * 10_000 + b"0\r\n\r\n")
    connection = HttpConnection(stream, Clock(), ResponseLimits(), AnswerPatience())
    counting = asyncio.create_task(count_turns())
    request = HttpRequest("GET", LOOPBACK.check_url("http://127.0.0.1/"))
    response = await connection.send(request)
    content = b"".join([piece async for piece in response.content()])
    counting.cancel()

    assert content == b"A" * 10_000
    assert turns >= 10_000 * 6 // 4_096


@pytest.mark.parametrize(
    "data",
    [CHUNKED + b"1\r\nA\r\n" * 100_000, b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000],
)
async def test_costly_answer_is_refused_before_it_is_read(data: bytes) -> None:
    async with served(sending(data)) as request:
        with pytest.raises(ExcessiveResponse):
            await read(request, Dialer(LOOPBACK, Clock()))


async def test_answer_is_the_same_under_uvloop() -> None:
    async def fetch() -> bytes:
        async with served(sending(CHUNKED + b"2\r\nok\r\n0\r\n\r\n")) as request:
            return await read(request, Dialer(LOOPBACK, Clock()))

    def run() -> bytes:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(fetch())

    assert await asyncio.to_thread(run) == b"ok"


async def test_silent_server_is_given_up() -> None:
    async def silence(_writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    patience = AnswerPatience(silence_seconds=0.05)
    async with served(silence) as request:
        with pytest.raises(TooSlow, match="sends nothing"):
            await read(request, Dialer(LOOPBACK, Clock(), patience=patience))


async def test_answer_below_the_minimum_rate_is_given_up() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"A")
            await writer.drain()
            await asyncio.sleep(0)

    clock = MovedClock()
    async with served(drip) as request:
        with pytest.raises(TooSlow, match="bytes per second"):
            await read(request, Dialer(LOOPBACK, clock))


async def test_reads_of_single_bytes_are_slowed_down() -> None:
    clock = MovedClock()
    stream = ReadOnlyStream()
    patience = AnswerPatience(grace_seconds=10_000.0)
    connection = HttpConnection(stream, clock, ResponseLimits(), patience)

    async def drip() -> None:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"A" * 200:
            stream.data_received(bytes([byte]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    dripping = asyncio.create_task(drip())
    request = HttpRequest("GET", LOOPBACK.check_url("http://127.0.0.1/"))
    response = await connection.send(request)
    content = b"".join([piece async for piece in response.content()])
    await dripping

    assert content == b"A" * 200
    assert set(clock.pauses[:16]) == {0}
    assert max(clock.pauses) > 0


async def test_tiny_packets_gather_outside_the_program_during_a_pause() -> None:
    transport = RecordedTransport()
    stream = ByteStream()
    stream.connection_made(transport)
    with stream.not_reading():
        assert transport.calls == ["pause"]
    assert transport.calls == ["pause", "resume"]

    stream.data_received(b"A" * 200_000)  # is paused already, until it is read
    with stream.not_reading():
        pass
    assert transport.calls == ["pause", "resume", "pause"]


async def test_one_slice_of_each_owner_is_parsed_in_a_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn, parsed = 0, list[tuple[int, str]]()
    feed = ResponseParser.feed

    def recorded(parser: ResponseParser, data: bytes) -> bytes:
        parsed.append((turn, "x" if b"\nx" in data else "z"))
        return feed(parser, data)

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def fetch(owner: str, turns: AccountTurns) -> None:
        stream = ReadOnlyStream()
        stream.data_received(CHUNKED + f"1\r\n{owner}\r\n".encode() * 10_000 + b"0\r\n\r\n")
        limits = ResponseLimits()
        connection = HttpConnection(stream, Clock(), limits, AnswerPatience(), turns)
        url = LOOPBACK.check_url("http://127.0.0.1/")
        response = await connection.send(HttpRequest("GET", url, owner=owner))
        async for _piece in response.content():
            pass

    monkeypatch.setattr(ResponseParser, "feed", recorded)
    counting, shared = asyncio.create_task(count_turns()), AccountTurns(ONE_SLICE)
    await asyncio.gather(*(fetch(owner, shared) for owner in ["x"] * 20 + ["z"]))
    counting.cancel()

    assert len(parsed) > 21
    assert set(Counter(parsed).values()) == {1}


async def test_request_line_holds_no_space_and_no_control_character() -> None:
    url = LOOPBACK.check_url("http://127.0.0.1:1/a b?c d#e")
    head = HttpRequest("GET", url, {"A": "b"}).head()
    assert head == b"GET /a%20b?c%20d HTTP/1.1\r\nHost: 127.0.0.1:1\r\nA: b\r\n\r\n"
    with pytest.raises(ValueError, match="control character"):
        HttpRequest("GET", url, {"A": "b\r\nX: y"}).head()


async def test_dialer_refuses_private_addresses_and_closed_ports() -> None:
    with pytest.raises(AddressRefused):
        await Dialer(AddressPolicy(), Clock()).connect(Server("http", "10.0.0.1", 80))
    with pytest.raises(NoConnection, match=r"^refused the connection$"):
        await Dialer(LOOPBACK, Clock()).connect(Server("http", "127.0.0.1", 1))
