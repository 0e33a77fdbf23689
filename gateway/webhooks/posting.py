"""Posts one callback to a receiver and reads what its answer means."""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpcore

from gateway.clock import Clock
from gateway.errors import AddressRefused
from gateway.public_address import AddressPolicy
from gateway.webhooks.connections import Connections

_SUCCESS: Final = range(200, 300)
_GONE: Final = 410
_WAIT: Final = frozenset({429, 503})
_MAX_READ_BYTES = 65_536
_MAX_SHOWN_BYTES = 500
_KEEP_IDLE_SECONDS = 4.0  # less than most servers keep an idle connection
_CONNECTION_ERRORS = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    OSError,
)


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A callback to post; two secrets sign it while one replaces the other."""

    id: uuid.UUID
    url: str
    body: str
    instance_token: str
    signing_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What one attempt led to; `error` is None when the callback was delivered.

    Attributes:
        seconds: how long the attempt took.
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
            _CheckedNetwork(policy),
            keep_idle_seconds=_KEEP_IDLE_SECONDS,
            seconds=clock.monotonic_seconds,
        )

    async def close(self) -> None:
        await self._connections.close()

    async def post(self, request: WebhookRequest) -> DeliveryResult:
        began = self._clock.monotonic_seconds()

        def failed(reason: str) -> DeliveryResult:
            return DeliveryResult(self._clock.monotonic_seconds() - began, error=reason)

        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(request, began)
        except AddressRefused as error:
            return failed(f"the address {error}")
        except TimeoutError:
            return failed(f"no answer within {self._timeout_seconds:g} seconds")
        except _CONNECTION_ERRORS as error:
            return failed(f"no connection: {type(error).__name__}")

    async def _post(self, request: WebhookRequest, began: float) -> DeliveryResult:
        host = self._policy.check_url(request.url).netloc
        http_request = self._request(request, host)
        try:
            return await self._exchange(http_request, began)
        except (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError):
            # The server may have closed an idle connection just then.
            return await self._exchange(http_request, began, fresh=True)

    async def _exchange(
        self, http_request: httpcore.Request, began: float, *, fresh: bool = False
    ) -> DeliveryResult:
        async with self._connections.answer(http_request, fresh=fresh) as response:
            answer = await _read_beginning(response)
            answered = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        return DeliveryResult(
            self._clock.monotonic_seconds() - began,
            status=response.status,
            answer=answer,
            error=None if response.status in _SUCCESS else f"HTTP {response.status}",
            retry_after_seconds=self._retry_after(response.status, answered.get(b"retry-after")),
        )

    def _request(self, request: WebhookRequest, host: str) -> httpcore.Request:
        timestamp, content = str(self._clock.now_ms() // 1000), request.body.encode()
        headers: dict[bytes | str, bytes | str] = {
            "Host": host,
            "Content-Length": str(len(content)),
            "Content-Type": "application/json",
            "User-Agent": "gateway-webhooks",
            "z-api-token": request.instance_token,
            "X-Webhook-Id": str(request.id),
            "X-Webhook-Timestamp": timestamp,
        }
        if request.signing_secrets:
            headers["X-Webhook-Signature"] = ",".join(
                sign(secret, timestamp, request.body) for secret in request.signing_secrets
            )
        return httpcore.Request("POST", request.url, headers=headers, content=content)

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


async def _read_beginning(response: httpcore.Response) -> str:
    """Reads the first bytes; a short answer to its end, so that the connection can be reused."""
    read = bytearray()
    async for chunk in response.aiter_stream():
        read += chunk
        if len(read) > _MAX_READ_BYTES:
            break
    return bytes(read[:_MAX_SHOWN_BYTES]).decode("utf-8", "replace").replace("\x00", "")


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the address that was checked; TLS still verifies the host name."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy, self._inner = policy, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        address = await self._policy.resolve(host, port)
        return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
