"""Failures of a connection are words, and one trust holds for every connection."""

import asyncio
import socket
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from gateway.clock import Clock
from gateway.errors import TryAgainLater
from gateway.media.fetching import Fetcher
from gateway.outbound.connection import Server
from gateway.outbound.dialer import Dialer
from gateway.outbound.failures import NoConnection, why_unreachable
from gateway.public_address import AddressPolicy
from gateway.sessions.reachability import network_fault
from gateway.webhooks.posting import Poster, WebhookRequest
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import free_port
from tests.fixtures.tcp_postgres import HOST, make_certificate

POLICY = AddressPolicy(allow_http=True, allowed=(IPv4Network("127.0.0.0/8"),))
NOT_TRUSTED = "cannot be reached: its certificate is not trusted"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "server.crt"
    make_certificate(path)
    return path


@pytest.fixture
async def secure_port(certificate: Path) -> AsyncIterator[int]:
    """The port of a server whose certificate signs itself."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):  # a handshake alone asks nothing
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with await asyncio.start_server(serve, HOST, 0, ssl=context) as listener:
        yield listener.sockets[0].getsockname()[1]


def request(url: str) -> WebhookRequest:
    return WebhookRequest(uuid.UUID(int=1), url, "{}", "token")


async def test_own_authority_is_trusted_for_files_callbacks_and_proxies(
    secure_port: int, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = f"https://{HOST}:{secure_port}/x"
    fetcher = Fetcher(POLICY, Clock(), timeout_seconds=PATIENCE_SECONDS)
    poster = Poster(POLICY, Clock(), timeout_seconds=PATIENCE_SECONDS)

    fetched = await fetcher.fetch(url, tmp_path / "file", owner="a", max_bytes=10)
    posted = await poster.post(request(url))
    poster.close()

    assert fetched.file.size_bytes == 5
    assert posted.delivered
    assert await network_fault(HOST, secure_port) is None


async def test_certificate_that_is_not_trusted_is_named_alike(
    secure_port: int, tmp_path: Path
) -> None:
    url = f"https://{HOST}:{secure_port}/x"
    fetcher = Fetcher(POLICY, Clock(), timeout_seconds=PATIENCE_SECONDS)
    poster = Poster(POLICY, Clock(), timeout_seconds=PATIENCE_SECONDS)

    with pytest.raises(TryAgainLater, match=f"^its server {NOT_TRUSTED}$"):
        await fetcher.fetch(url, tmp_path / "file", owner="a", max_bytes=10)
    assert (await poster.post(request(url))).error == f"the server {NOT_TRUSTED}"
    poster.close()


async def test_certificate_for_another_name_is_named(
    secure_port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(NoConnection, match="its certificate is for another name"):
        await Dialer(POLICY, Clock()).connect(Server("https", "localhost", secure_port))


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nowhere.invalid", "cannot be reached: its name is unknown"),
        ("a" * 64 + ".example", "cannot be reached: its name is unknown"),
        (HOST, "refused the connection"),
    ],
)
async def test_server_that_cannot_be_reached_is_named(host: str, words: str) -> None:
    poster = Poster(POLICY, Clock(), timeout_seconds=PATIENCE_SECONDS)
    port = free_port()
    with pytest.raises(NoConnection, match=f"^{words}$"):
        await Dialer(POLICY, Clock()).connect(Server("http", host, port))
    assert (await poster.post(request(f"http://{host}:{port}/"))).error == f"the server {words}"
    poster.close()


async def test_server_that_does_not_answer_is_named() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        dialer = Dialer(POLICY, Clock(), connect_seconds=0.05)
        with pytest.raises(NoConnection, match=r"^did not answer within 0.05 seconds$"):
            await dialer.connect(Server("https", HOST, port))  # its handshake never comes


@pytest.mark.parametrize(
    "error", [OSError(113, "x"), TimeoutError(), ConnectionResetError(), ssl.SSLError(), OSError()]
)
def test_no_words_name_a_class(error: Exception) -> None:
    assert type(error).__name__ not in why_unreachable(error)
    assert why_unreachable(error).endswith(
        ("no route to it", "did not answer", "while it was made", "speak TLS as required")
    )
