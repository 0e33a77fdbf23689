"""The base URL with which an instance's callers reach the gateway, for links to media."""

import ipaddress
import re
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Self

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger

_NOTE_BASE_URL = query("instances", "note_base_url")
_FIND_BASE_URL = query("instances", "find_base_url")

_MAX_AUTHORITY_LENGTH = 261  # 253 characters of name, a dot, a colon and a port
_MAX_NAME_LENGTH, _MAX_PORT = 253, 65_535
_MAX_CACHED = 50_000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(
    r"(?:\[(?P<six>[0-9a-f.]*:[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+?)\.?)(?::(?P<port>[0-9]{1,5}))?"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PRIVATE_ENDINGS = (".home.arpa", ".internal", ".intranet", ".lan", ".local")

CHANGE_SECONDS = 600.0
REFRESH_SECONDS = 86_400.0
NARROWING_SECONDS = 7 * REFRESH_SECONDS


class HostReach(IntEnum):
    """The part of the network in which an address can be opened."""

    MACHINE = 0
    PRIVATE = 1
    PUBLIC = 2


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """A URL without a path, such as `https://wa.example.com`, and its reach."""

    url: str
    reach: HostReach

    @classmethod
    @lru_cache(maxsize=4_096)
    def parse(cls, scheme: str, authority: str) -> Self | None:
        """Returns the URL of a scheme and a Host header; None if the host is not usable."""
        found = None
        if len(authority) <= _MAX_AUTHORITY_LENGTH:
            found = _AUTHORITY.fullmatch(authority.lower())
        if found is None or scheme not in _DEFAULT_PORTS:
            return None
        host = found["six"] or found["name"]
        reach = _reach_of(host, is_ipv6=found["six"] is not None)
        port = int(found["port"] or _DEFAULT_PORTS[scheme])
        if reach is None or not 0 < port <= _MAX_PORT:
            return None
        shown = f"[{host}]" if found["six"] else host
        suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
        return cls(f"{scheme}://{shown}{suffix}", reach)


def _reach_of(host: str, *, is_ipv6: bool) -> HostReach | None:
    """Returns None if *host* cannot be reached from anywhere."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None if is_ipv6 else _reach_of_name(host)
    if address.is_unspecified or address.is_multicast:
        return None
    if address.is_loopback:
        return HostReach.MACHINE
    return HostReach.PUBLIC if address.is_global else HostReach.PRIVATE


def _reach_of_name(name: str) -> HostReach | None:
    labels = name.split(".")
    # Browsers and libraries read a last label of digits as an IPv4 address in another notation.
    if (
        len(name) > _MAX_NAME_LENGTH
        or labels[-1].isdigit()
        or not all(map(_LABEL.fullmatch, labels))
    ):
        return None
    if labels[-1] == "localhost":
        return HostReach.MACHINE
    if len(labels) == 1 or name.endswith(_PRIVATE_ENDINGS):
        return HostReach.PRIVATE
    return HostReach.PUBLIC


@dataclass(frozen=True, slots=True)
class _Noted:
    base_url: BaseUrl
    at_seconds: float

    def is_due(self, given: BaseUrl, now_seconds: float) -> bool:
        """Returns whether *given* may change the row in the database, or must refresh it."""
        age = now_seconds - self.at_seconds
        if given.reach > self.base_url.reach:
            return True
        if given.reach < self.base_url.reach:
            return age >= NARROWING_SECONDS
        return age >= (REFRESH_SECONDS if given == self.base_url else CHANGE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Row:
    base_url: str
    reach: int

    def as_base_url(self) -> BaseUrl:
        return BaseUrl(self.base_url, HostReach(self.reach))


class BaseUrls:
    """Learns base URLs from authenticated requests, unless a setting names one.

    The database holds one per instance, so that every node renders the same links, even a node that
    got no request. A node writes when the address changes, and once a day while it is the same.
    """

    def __init__(
        self, database: Database, clock: Clock, *, public_url: str | None, fallback: str
    ) -> None:
        """Starts with an empty cache.

        Args:
            database: where base URLs are stored.
            clock: time.
            public_url: the base URL of every instance; None to learn them.
            fallback: the base URL of an instance without requests so far.
        """
        self._database, self._clock = database, clock
        self._public_url, self._fallback = public_url, fallback
        self._noted: OrderedDict[str, _Noted] = OrderedDict()

    async def note(self, instance_id: str, given: BaseUrl | None) -> None:
        """Stores the base URL of an authenticated request; never fails the request."""
        if given is None or self._public_url is not None:
            return
        now = self._clock.monotonic_seconds()
        noted = self._noted.get(instance_id)
        if noted is not None and not noted.is_due(given, now):
            return
        # Cached before the write, so that requests at the same time do not all write.
        self._cache(instance_id, _Noted(given, now))
        try:
            stored = await self._database.fetch_one(
                _Row,
                _NOTE_BASE_URL,
                instance_id=instance_id,
                base_url=given.url,
                reach=int(given.reach),
                change_seconds=CHANGE_SECONDS,
                refresh_seconds=REFRESH_SECONDS,
                narrowing_seconds=NARROWING_SECONDS,
            )
        except DatabaseUnavailable as error:
            self._noted.pop(instance_id, None)
            logger.warning("base_url_not_stored", instance_id=instance_id, error=str(error))
        else:
            if stored is not None:
                self._cache(instance_id, _Noted(stored.as_base_url(), now))

    async def find(self, instance_id: str) -> str:
        """Returns the base URL for links of an instance.

        Raises:
            DatabaseUnavailable: Postgres did not answer.
        """
        if self._public_url is not None:
            return self._public_url
        found = await self._database.fetch_one(_Row, _FIND_BASE_URL, instance_id=instance_id)
        return found.base_url if found else self._fallback

    def _cache(self, instance_id: str, noted: _Noted) -> None:
        self._noted[instance_id] = noted
        self._noted.move_to_end(instance_id)
        if len(self._noted) > _MAX_CACHED:
            self._noted.popitem(last=False)
