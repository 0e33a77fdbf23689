"""Refuses addresses of callers that lead into the operator's own network.

A name is resolved once, and the connection goes to the address that was checked: a name that
resolves to another address a moment later changes nothing.

This module imports only the standard library, so that its tests can run on every Python.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway.errors import AddressRefused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# `is_global` of older Pythons lacks several of these. They are the whole special-purpose registries
# of IANA, also the few entries that are reachable: no file server, receiver or proxy is there.
_SPECIAL_V4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT; Alibaba Cloud's metadata
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local; the metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
            "168.63.129.16/32",  # not IANA's: the host of a machine in Azure
        ),
    )
)
_SPECIAL_V6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "::/3",  # not global unicast: loopback, IPv4-compatible, local NAT64, discard-only
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks, AMT
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
            "4000::/2",  # not global unicast: segment routing
            "8000::/1",  # not global unicast: private, link-local, site-local, multicast
        ),
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Lookups of a slow name server must not take the threads that other work uses.
_NO_HOST: Final = re.compile(r"[\s\"'<>\\^`{|}]")
"""A character that no name of a server has."""

_LOOKUPS: Final = ThreadPoolExecutor(64, thread_name_prefix="lookup")


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
        if not parts.hostname or _NO_HOST.search(parts.hostname) or port == 0:
            raise AddressRefused("is not a URL")
        if not url.isascii() or not url.isprintable():
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
        if _is_special(inner) or not inner.is_global:
            raise AddressRefused("leads to an address that is not public")

    async def resolve(self, host: str, port: int) -> str:
        """Returns the address to connect to; all addresses of a name must be allowed.

        Raises:
            AddressRefused: one of them is not.
            OSError: the name has no address.
        """
        literal = _as_address(host)
        if literal is not None:
            self.check(literal)
            return str(literal)
        loop = asyncio.get_running_loop()
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await loop.run_in_executor(_LOOKUPS, lookup)
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        for address in addresses:
            self.check(address)
        return str(addresses[0])


def _as_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_special(address: Address) -> bool:
    networks: Sequence[Network] = _SPECIAL_V4 if address.version == 4 else _SPECIAL_V6  # noqa: PLR2004 - the version is its name
    return any(address in network for network in networks)


def _unwrapped(address: Address) -> Address:
    """Returns the IPv4 address inside an IPv6 address that only wraps one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
