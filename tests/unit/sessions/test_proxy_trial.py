"""A trial through a real proxy measures the latency; every failure looks the same."""

import asyncio
import socket
from ipaddress import IPv4Network
from typing import Any

import pytest

from gateway.clock import Clock
from gateway.errors import AddressRefused
from gateway.public_address import AddressPolicy
from gateway.sessions.proxy_trial import UNREACHABLE, ProxyTrials, Trial
from tests.fixtures.proxies import Kind, local_proxy
from tests.fixtures.service import free_port

KINDS: list[Kind] = ["http", "socks5"]
LOGIN = "user:pa:ss"
FAILED = Trial(error=UNREACHABLE)
LOOPBACK = AddressPolicy(allowed=(IPv4Network("127.0.0.0/8"),))


class Pauses(Clock):
    """Does not pause, and records how long it should."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def try_proxy(
    url: str, *, seconds: float = 10, policy: AddressPolicy = LOOPBACK, clock: Clock | None = None
) -> Trial:
    trials = ProxyTrials(policy, clock or Pauses(), lambda _account: None, timeout_seconds=seconds)
    return await trials.run(url, account_id="a")


@pytest.mark.parametrize("kind", KINDS)
async def test_proxy_trial_opens_a_tunnel_to_whatsapp(kind: Kind) -> None:
    async with local_proxy(kind) as proxy:
        trial = await try_proxy(proxy.url)
    assert proxy.targets == ["web.whatsapp.com:443"]
    assert trial.error is None
    assert trial.latency_ms is not None
    assert 0 <= trial.latency_ms < 10_000


@pytest.mark.parametrize("kind", KINDS)
async def test_proxy_trial_sends_the_decoded_login(kind: Kind) -> None:
    async with local_proxy(kind, login=LOGIN) as proxy:
        right = await try_proxy(f"{kind}://user:pa%3Ass@127.0.0.1:{proxy.port}")
        wrong = await try_proxy(f"{kind}://user:other@127.0.0.1:{proxy.port}")
        without = await try_proxy(f"{kind}://127.0.0.1:{proxy.port}")
    assert right.error is None
    assert wrong == without == FAILED


@pytest.mark.parametrize(("kind", "answer"), [("http", 403), ("socks5", 4), ("socks5", 99)])
async def test_proxy_trial_of_a_refusing_proxy_fails(kind: Kind, answer: int) -> None:
    async with local_proxy(kind, refuses=answer) as proxy:
        assert await try_proxy(proxy.url) == FAILED


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
async def test_proxy_trial_of_a_closed_port_fails_after_a_pause(kind: str) -> None:
    clock = Pauses()
    assert await try_proxy(f"{kind}://127.0.0.1:{free_port()}", clock=clock) == FAILED
    (pause,) = clock.seconds
    assert 0 < pause <= 0.5


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
@pytest.mark.parametrize(
    "greeting",
    [
        b"220 mail.example.com ready\r\n\r\n",
        b"",
        b"x" * 70_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
    ],
)
async def test_proxy_trial_of_another_server_fails(kind: str, greeting: bytes) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await try_proxy(f"{kind}://127.0.0.1:{port}") == FAILED


async def test_proxy_trial_of_a_silent_server_fails() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await try_proxy(f"http://127.0.0.1:{port}", seconds=0.05) == FAILED


@pytest.mark.parametrize("kind", KINDS)
async def test_proxy_trial_of_a_private_address_connects_nowhere(kind: Kind) -> None:
    async with local_proxy(kind) as proxy:
        with pytest.raises(AddressRefused):
            await try_proxy(proxy.url, policy=AddressPolicy())
    assert proxy.targets == []


async def test_proxy_trial_connects_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved: list[str] = []

    def getaddrinfo(host: str, port: int, **_kind: Any) -> list[Any]:
        resolved.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with local_proxy("http") as proxy:
        trial = await try_proxy(f"http://proxy.example:{proxy.port}")

    assert trial.error is None
    assert resolved == ["proxy.example"]
