"""Each fault of the network has its own sentence; each is caused on this machine."""

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
    """The port of a listener that accepts connections and never answers."""
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


async def test_network_fault_of_an_unknown_name_is_name() -> None:
    assert await network_fault("nowhere.invalid", 443) is NetworkFault.NAME


async def test_network_fault_of_a_closed_port_is_refused() -> None:
    assert await network_fault(HOST, free_port()) is NetworkFault.REFUSED


async def test_network_fault_of_a_silent_server_is_silent(silent_port: int) -> None:
    fault = await network_fault(HOST, silent_port, timeout_seconds=0.05)
    assert fault is NetworkFault.SILENT


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_network_fault_of_a_cut_handshake_is_tls(answer: bytes) -> None:
    async with server(answer) as port:
        assert await network_fault(HOST, port) is NetworkFault.TLS


async def test_network_fault_of_an_unknown_authority_is_certificate(tmp_path: Path) -> None:
    certificate = tmp_path / "server.crt"
    make_certificate(certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with server(b"", context) as port:
        assert await network_fault(HOST, port) is NetworkFault.CERTIFICATE


async def test_network_fault_of_a_missing_proxy_is_proxy() -> None:
    proxy = f"http://{HOST}:{free_port()}"
    assert await network_fault("web.whatsapp.com", 443, proxy_url=proxy) is NetworkFault.PROXY


def test_network_fault_sentence_names_server_and_cure() -> None:
    for fault in NetworkFault:
        sentence = fault.sentence("web.whatsapp.com", 443)
        assert "web.whatsapp.com" in sentence
        assert ": " in sentence
