"""A trial through a real proxy measures the latency, or says why there is no tunnel."""

import asyncio

import pytest

from gateway.clock import Clock
from gateway.sessions.proxy_trial import ProxyTrials, Trial
from tests.fixtures.proxies import Kind, local_proxy
from tests.fixtures.service import free_port

KINDS: list[Kind] = ["http", "socks5"]
LOGIN = "user:pa:ss"


async def try_proxy(url: str, *, seconds: float = 10) -> Trial:
    return await ProxyTrials(Clock(), timeout_seconds=seconds).run(url)


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
    assert wrong.error == "the proxy does not accept the user name and password"
    assert without.error
    assert "login" in without.error or "user name" in without.error


@pytest.mark.parametrize(
    ("kind", "answer", "reason"),
    [("http", 403, "status 403"), ("socks5", 4, "unreachable from it"), ("socks5", 99, "code 99")],
)
async def test_proxy_trial_of_a_refusing_proxy_says_why(
    kind: Kind, answer: int, reason: str
) -> None:
    async with local_proxy(kind, refuses=answer) as proxy:
        trial = await try_proxy(proxy.url)
    assert trial.latency_ms is None
    assert trial.error
    assert reason in trial.error


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
async def test_proxy_trial_of_a_closed_port_says_so(kind: str) -> None:
    trial = await try_proxy(f"{kind}://127.0.0.1:{free_port()}")
    assert trial.error
    assert trial.error.startswith("the proxy is out of reach: ")


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
@pytest.mark.parametrize("greeting", [b"220 mail.example.com ready\r\n\r\n", b"", b"x" * 70_000])
async def test_proxy_trial_of_another_server_says_so(kind: str, greeting: bytes) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        trial = await try_proxy(f"{kind}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert trial.latency_ms is None
    assert trial.error
    assert "like a proxy of this kind" in trial.error or "TLS" in trial.error


async def test_proxy_trial_of_a_silent_server_times_out() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        trial = await try_proxy(
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seconds=0.05
        )
    assert trial == Trial(error="no answer within 0.05 seconds")
