"""Posts one callback to a caller's server, and says what came of it."""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from gateway.clock import Clock
from gateway.errors import AddressRefused
from gateway.public_address import AddressPolicy, pinned

_GONE: Final = 410
_WAIT: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Letter:
    """A callback as it is posted; `signing_secret` is the account's, where it has one."""

    id: uuid.UUID
    url: str
    body: str
    instance_token: str
    signing_secret: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """The receiver answered 2xx."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """It did not; `gone` means that it never will."""

    reason: str
    gone: bool = False
    retry_after_seconds: float | None = None


class Poster:
    """Never follows a redirect, which would carry the token away, and never uses a proxy."""

    def __init__(self, policy: AddressPolicy, clock: Clock, *, timeout_seconds: float) -> None:
        self._policy, self._clock, self._timeout_seconds = policy, clock, timeout_seconds
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=timeout_seconds,
            limits=httpx.Limits(max_connections=512, max_keepalive_connections=128),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, letter: Letter) -> Taken | NotTaken:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(letter)
        except AddressRefused as error:
            return NotTaken(f"the address {error}")
        except TimeoutError:
            return NotTaken(f"no answer within {self._timeout_seconds:g} seconds")
        except (httpx.HTTPError, OSError) as error:
            return NotTaken(type(error).__name__)

    async def _post(self, letter: Letter) -> Taken | NotTaken:
        request = await pinned(
            self._client,
            self._policy,
            "POST",
            letter.url,
            content=letter.body.encode(),
            headers=self._headers(letter),
        )
        response = await self._client.send(request, stream=True)
        try:
            if response.is_success:
                return Taken()
            return NotTaken(
                f"answered {response.status_code}",
                gone=response.status_code == _GONE,
                retry_after_seconds=self._retry_after(response),
            )
        finally:
            await response.aclose()

    def _headers(self, letter: Letter) -> Mapping[str, str]:
        timestamp = str(self._clock.now_ms() // 1000)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "gateway-webhooks",
            "z-api-token": letter.instance_token,
            "X-Webhook-Id": str(letter.id),
            "X-Webhook-Timestamp": timestamp,
        }
        if letter.signing_secret:
            headers["X-Webhook-Signature"] = sign(letter.signing_secret, timestamp, letter.body)
        return headers

    def _retry_after(self, response: httpx.Response) -> float | None:
        value = response.headers.get("retry-after")
        if value is None or response.status_code not in _WAIT:
            return None
        if value.isdigit():
            return float(value)
        try:
            return (parsedate_to_datetime(value) - self._clock.now()).total_seconds()
        except (TypeError, ValueError):
            return None


def sign(secret: str, timestamp: str, body: str) -> str:
    """HMAC-SHA256 over `timestamp.body`, in hex."""
    return hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
