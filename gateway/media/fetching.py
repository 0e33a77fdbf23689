"""Fetches a URL to disk, within limits of size, time and address range."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from gateway.errors import AddressRefused, TryAgainLater
from gateway.media.spooling import BadFile, Spooled, SpoolFile, too_large
from gateway.public_address import AddressPolicy, pinned

_MAX_REDIRECTS = 5
_MAX_CONNECTIONS = 512
_SILENCE_SECONDS = 15.0
_TRANSIENT: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched file, the URL it came from after redirects, and its Content-Type."""

    file: Spooled
    url: str
    declared_type: str


class Fetcher:
    """Fetches files without a proxy, and checks the address of each redirect."""

    def __init__(self, policy: AddressPolicy, *, timeout_seconds: float) -> None:
        self._policy, self._timeout_seconds = policy, timeout_seconds
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(_SILENCE_SECONDS, pool=timeout_seconds),
            # A connection is made to the address that was checked for one host name. The pool finds
            # connections by address, so another host name could get this one: none is reused.
            limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=0),
            headers={"User-Agent": "gateway-media", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    def check(self, url: str) -> None:
        """Raises BadFile if the URL is malformed or its address is refused; resolves no name."""
        with _refusals_named():
            self._policy.check_url(spelled(url))

    async def fetch(
        self,
        url: str,
        path: Path,
        *,
        max_bytes: int,
        timeout_seconds: float | None = None,
        cut: bool = False,
    ) -> Fetched:
        """Writes the file at *url* to *path*; with *cut*, at most its first *max_bytes*.

        Raises:
            BadFile: the file does not exist, is too large, or its address is refused.
            TryAgainLater: the server failed or did not answer in time.
            Unavailable: the disk is full.
        """
        limit = timeout_seconds or self._timeout_seconds
        try:
            async with asyncio.timeout(limit):
                async with self._answer(url) as response:
                    return await _save(response, path, max_bytes=max_bytes, cut=cut)
        except TimeoutError:
            raise TryAgainLater(f"its server did not deliver it within {limit:g} seconds") from None
        except (httpx.TransportError, OSError) as error:
            raise TryAgainLater(f"its server could not be read: {type(error).__name__}") from None
        except (httpx.InvalidURL, ValueError):  # such as `https://a..b`, here or in a redirect
            raise BadFile("leads to what is not a URL") from None
        except httpx.HTTPError as error:
            raise BadFile(f"cannot be fetched: {type(error).__name__}") from None

    @asynccontextmanager
    async def _answer(self, url: str) -> AsyncIterator[httpx.Response]:
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._request(url)
            try:
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    _check_status(response.status_code)
                    response.extensions["final_url"] = url
                    yield response
                    return
                url = str(httpx.URL(url).join(response.headers["location"]))
            finally:
                await response.aclose()
        raise BadFile(f"redirects more than {_MAX_REDIRECTS} times")

    async def _request(self, url: str) -> httpx.Response:
        with _refusals_named():
            request = await pinned(self._client, self._policy, "GET", spelled(url))
        return await self._client.send(request, stream=True)


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


def _check_status(status: int) -> None:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
        raise TryAgainLater(f"its server answered {status}")
    if status != HTTPStatus.OK:
        raise BadFile(f"cannot be fetched: its server answered {status}")


async def _save(response: httpx.Response, path: Path, *, max_bytes: int, cut: bool) -> Fetched:
    announced = response.headers.get("content-length", "")
    if not cut and announced.isdigit() and int(announced) > max_bytes:
        raise too_large(max_bytes)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadFile("is sent compressed by its server, which the request did not allow")
    with SpoolFile(path, max_bytes=max_bytes) as file:
        left_bytes = max_bytes
        async for piece in response.aiter_raw():
            file.write(piece[:left_bytes] if cut else piece)
            left_bytes -= len(piece)
            if cut and left_bytes <= 0:
                break
        return Fetched(
            file.finish(),
            response.extensions["final_url"],
            response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        )
