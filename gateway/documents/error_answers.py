"""The failures a caller may meet, each as a status, a sentence and an example."""

import inspect
from collections.abc import Mapping
from typing import Any

from gateway.documents.surface import Entry
from gateway.errors import (
    BodyTooLarge,
    Conflict,
    Forbidden,
    GatewayError,
    IdempotencyKeyReused,
    InvalidRequest,
    MethodNotAllowed,
    NotSupported,
    ProviderError,
    ProxyUnreachable,
    QueueFull,
    StorageLimitReached,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnknownInstance,
    UnsupportedContentType,
)

FAILURES: Mapping[int, tuple[GatewayError, ...]] = {
    400: (InvalidRequest("message: is required"),),
    401: (Unauthorized(),),
    403: (Forbidden("Client-Token not allowed"),),
    404: (UnknownInstance(),),
    405: (MethodNotAllowed(frozenset()),),
    409: (Conflict("The message is sent and no longer waits"),),
    413: (
        BodyTooLarge(1_048_576),
        StorageLimitReached(used_bytes=53_687_091_300, limit_bytes=53_687_091_200),
    ),
    415: (UnsupportedContentType(),),
    422: (
        IdempotencyKeyReused(),
        ProxyUnreachable("proxyUrl: WhatsApp cannot be reached through this proxy"),
    ),
    429: (
        TooManyRequests("account", retry_after_seconds=1),
        QueueFull(1_000, connected=False),
    ),
    501: (NotSupported("SendText is not supported by the example provider"),),
    502: (ProviderError("The number is not in this group"),),
    503: (Unavailable("The gateway is starting"),),
}
_ALWAYS = frozenset({404, 405, 429, 501, 503})
_WITH_FIELDS = frozenset({400})
_WITH_BODY = frozenset({413, 415})
_WHEN_QUEUED = frozenset({422})
_WHEN_EXECUTED = frozenset({502})
_RETRY_AFTER = frozenset({429, 503})

ERROR_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "Why a request failed; both fields say the same.",
    "properties": {
        "error": {"type": "string"},
        "message": {"type": "string"},
        "success": {
            "const": False,
            "description": "Only from routes whose answers have `success`.",
        },
    },
    "required": ["error", "message"],
}


def name_of(status: int) -> str:
    return type(FAILURES[status][0]).__name__


def failures_of(entry: Entry, *, has_fields: bool, has_body: bool) -> list[int]:
    """The statuses with which this request may fail."""
    statuses = {*_ALWAYS, *entry.declared.failures, 401 if entry.partner else 403}
    statuses |= _WITH_FIELDS if has_fields else frozenset()
    statuses |= _WITH_BODY if has_body else frozenset()
    statuses |= _WHEN_QUEUED if entry.enqueues else frozenset()
    statuses |= frozenset() if entry.is_send or entry.absolute else _WHEN_EXECUTED
    return sorted(statuses)


def error_responses() -> dict[str, Any]:
    """Every failure as a reusable response."""
    return {name_of(status): _response(status) for status in FAILURES}


def _response(status: int) -> dict[str, Any]:
    errors = FAILURES[status]
    response: dict[str, Any] = {
        "description": " Or: ".join(_first_line(error) for error in errors),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {
                    type(error).__name__: {"value": {"error": str(error), "message": str(error)}}
                    for error in errors
                },
            }
        },
    }
    if status in _RETRY_AFTER:
        response["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    return response


def _first_line(error: GatewayError) -> str:
    return inspect.cleandoc(type(error).__doc__ or "").partition("\n")[0]
