"""Fetches a URL to disk, within limits of size, time and address range."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.errors import AddressRefused, TryAgainLater
from gateway.file_work import FileWork
from gateway.media.file_names import name_of_disposition
from gateway.media.spooling import BadFile, Spooled, SpoolFile, too_large
from gateway.outbound.connection import HttpRequest, HttpResponse, Server
from gateway.outbound.content_coding import Decoder, decoded, decoders_of
from gateway.outbound.dialer import Dialer
from gateway.outbound.failures import ExcessiveResponse, ExchangeFailed, UnreadableResponse
from gateway.outbound.slots import SlotLimits, Slots
from gateway.public_address import AddressPolicy

_MAX_REDIRECTS = 5
_HEADERS: Final = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "gateway-media",
}
_TRANSIENT: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_SUCCESS: Final = range(200, 300)
_WITHOUT_CONTENT: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})
_RANGE: Final = re.compile(r"bytes\s+0+-(\d+)/(\d+|\*)", re.IGNORECASE)
_GZIP_TYPES: Final = frozenset({"application/gzip", "application/x-gzip", "application/x-tgz"})
_COMPRESSED_SLACK_BYTES: Final = 1024 * 1024
_GZIP_NAMES: Final = (".gz", ".tgz")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched file, and what its server says of it.

    Attributes:
        file: the file, decompressed.
        url: where it came from, after redirects.
        declared_type: its Content-Type without parameters, in lower case.
        declared_name: the file name of its Content-Disposition.
    """

    file: Spooled
    url: str
    declared_type: str
    declared_name: str | None = None


class Fetcher:
    """Fetches files without a proxy, and checks the address of each redirect.

    Every request has a connection of its own, and nothing is remembered between requests: no
    cookie, no login, no connection.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        clock: Clock,
        *,
        timeout_seconds: float,
        slots: SlotLimits | None = None,
        dialer: Dialer | None = None,
        turns: AccountTurns | None = None,
    ) -> None:
        """Prepares the fetches; *turns* know which accounts have work."""
        self._policy, self._timeout_seconds = policy, timeout_seconds
        self._dialer = dialer or Dialer(policy, clock)
        self._slots = Slots(slots or SlotLimits(), (turns or AccountTurns()).has_company)
        self._work = FileWork()

    def check(self, url: str) -> None:
        """Raises BadFile if the URL is malformed or its address is refused; resolves no name."""
        with _refusals_named():
            self._policy.check_url(spelled(url))

    async def fetch(
        self,
        url: str,
        path: Path,
        *,
        owner: str,
        max_bytes: int,
        timeout_seconds: float | None = None,
        cut: bool = False,
    ) -> Fetched:
        """Writes the file at *url* to *path*; with *cut*, at most its first *max_bytes*.

        Args:
            url: of the file.
            path: of the written file.
            owner: the account or instance whose share of the slots is used.
            max_bytes: the largest size of the file.
            timeout_seconds: for the whole download, with the wait for a slot.
            cut: a larger file is cut, and not refused.

        Raises:
            BadFile: the file does not exist, is too large, or its address is refused.
            TryAgainLater: the server failed or did not answer in time.
            Unavailable: the disk is full.
        """
        limit = timeout_seconds or self._timeout_seconds
        try:
            async with asyncio.timeout(limit):
                with _failures_named():
                    return await self._fetch(
                        spelled(url), path, owner=owner, max_bytes=max_bytes, cut=cut
                    )
        except TimeoutError:
            raise TryAgainLater(f"its server did not deliver it within {limit:g} seconds") from None

    async def _fetch(
        self, url: str, path: Path, *, owner: str, max_bytes: int, cut: bool
    ) -> Fetched:
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._answer(url, owner) as response:
                target = _redirect_of(response, url)
                if target is None:
                    _check_status(response)
                    return await _save(
                        response, path, self._work, url=url, max_bytes=max_bytes, cut=cut
                    )
            url = target
        raise BadFile(f"redirects more than {_MAX_REDIRECTS} times")

    @asynccontextmanager
    async def _answer(self, url: str, owner: str) -> AsyncIterator[HttpResponse]:
        parts = self._policy.check_url(url)
        server = Server.of(parts)
        async with self._slots.slot(owner, server.host):
            connection = await self._dialer.connect(server)
            try:
                yield await connection.send(HttpRequest("GET", parts, _HEADERS, owner=owner))
            finally:
                connection.close()


def spelled(url: str) -> str:
    """Returns the URL with non-ASCII characters escaped; raises BadFile if it is not a URL."""
    try:
        urlsplit(url)  # httpx escapes brackets that make no address
        text = str(httpx.URL(url.strip()))
        (urlsplit(text).hostname or "").encode("idna")  # fails for an empty or too long label
    except (httpx.InvalidURL, ValueError):
        raise BadFile("is not a URL") from None
    return text


@contextmanager
def _refusals_named() -> Iterator[None]:
    """Turns AddressRefused into BadFile with the same text."""
    try:
        yield
    except AddressRefused as error:
        raise BadFile(str(error)) from None


@contextmanager
def _failures_named() -> Iterator[None]:
    """Turns failures of the server into those of a file: permanent or passing."""
    try:
        with _refusals_named():
            yield
    except (ExcessiveResponse, UnreadableResponse) as error:
        raise BadFile(f"cannot be fetched: its server {error}") from None
    except ExchangeFailed as error:
        raise TryAgainLater(f"its server {error}") from None


def _redirect_of(response: HttpResponse, url: str) -> str | None:
    """Returns the URL that an answer redirects to; raises BadFile if that is no URL."""
    location = response.header("Location")
    if response.status not in _REDIRECTS or location is None:
        return None
    try:
        return spelled(str(httpx.URL(url).join(location.strip())))
    except httpx.InvalidURL:
        raise BadFile("redirects to something that is not a URL") from None


def _check_status(response: HttpResponse) -> None:
    status = response.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
        raise TryAgainLater(f"its server answered {status}")
    if status not in _SUCCESS or status in _WITHOUT_CONTENT:
        raise BadFile(f"cannot be fetched: its server answered {status}")
    if status == HTTPStatus.PARTIAL_CONTENT and not _is_whole(response.header("Content-Range")):
        raise BadFile("cannot be fetched: its server answered with a part of it")


def _is_whole(content_range: str | None) -> bool:
    """Returns whether a range, which was not asked for, is the whole file."""
    found = _RANGE.match((content_range or "").strip())
    if found is None:
        return not content_range
    last, size = found.groups()
    return size == "*" or int(last) + 1 == int(size)


async def _save(
    response: HttpResponse,
    path: Path,
    work: FileWork,
    *,
    url: str,
    max_bytes: int,
    cut: bool,
) -> Fetched:
    announced = response.header("Content-Length") or ""
    if not cut and announced.isdecimal() and int(announced) > max_bytes:
        raise too_large(max_bytes)
    declared_type = (response.header("Content-Type") or "").partition(";")[0].strip().lower()
    decoders = [] if _is_gzip_itself(url, declared_type) else _decoders_of(response)
    with SpoolFile(path, max_bytes=max_bytes) as file:
        left_bytes = max_bytes
        async with (
            aclosing(response.content()) as pieces,
            aclosing(decoded(_bounded(pieces, max_bytes, cut=cut), decoders)) as shown,
        ):
            async for piece in shown:
                await work.do(partial(file.write, piece[:left_bytes] if cut else piece))
                left_bytes -= len(piece)
                if cut and left_bytes <= 0:
                    break
        declared_name = name_of_disposition(response.header("Content-Disposition"))
        return Fetched(file.finish(), url, declared_type, declared_name)


def _is_gzip_itself(url: str, declared_type: str) -> bool:
    """Returns whether the file is a .gz, which servers also say of what they compress."""
    return declared_type in _GZIP_TYPES or urlsplit(url).path.lower().endswith(_GZIP_NAMES)


def _decoders_of(response: HttpResponse) -> list[Decoder]:
    return decoders_of(response.list_header("Content-Encoding"))


async def _bounded(
    pieces: AsyncIterator[bytes], max_bytes: int, *, cut: bool
) -> AsyncGenerator[bytes]:
    """Yields the pieces; compressed content that decodes to nothing may not go on for ever."""
    left_bytes = max_bytes + _COMPRESSED_SLACK_BYTES
    async for piece in pieces:
        left_bytes -= len(piece)
        if left_bytes < 0 and not cut:
            raise too_large(max_bytes)
        yield piece
