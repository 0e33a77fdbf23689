"""Connections to receivers stay open, are reused, and are closed when idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network

import pytest

from gateway.clock import Clock
from gateway.outbound.connection import HttpRequest
from gateway.outbound.dialer import Dialer
from gateway.outbound.failures import ConnectionLost, NoConnection
from gateway.public_address import AddressPolicy
from gateway.webhooks.connections import Connections
from tests.fixtures.patience import PATIENCE_SECONDS

LOOPBACK = AddressPolicy(allow_http=True, allowed=(IPv4Network("127.0.0.0/8"),))


@dataclass
class Receiver:
    """Counts connections; `answering` holds answers back, `hanging_up` closes after each.

    `dropping` closes the connection after each request but the first, without an answer.
    """

    port: int = 0
    accepted: int = 0
    hanging_up: bool = False
    dropping: bool = False
    surplus: bytes = b""
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    ended: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        requests = 0
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                requests += 1
                if self.dropping and requests > 1:
                    break
                self.asked.release()
                await self.answering.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + self.surplus)
                await writer.drain()
                if self.hanging_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.ended.release()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.answering.set()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(PATIENCE_SECONDS):
        yield receiver
    server.close()


@dataclass
class Time:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def connections(
    *, keep_idle_seconds: float = 60.0, max_idle: int = 512, seconds: Time | None = None
) -> AsyncIterator[Connections]:
    made = Connections(
        Dialer(LOOPBACK, Clock()),
        keep_idle_seconds=keep_idle_seconds,
        max_idle=max_idle,
        seconds=seconds or Time(),
    )
    try:
        yield made
    finally:
        made.close()


def request_to(port: int) -> HttpRequest:
    return HttpRequest("GET", LOOPBACK.check_url(f"http://127.0.0.1:{port}/"))


async def execute(through: Connections, receiver: Receiver) -> bytes:
    async with through.answer(request_to(receiver.port)) as response:
        return b"".join([piece async for piece in response.content()])


async def test_connection_is_reused_for_the_next_request(receiver: Receiver) -> None:
    async with connections() as through:
        assert [await execute(through, receiver) for _ in range(3)] == [b"ok"] * 3

    assert receiver.accepted == 1
    await receiver.ended.acquire()  # closed with the rest


async def test_concurrent_requests_have_separate_connections(receiver: Receiver) -> None:
    receiver.answering.clear()
    async with connections() as through:
        asking = [asyncio.create_task(execute(through, receiver)) for _ in range(3)]
        for _ in asking:
            await receiver.asked.acquire()
        receiver.answering.set()
        await asyncio.gather(*asking)
        await asyncio.gather(*(execute(through, receiver) for _ in range(3)))

    assert receiver.accepted == 3


async def test_connection_closed_by_the_server_is_not_reused(receiver: Receiver) -> None:
    receiver.hanging_up = True
    async with connections() as through:
        await execute(through, receiver)
        await receiver.ended.acquire()
        assert await execute(through, receiver) == b"ok"

    assert receiver.accepted == 2


async def test_idle_connection_that_the_server_drops_is_replaced(receiver: Receiver) -> None:
    receiver.dropping = True
    async with connections() as through:
        assert [await execute(through, receiver) for _ in range(2)] == [b"ok"] * 2

    assert receiver.accepted == 2


async def test_new_connection_that_the_server_drops_is_not_tried_again() -> None:
    requests = 0

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.close()

    async with await asyncio.start_server(drop, "127.0.0.1", 0) as server, connections() as through:
        with pytest.raises(ConnectionLost):
            async with through.answer(request_to(server.sockets[0].getsockname()[1])):
                pass

    assert requests == 1


async def test_connection_with_bytes_after_the_answer_is_not_reused(receiver: Receiver) -> None:
    receiver.surplus = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse"
    async with connections() as through:
        assert [await execute(through, receiver) for _ in range(2)] == [b"ok"] * 2

    assert receiver.accepted == 2


async def test_connections_idle_for_too_long_are_closed(receiver: Receiver) -> None:
    seconds = Time()
    async with connections(keep_idle_seconds=0.0, seconds=seconds) as through:
        await execute(through, receiver)
        seconds.now = 2.0
        await execute(through, receiver)
        await receiver.ended.acquire()

    assert receiver.accepted == 2


async def test_idle_connections_above_the_maximum_are_closed(receiver: Receiver) -> None:
    receiver.answering.clear()
    seconds = Time(-1.0)
    async with connections(max_idle=1, seconds=seconds) as through:
        asking = [asyncio.create_task(execute(through, receiver)) for _ in range(3)]
        for _ in asking:
            await receiver.asked.acquire()
        receiver.answering.set()
        await asyncio.gather(*asking)
        seconds.now = 1.0
        await execute(through, receiver)
        await receiver.ended.acquire()
        await receiver.ended.acquire()

    assert receiver.accepted == 3


async def test_canceled_request_closes_its_connection(receiver: Receiver) -> None:
    receiver.answering.clear()
    async with connections() as through:
        asking = asyncio.create_task(execute(through, receiver))
        await receiver.asked.acquire()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        receiver.answering.set()
        await receiver.ended.acquire()
        assert await execute(through, receiver) == b"ok"

    assert receiver.accepted == 2


async def test_refused_connection_leaves_nothing_behind(receiver: Receiver) -> None:
    async with connections() as through:
        with pytest.raises(NoConnection):
            async with through.answer(request_to(1)):
                pass
        assert await execute(through, receiver) == b"ok"
