"""Every GatewayError has a status and a body in the shape of Z-API."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import pytest

import gateway.errors
from gateway.api.error_replies import reply_to, status_of
from gateway.errors import (
    BodyTooLarge,
    ClientTokenMissing,
    GatewayError,
    MethodNotAllowed,
    QueueFull,
    Restricted,
    StorageLimitReached,
    TooManyRequests,
    UnknownRoute,
)

SAMPLES: Mapping[type[GatewayError], Callable[[], GatewayError]] = {
    BodyTooLarge: lambda: BodyTooLarge(10),
    MethodNotAllowed: lambda: MethodNotAllowed(frozenset({"GET"})),
    StorageLimitReached: lambda: StorageLimitReached(used_bytes=2, limit_bytes=1),
    QueueFull: lambda: QueueFull(10, connected=True),
    TooManyRequests: lambda: TooManyRequests("instance", retry_after_seconds=3),
    Restricted: lambda: Restricted("why", until=datetime(2030, 1, 1, tzinfo=UTC)),
}
STATUSES = {
    "GatewayError": 500,
    "CallerError": 400,
    "InvalidRequest": 400,
    "StorageLimitReached": 413,
    "InstanceNotConnected": 400,
    "TrialOver": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "UnknownInstance": 404,
    "UnknownRoute": 404,
    "MethodNotAllowed": 405,
    "Conflict": 409,
    "BodyTooLarge": 413,
    "TooManyValues": 413,
    "UnsupportedContentType": 415,
    "IdempotencyKeyReused": 422,
    "ProxyUnreachable": 422,
    "QueueFull": 429,
    "TooManyRequests": 429,
    "NotSupported": 501,
    "Unavailable": 503,
    "DatabaseUnavailable": 503,
    "SessionUnavailable": 503,
    "ProviderError": 502,
    "NotConnected": 502,
    "Restricted": 502,
    "TryAgainLater": 502,
    "Refused": 502,
    "Unconfirmed": 502,
    "StartRefused": 500,
    "InvalidSettings": 500,
    "SchemaTooNew": 500,
}


def tree(family: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield family
    for kind in family.__subclasses__():
        yield from tree(kind)


DECLARED = [kind for kind in tree() if kind.__module__ == gateway.errors.__name__]


def sample(kind: type[GatewayError]) -> GatewayError:
    if kind in SAMPLES:
        return SAMPLES[kind]()
    try:
        return kind("why")
    except TypeError:  # it has a sentence of its own
        return kind()


def expected_status(kind: type[GatewayError]) -> int:
    """Returns the status of the nearest base class in the table."""
    return next(STATUSES[k.__name__] for k in kind.__mro__ if k.__name__ in STATUSES)


@pytest.mark.parametrize("kind", DECLARED)
def test_reply_has_status_and_both_keys_for_every_error(kind: type[GatewayError]) -> None:
    error = sample(kind)

    reply = reply_to(error)
    body = json.loads(bytes(reply.body))

    assert reply.status_code == status_of(error) == expected_status(kind)
    assert body.keys() == {"error", "message"}
    assert body["error"] == str(error)
    assert body["message"]
    assert reply.headers["content-type"] == "application/json"


Z_APIS_WORDS = {UnknownRoute, ClientTokenMissing}


@pytest.mark.parametrize("kind", [kind for kind in DECLARED if kind not in Z_APIS_WORDS])
def test_reply_error_and_message_are_equal(kind: type[GatewayError]) -> None:
    body = json.loads(bytes(reply_to(sample(kind)).body))

    assert body["error"] == body["message"]


def test_reply_to_a_missing_client_token_says_what_to_do() -> None:
    assert json.loads(bytes(reply_to(ClientTokenMissing()).body)) == {
        "error": "null not allowed",
        "message": "Client-Token is required: send it in a header of this name",
    }


def test_reply_to_unknown_route_is_that_of_z_api() -> None:
    assert json.loads(bytes(reply_to(UnknownRoute()).body)) == {
        "error": "NOT_FOUND",
        "message": "Unable to find matching target resource method",
    }


def test_status_of_undeclared_error_is_that_of_its_base() -> None:
    class Undeclared(gateway.errors.Conflict):
        """An error that the table does not list."""

    assert status_of(Undeclared("too soon")) == 409


def test_reply_to_wrong_method_has_allow() -> None:
    reply = reply_to(MethodNotAllowed(frozenset({"PUT", "GET"})))

    assert reply.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize(
    ("connected", "sentence"),
    [
        (True, "Queue limit of 1000 messages reached"),
        (False, "Queue limit of 1000 messages reached while the instance is disconnected"),
    ],
)
def test_reply_to_full_queue_has_retry_after(sentence: str, *, connected: bool) -> None:
    reply = reply_to(QueueFull(1_000, connected=connected, retry_after_seconds=7))

    assert json.loads(bytes(reply.body))["error"] == sentence
    assert reply.headers["retry-after"] == "7"


def test_reply_to_unavailable_has_retry_after() -> None:
    reply = reply_to(gateway.errors.DatabaseUnavailable("Postgres did not answer"))

    assert int(reply.headers["retry-after"]) > 0


def test_reply_to_other_errors_has_no_retry_after() -> None:
    assert "retry-after" not in reply_to(gateway.errors.Forbidden("no")).headers


def test_reply_to_large_body_closes_connection() -> None:
    assert reply_to(BodyTooLarge(10)).headers["connection"] == "close"
