"""Tries whether a server can be reached, and says in one sentence why not and what to do."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from enum import Enum
from urllib.parse import urlsplit

from gateway.outbound.trust import trusted
from gateway.sessions.proxy_trial import TunnelRefused, open_tunnel

_TIMEOUT_SECONDS = 10.0


class NetworkFault(Enum):
    """Why a server cannot be reached; the value is the sentence, with places for host and port."""

    NAME = (
        "The name {host} is not found: check the DNS of this machine, or allow the name where DNS "
        "is filtered"
    )
    CERTIFICATE = (
        "{host} shows a certificate that this machine does not trust: correct the machine's clock, "
        "or let {host} pass where TLS is inspected, or name the inspector's authority in "
        "SSL_CERT_FILE"
    )
    TLS = (
        "{host}:{port} ends the connection during the TLS handshake: allow it in the firewall, or "
        "use a proxy"
    )
    REFUSED = "{host}:{port} refuses the connection: allow it in the firewall, or use a proxy"
    SILENT = (
        "{host}:{port} does not answer: a firewall drops the traffic; allow it there, or use a "
        "proxy"
    )
    UNREACHABLE = "There is no route to {host}:{port}: check the network of this machine"
    PROXY = "The proxy does not lead to {host}:{port}: check its address, and its login"
    INTERCEPTED = "Something else answers for {host}: let {host} pass where web traffic is filtered"

    def sentence(self, host: str, port: int) -> str:
        return self.value.format(host=host, port=port)

    def is_in(self, sentence: str | None) -> bool:
        """Whether this fault, at any host, has this sentence."""
        return sentence is not None and sentence.startswith(self.value.partition("{")[0])


async def network_fault(
    host: str, port: int, *, proxy_url: str | None = None, timeout_seconds: float = _TIMEOUT_SECONDS
) -> NetworkFault | None:
    """Tries a TLS handshake with a server, through a proxy if one is given.

    Returns None if the handshake succeeds. *timeout_seconds* is for the whole trial.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            await _shake_hands(host, port, proxy_url)
    except (OSError, EOFError, TunnelRefused) as error:
        return _fault_of(error, proxied=proxy_url is not None)
    return None


async def _shake_hands(host: str, port: int, proxy_url: str | None) -> None:
    context = trusted()
    if proxy_url is None:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    else:
        _, writer = await open_tunnel(urlsplit(proxy_url), (host, port))
    try:
        if proxy_url is not None:
            await writer.start_tls(context, server_hostname=host)
    finally:
        writer.transport.abort()


_BY_ERROR: Mapping[type[Exception], NetworkFault] = {  # the first class that matches counts
    ssl.SSLCertVerificationError: NetworkFault.CERTIFICATE,
    ssl.SSLError: NetworkFault.TLS,
    TimeoutError: NetworkFault.SILENT,
}
_BY_ERROR_WITHOUT_PROXY: Mapping[type[Exception], NetworkFault] = {
    socket.gaierror: NetworkFault.NAME,
    ConnectionRefusedError: NetworkFault.REFUSED,
    ConnectionError: NetworkFault.TLS,
    EOFError: NetworkFault.TLS,
}


def _fault_of(error: Exception, *, proxied: bool) -> NetworkFault:
    known = _BY_ERROR if proxied else {**_BY_ERROR, **_BY_ERROR_WITHOUT_PROXY}
    other = NetworkFault.PROXY if proxied else NetworkFault.UNREACHABLE
    return next((fault for kind, fault in known.items() if isinstance(error, kind)), other)
