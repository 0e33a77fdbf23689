"""Posts one callback to a receiver and reads what its answer means."""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway.clock import Clock
from gateway.errors import AddressRefused
from gateway.outbound.connection import AnswerPatience, HttpRequest, HttpResponse
from gateway.outbound.dialer import Dialer
from gateway.outbound.failures import ExchangeFailed
from gateway.outbound.response_parser import ResponseLimits
from gateway.public_address import AddressPolicy
from gateway.webhooks.connections import Connections

_SUCCESS: Final = range(200, 300)
_GONE: Final = 410
_WAIT: Final = frozenset({429, 503})
_MAX_READ_BYTES = 8 * 1024
_LIMITS = ResponseLimits(head_bytes=16 * 1024, header_lines=128, framing_bytes=32 * 1024)
_MAX_SHOWN_BYTES = 500
_CONTENT_SECONDS = 1.0
_KEEP_IDLE_SECONDS = 4.0  # less than most servers keep an idle connection


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A callback to post; two secrets sign it while one replaces the other.

    `headers` come on top of those that every callback has; `owner` is the account.
    """

    id: uuid.UUID
    url: str
    body: str
    instance_token: str | None
    signing_secrets: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    owner: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What one attempt led to; `error` is None when the callback was delivered.

    Attributes:
        seconds: until the head of the answer came, or the attempt failed.
        status: of the answer, if there was one.
        answer: its first bytes.
        error: why the callback was not delivered.
        retry_after_seconds: the pause that the receiver asked for.
        unopened: nothing was posted, because no key opens the callback.
    """

    seconds: float
    status: int | None = None
    answer: str | None = None
    error: str | None = None
    retry_after_seconds: float | None = None
    unopened: bool = False

    @property
    def delivered(self) -> bool:
        return self.error is None

    @property
    def gone(self) -> bool:
        """Another attempt would fail again: the receiver says so, or no key opens the callback."""
        return self.status == _GONE or self.unopened


class Poster:
    """Posts without following redirects, which would carry the token away, and without a proxy."""

    def __init__(self, policy: AddressPolicy, clock: Clock, *, timeout_seconds: float) -> None:
        self._policy, self._clock, self._timeout_seconds = policy, clock, timeout_seconds
        self._connections = Connections(
            # The whole exchange has one time limit.
            Dialer(policy, clock, _LIMITS, AnswerPatience(timeout_seconds, timeout_seconds)),
            keep_idle_seconds=_KEEP_IDLE_SECONDS,
            seconds=clock.monotonic_seconds,
        )

    def close(self) -> None:
        self._connections.close()

    async def post(self, request: WebhookRequest) -> DeliveryResult:
        began = self._clock.monotonic_seconds()

        def failed(reason: str) -> DeliveryResult:
            return DeliveryResult(self._clock.monotonic_seconds() - began, error=reason)

        try:
            return await self._post(request, began)
        except AddressRefused as error:
            return failed(f"the address {error}")
        except TimeoutError:
            return failed(f"no answer within {self._timeout_seconds:g} seconds")
        except ExchangeFailed as error:
            return failed(f"the server {error}")

    async def _post(self, request: WebhookRequest, began: float) -> DeliveryResult:
        http_request = self._request(request, self._policy.check_url(request.url))
        async with AsyncExitStack() as exchange:
            async with asyncio.timeout(self._timeout_seconds):
                exchanged = self._connections.answer(http_request)
                response = await exchange.enter_async_context(exchanged)
            seconds = self._clock.monotonic_seconds() - began
            answer = await _read_beginning(response)
        return DeliveryResult(
            seconds,
            status=response.status,
            answer=answer,
            error=None if response.status in _SUCCESS else f"HTTP {response.status}",
            retry_after_seconds=self._retry_after(response.status, response.header("Retry-After")),
        )

    def _request(self, request: WebhookRequest, url: SplitResult) -> HttpRequest:
        timestamp, content = str(self._clock.now_ms() // 1000), request.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "gateway-webhooks",
            "X-Webhook-Id": str(request.id),
            "X-Webhook-Timestamp": timestamp,
            **request.headers,
        }
        if request.instance_token:
            headers["z-api-token"] = request.instance_token
        if request.signing_secrets:
            headers["X-Webhook-Signature"] = ",".join(
                sign(secret, timestamp, request.body) for secret in request.signing_secrets
            )
        return HttpRequest("POST", url, headers, content, owner=request.owner)

    def _retry_after(self, status: int, value: str | None) -> float | None:
        if value is None or status not in _WAIT:
            return None
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            return (parsedate_to_datetime(value) - self._clock.now()).total_seconds()
        except (TypeError, ValueError):
            return None


def sign(secret: str, timestamp: str, body: str) -> str:
    """Returns the HMAC-SHA256 of `timestamp.body`, in hex."""
    return hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()


def target_of(url: str) -> str:
    """Returns the part of a URL that may be shown: its query may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


async def _read_beginning(response: HttpResponse) -> str:
    """Reads the first bytes; a short answer to its end, so that the connection can be reused.

    The status is the answer, whatever becomes of the content: a content that does not end soon,
    or ends badly, costs the connection only.
    """
    read = bytearray()
    try:
        async with asyncio.timeout(_CONTENT_SECONDS), aclosing(response.content()) as pieces:
            async for piece in pieces:
                read += piece
                if len(read) > _MAX_READ_BYTES:
                    break
    except (TimeoutError, ExchangeFailed):
        pass
    return bytes(read[:_MAX_SHOWN_BYTES]).decode("utf-8", "replace").replace("\x00", "")
