"""A proxy is tried for real, and each way it can fail has its own words."""

import asyncio

import pytest

from gateway.clock import Clock
from gateway.sessions.proxy_trial import ProxyTrials, Trial
from tests.fixtures.proxies import Kind, local_proxy
from tests.fixtures.service import free_port

KINDS: list[Kind] = ["http", "socks5"]
LOGIN = "user:pa:ss"


async def tried(url: str, *, seconds: float = 10) -> Trial:
    return await ProxyTrials(Clock(), timeout_seconds=seconds).run(url)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_way_to_whatsapp_is_opened(kind: Kind) -> None:
    async with local_proxy(kind) as proxy:
        trial = await tried(proxy.url)
    assert proxy.asked == ["web.whatsapp.com:443"]
    assert trial.error is None
    assert trial.latency_ms is not None
    assert 0 <= trial.latency_ms < 10_000


@pytest.mark.parametrize("kind", KINDS)
async def test_a_login_is_shown_decoded(kind: Kind) -> None:
    async with local_proxy(kind, login=LOGIN) as proxy:
        right = await tried(f"{kind}://user:pa%3Ass@127.0.0.1:{proxy.port}")
        wrong = await tried(f"{kind}://user:other@127.0.0.1:{proxy.port}")
        without = await tried(f"{kind}://127.0.0.1:{proxy.port}")
    assert right.error is None
    assert wrong.error == "the proxy does not accept the user name and password"
    assert without.error
    assert "login" in without.error or "user name" in without.error


@pytest.mark.parametrize(
    ("kind", "answer", "reason"),
    [("http", 403, "status 403"), ("socks5", 4, "unreachable from it"), ("socks5", 99, "code 99")],
)
async def test_a_proxy_that_opens_no_way_says_why(kind: Kind, answer: int, reason: str) -> None:
    async with local_proxy(kind, refuses=answer) as proxy:
        trial = await tried(proxy.url)
    assert trial.latency_ms is None
    assert trial.error
    assert reason in trial.error


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
async def test_nobody_there(kind: str) -> None:
    trial = await tried(f"{kind}://127.0.0.1:{free_port()}")
    assert trial.error
    assert trial.error.startswith("the proxy is out of reach: ")


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
@pytest.mark.parametrize("said", [b"220 mail.example.com ready\r\n\r\n", b"", b"x" * 70_000])
async def test_somebody_else_there(kind: str, said: bytes) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        trial = await tried(f"{kind}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert trial.latency_ms is None
    assert trial.error
    assert "as such a proxy" in trial.error or "TLS" in trial.error


async def test_silence_ends_in_time() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        trial = await tried(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seconds=0.05)
    assert trial == Trial(error="no answer within 0.05 seconds")
