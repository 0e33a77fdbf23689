"""Why a server cannot be reached: each fault made for real on this machine."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.sessions.reachability import NetworkFault, network_fault
from tests.fixtures.service import free_port
from tests.fixtures.tcp_postgres import HOST, make_certificate


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A listener that nobody serves: the handshake gets no answer."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


@asynccontextmanager
async def server(answer: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, HOST, 0, ssl=context) as listener:
        yield listener.sockets[0].getsockname()[1]


async def test_a_name_that_is_not_found() -> None:
    assert await network_fault("nowhere.invalid", 443) is NetworkFault.NAME


async def test_a_refused_connection() -> None:
    assert await network_fault(HOST, free_port()) is NetworkFault.REFUSED


async def test_a_server_that_does_not_answer(silent_port: int) -> None:
    fault = await network_fault(HOST, silent_port, timeout_seconds=0.05)
    assert fault is NetworkFault.SILENT


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_handshake_that_is_cut(answer: bytes) -> None:
    async with server(answer) as port:
        assert await network_fault(HOST, port) is NetworkFault.TLS


async def test_a_certificate_that_nobody_here_trusts(tmp_path: Path) -> None:
    certificate = tmp_path / "server.crt"
    make_certificate(certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with server(b"", context) as port:
        assert await network_fault(HOST, port) is NetworkFault.CERTIFICATE


async def test_a_proxy_that_is_not_there() -> None:
    proxy = f"http://{HOST}:{free_port()}"
    assert await network_fault("web.whatsapp.com", 443, proxy_url=proxy) is NetworkFault.PROXY


def test_each_sentence_names_the_server_and_a_cure() -> None:
    for fault in NetworkFault:
        sentence = fault.sentence("web.whatsapp.com", 443)
        assert "web.whatsapp.com" in sentence
        assert ": " in sentence
