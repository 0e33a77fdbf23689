"""Gives every request an id, logs it without secrets, and answers unexpected errors."""

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.error_replies import reply_to_unexpected
from gateway.observability.logging import is_debugging, logger
from gateway.observability.metrics import Metrics
from gateway.randomness import RandomBytes

_SLOW_SECONDS = 2.0
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_ID_BYTES = 8
_METHODS = frozenset({"DELETE", "GET", "POST", "PUT"})
_MAX_ID_LENGTH = 64


class RequestLog:
    """Logs failures and slow requests; every request at DEBUG.

    Paths hold tokens, so the route's template is logged instead.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        random_bytes: RandomBytes,
        metrics: Metrics,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app, self._random_bytes, self._seconds = app, random_bytes, seconds
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._seconds()
        request_id = _given_id(scope) or self._random_bytes(_ID_BYTES).hex()
        status, answering = 500, False
        if is_debugging():
            logger.debug("http_request_started", method=scope["method"], request_id=request_id)

        async def send_with_id(message: Message) -> None:
            nonlocal status, answering
            if message["type"] == "http.response.start":
                status, answering = message["status"], True
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            reply = reply_to_unexpected(scope, error)
            if answering:  # the status is sent already: the server closes the connection
                raise
            await reply(scope, receive, send_with_id)
        finally:
            seconds = self._seconds() - began
            _log(scope, status, request_id, seconds)
            # Only declared methods and routes become labels: callers could invent any number.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.answered(
                method, scope.get("route_template", "other"), status, seconds=seconds
            )


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            if 0 < len(text) <= _MAX_ID_LENGTH and text.isascii() and text.isprintable():
                return text
    return None


def _log(scope: Scope, status: int, request_id: str, seconds: float) -> None:
    # Probes come every few seconds; their endpoint logs a failure when the reason changes.
    failed = status >= _SERVER_ERROR and not scope.get("failure_logged")
    if failed:
        log = logger.error
    elif _CLIENT_ERROR <= status < _SERVER_ERROR or seconds > _SLOW_SECONDS:
        log = logger.info
    elif is_debugging():
        log = logger.debug
    else:
        return
    log(
        "http_request",
        method=scope["method"],
        route=scope.get("route_template", "unknown"),
        instance_id=scope.get("path_params", {}).get("instance_id"),
        status=status,
        duration_seconds=round(seconds, 4),
        request_id=request_id,
        **({"queue_id": scope["queue_id"]} if "queue_id" in scope else {}),
    )
