"""Tries whether a proxy reaches WhatsApp: opens a tunnel to it and sends nothing through.

It speaks HTTP's CONNECT (RFC 9110) and SOCKS5 with its login (RFC 1928, 1929).
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from gateway.clock import Clock
from gateway.observability.logging import logger
from gateway.outbound.trust import trusted
from gateway.public_address import AddressPolicy

WHATSAPP: Final = ("web.whatsapp.com", 443)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_MAX_HEADER_BYTES = 16 * 1024
_SOCKS, _OPEN, _NAME = b"\x05", b"\x01", b"\x03"
_NO_LOGIN, _LOGIN = 0, 2
_ADDRESS_BYTES, _PORT_BYTES = {1: 4, 4: 16}, 2
_SOCKS_REFUSALS = {
    2: "it does not allow that connection",
    3: "the network is unreachable from it",
    4: "WhatsApp is unreachable from it",
    5: "WhatsApp refused the connection",
    6: "WhatsApp did not answer it",
}


UNREACHABLE: Final = "WhatsApp cannot be reached through this proxy"
"""The only failure that callers see: a trial must not show what else is at an address."""


class TunnelRefused(Exception):
    """The proxy answered and did not open a tunnel; the text says why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The milliseconds that opening a tunnel took, or in `error` that there is no tunnel."""

    latency_ms: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ProxyTrials:
    """Opens tunnels to WhatsApp through proxies of callers.

    Attributes:
        policy: which addresses a proxy may have.
        clock: time.
        count: counts a trial of an account; raises TooManyRequests if there were too many.
        timeout_seconds: after which a trial fails.
        failure_seconds: how long a failed trial takes at least, so that a closed port and a server
            that is no proxy look alike.
    """

    policy: AddressPolicy
    clock: Clock
    count: Callable[[str], None]
    timeout_seconds: float = 10.0
    failure_seconds: float = 0.5

    async def run(self, proxy_url: str, *, account_id: str) -> Trial:
        """Tries the proxy of a valid proxy URL.

        Raises:
            AddressRefused: the proxy is at an address that the policy refuses.
            TooManyRequests: the account made too many trials.
        """
        self.count(account_id)
        began = self.clock.monotonic_seconds()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                proxy = urlsplit(proxy_url)
                assert proxy.hostname
                assert proxy.port
                address = await self.policy.resolve(proxy.hostname, proxy.port)
                _, writer = await open_tunnel(proxy, address=address)
                writer.transport.abort()
        except (TunnelRefused, OSError, EOFError, asyncio.LimitOverrunError) as error:
            logger.info("proxy_trial_failed", account_id=account_id, reason=_reason_of(error))
            elapsed = self.clock.monotonic_seconds() - began
            await self.clock.sleep(max(0.0, self.failure_seconds - elapsed))
            return Trial(error=UNREACHABLE)
        return Trial(round((self.clock.monotonic_seconds() - began) * 1000))

    async def check(self, proxy_url: str) -> None:
        """Raises AddressRefused if the proxy has an address that the policy refuses.

        A name that has no address now is accepted.
        """
        proxy = urlsplit(proxy_url)
        assert proxy.hostname
        assert proxy.port
        with suppress(OSError, UnicodeError):
            async with asyncio.timeout(self.timeout_seconds):
                await self.policy.resolve(proxy.hostname, proxy.port)


def _reason_of(error: Exception) -> str:
    """Returns what the operator's log says; it holds no part of the URL."""
    return str(error) if isinstance(error, TunnelRefused) else type(error).__name__


async def open_tunnel(
    proxy: SplitResult, target: tuple[str, int] = WHATSAPP, *, address: str | None = None
) -> Streams:
    """Opens a connection through a proxy to the host and port of *target*.

    *address* is that of the proxy, where its name was resolved already.

    Raises:
        TunnelRefused: the proxy answered and did not open a tunnel.
        OSError: the proxy cannot be reached.
        EOFError: the proxy ended the connection.
    """
    assert proxy.hostname
    secure = proxy.scheme == "https"
    reader, writer = await asyncio.open_connection(
        address or proxy.hostname,
        proxy.port,
        ssl=trusted() if secure else None,
        server_hostname=proxy.hostname if secure else None,
        limit=_MAX_HEADER_BYTES,
    )
    try:
        if proxy.scheme == "socks5":
            await _connect_by_socks(proxy, target, reader, writer)
        else:
            await _connect_by_http(proxy, target, reader, writer)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


async def _connect_by_http(
    proxy: SplitResult,
    target: tuple[str, int],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    host = "{}:{}".format(*target)
    lines = [f"CONNECT {host} HTTP/1.1", f"Host: {host}"]
    if proxy.username is not None:
        user = b":".join(_credentials(proxy))
        lines.append(f"Proxy-Authorization: Basic {b64encode(user).decode()}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    version, _, rest = answer.partition(b" ")
    status = rest[:3].decode(errors="replace")
    if not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise TunnelRefused("the server there does not answer like a proxy of this kind")
    if status == "407":
        raise TunnelRefused("the proxy does not accept the user name and password")
    if not status.startswith("2"):
        raise TunnelRefused(f"the proxy does not open a tunnel to WhatsApp: status {status}")


async def _connect_by_socks(
    proxy: SplitResult,
    target: tuple[str, int],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    methods = bytes((_NO_LOGIN,) if proxy.username is None else (_NO_LOGIN, _LOGIN))
    writer.write(_SOCKS + _sized(methods))
    version, method = await reader.readexactly(2)
    if version != _SOCKS[0]:
        raise TunnelRefused("the server there does not answer like a proxy of this kind")
    if method not in methods:
        raise TunnelRefused("the proxy asks for a login that is not in its URL")
    if method == _LOGIN:
        writer.write(b"\x01" + b"".join(map(_sized, _credentials(proxy))))
        if (await reader.readexactly(2))[1]:
            raise TunnelRefused("the proxy does not accept the user name and password")
    host, port = target
    writer.write(_SOCKS + _OPEN + b"\0" + _NAME + _sized(host.encode()) + port.to_bytes(2, "big"))
    _, refusal, _ = await reader.readexactly(3)
    if refusal:
        reason = _SOCKS_REFUSALS.get(refusal, f"code {refusal}")
        raise TunnelRefused(f"the proxy does not open a tunnel to WhatsApp: {reason}")
    (kind,) = await reader.readexactly(1)  # of the address the proxy uses, which is not needed
    length = _ADDRESS_BYTES.get(kind) or (await reader.readexactly(1))[0]
    await reader.readexactly(length + _PORT_BYTES)


def _credentials(proxy: SplitResult) -> tuple[bytes, bytes]:
    return unquote(proxy.username or "").encode(), unquote(proxy.password or "").encode()


def _sized(text: bytes) -> bytes:
    return bytes([len(text)]) + text
