"""Refuses URLs of callers that lead into the operator's own network.

A name is resolved once, and the connection goes to the address that was checked: a name that
resolves to another address a moment later changes nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpx

from gateway.errors import AddressRefused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Decides which addresses may be visited.

    Attributes:
        allow_http: http is allowed beside https.
        allowed: networks that may be visited although they are not public.
    """

    allow_http: bool = False
    allowed: Sequence[Network] = ()

    def check_url(self, url: str) -> SplitResult:
        """Returns the parts of a URL that may be visited, without resolving its name.

        Raises:
            AddressRefused: it is not a URL that may be visited.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise AddressRefused("is not a URL") from None
        if parts.scheme not in (("https", "http") if self.allow_http else ("https",)):
            raise AddressRefused("must begin with https://")
        if not parts.hostname or port == 0 or not url.isascii() or not url.isprintable():
            raise AddressRefused("is not a URL")
        if parts.username or parts.password:
            raise AddressRefused("must not hold a user name or password")
        literal = _as_address(parts.hostname)
        if literal is not None:
            self.check(literal)
        return parts

    def check(self, address: Address) -> None:
        """Raises AddressRefused unless *address* is public or explicitly allowed."""
        inner = _unwrapped(address)
        if any(inner in network for network in self.allowed if network.version == inner.version):
            return
        if not inner.is_global or inner.is_multicast or inner.is_reserved:
            raise AddressRefused("leads to an address that is not public")

    async def resolve(self, host: str, port: int) -> str:
        """Returns the address to connect to; all addresses of a name must be allowed.

        Raises:
            AddressRefused: one of them is not.
            OSError: the name has no address.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        for address in addresses:
            self.check(address)
        return str(addresses[0])


async def pinned(
    client: httpx.AsyncClient,
    policy: AddressPolicy,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Request:
    """Builds a request that connects to the address that was checked.

    Raises:
        AddressRefused: the URL may not be visited.
        OSError: its name has no address.
    """
    parts = policy.check_url(url)
    assert parts.hostname is not None
    address = await policy.resolve(parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme])
    named = httpx.URL(url)
    return client.build_request(
        method,
        named.copy_with(host=address),
        content=content,
        headers={"Host": named.netloc.decode("ascii"), **(headers or {})},
        # TLS still verifies the host name.
        extensions={"sni_hostname": parts.hostname},
    )


def _as_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _unwrapped(address: Address) -> Address:
    """Returns the IPv4 address inside an IPv6 address that only wraps one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
