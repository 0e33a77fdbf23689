"""Finds the IP address of a caller, and checks it against an allow list."""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from starlette.requests import HTTPConnection

from gateway.errors import Forbidden

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WITH_PORT = re.compile(r"\[(?P<six>[^\]]+)\](:\d+)?|(?P<four>[^:]+):\d+")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_MAPPED_BITS = 96
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def client_address(request: HTTPConnection, trusted: Sequence[Network]) -> Address | None:
    """Returns the caller's own address; None if the connection has none.

    Each proxy appends the address of its caller to X-Forwarded-For. The header is read from the
    right, as long as a trusted proxy wrote the value; values further left may be forged.
    """
    caller = _parsed(request.client.host) if request.client else None
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while caller is not None and hops and is_within(caller, trusted):
        hop = _parsed(hops.pop())
        if hop is None:
            break  # only the proxy is known
        caller = hop
    return caller


def is_from_proxy(request: HTTPConnection, trusted: Sequence[Network]) -> bool:
    """Returns whether a trusted proxy opened the connection of this request."""
    caller = _parsed(request.client.host) if request.client else None
    return caller is not None and is_within(caller, trusted)


def is_from_this_machine(request: HTTPConnection) -> bool:
    """Returns whether a program of this machine sent the request for itself.

    A proxy of this machine forwards the requests of others, also one that no setting names: a
    header by which a proxy says so rules the request out.
    """
    caller = _parsed(request.client.host) if request.client else None
    if caller is None or not caller.is_loopback:
        return False
    return not any(name in request.headers for name in _FORWARDED)


def check_address(
    request: HTTPConnection, allowed: Sequence[str], trusted: Sequence[Network]
) -> None:
    """Raises Forbidden if the caller's address is not in the allow list of the account."""
    if not allowed:
        return
    address = client_address(request, trusted)
    if address is None or not is_within(address, _networks(tuple(allowed))):
        raise Forbidden(f"{address or 'unknown'} not allowed")


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in map(_plain_network, networks))


@lru_cache(maxsize=4_096)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _parsed(text: str) -> Address | None:
    text = text.strip().strip('"')
    if found := _WITH_PORT.fullmatch(text):
        text = found["six"] or found["four"]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=4_096)
def _plain_network(network: Network) -> Network:
    """Returns the IPv4 network that an IPv4-mapped IPv6 network stands for."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        first = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((first, network.prefixlen - _MAPPED_BITS))
    return network
