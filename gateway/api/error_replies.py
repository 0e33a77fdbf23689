"""Renders every GatewayError as a status and Z-API's JSON, with one text in both keys."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from gateway.api.json_response import JsonResponse
from gateway.errors import (
    BodyTooLarge,
    CallerError,
    ClientTokenMissing,
    Conflict,
    Forbidden,
    GatewayError,
    IdempotencyKeyReused,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    NotSupported,
    ProviderError,
    ProxyUnreachable,
    QueueFull,
    StorageLimitReached,
    TooManyRequests,
    TooManyValues,
    Unauthorized,
    Unavailable,
    UnknownRoute,
    UnsupportedContentType,
)
from gateway.observability.error_reports import report_error

ANSWERS_SUCCESS: Final = "answers_success"
"""Marks the scope of a request whose caller reads `success`, also in an error."""

_NOTHING: Mapping[str, Any] = {}

# An error has the status of its nearest base class in this table.
_STATUS: Mapping[type[GatewayError], int] = {
    BodyTooLarge: 413,
    CallerError: 400,
    Conflict: 409,
    Forbidden: 403,
    GatewayError: 500,
    IdempotencyKeyReused: 422,
    InvalidRequest: 400,
    MethodNotAllowed: 405,
    NotFound: 404,
    NotSupported: 501,
    ProviderError: 502,
    ProxyUnreachable: 422,
    QueueFull: 429,
    StorageLimitReached: 413,
    TooManyRequests: 429,
    TooManyValues: 413,
    Unauthorized: 401,
    Unavailable: 503,
    UnsupportedContentType: 415,
}
_MESSAGES = {
    UnknownRoute: "Unable to find matching target resource method",
    ClientTokenMissing: "Client-Token is required: send it in a header of this name",
}
"""What `message` says where `error` must be in Z-API's words."""


def status_of(error: GatewayError) -> int:
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def reply_to(error: GatewayError, *, further: Mapping[str, Any] = _NOTHING) -> Response:
    """Returns the response for *error*, with *further* keys."""
    text = str(error)
    message = next((_MESSAGES[kind] for kind in _MESSAGES if isinstance(error, kind)), text)
    headers: dict[str, str] = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    if isinstance(error, QueueFull | TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_seconds)
    elif isinstance(error, Unavailable):
        headers["Retry-After"] = "5"
    if isinstance(error, BodyTooLarge):
        headers["Connection"] = "close"
    return JsonResponse(
        {**further, "error": text, "message": message},
        status_code=status_of(error),
        headers=headers,
    )


async def on_gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return reply_to(error, further=_further_keys(request.scope))


def _further_keys(scope: Scope) -> Mapping[str, Any]:
    """Returns what an error has beside Z-API's keys, on the routes whose answers say `success`."""
    return {"success": False} if scope.get(ANSWERS_SUCCESS) else {}


def reply_to_unexpected(scope: Scope, error: Exception) -> Response:
    """Reports an unexpected error, and returns a response without its text."""
    report_error(
        error,
        component="api",
        instance_id=scope.get("path_params", {}).get("instance_id"),
        message_type=scope.get("message_type"),
    )
    text = "Internal server error"
    body = {**_further_keys(scope), "error": text, "message": text}
    return JsonResponse(body, status_code=500)
