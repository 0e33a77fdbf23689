"""Every error we can name has a status and Z-API's body."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import pytest

import gateway.errors
from gateway.api.error_replies import reply_to, status_of
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    MethodNotAllowed,
    QueueFull,
    Restricted,
    TooManyRequests,
    UnknownRoute,
)

SAMPLES: Mapping[type[GatewayError], Callable[[], GatewayError]] = {
    BodyTooLarge: lambda: BodyTooLarge(10),
    MethodNotAllowed: lambda: MethodNotAllowed(frozenset({"GET"})),
    QueueFull: lambda: QueueFull(10, connected=True),
    TooManyRequests: lambda: TooManyRequests("instance", retry_after_seconds=3),
    Restricted: lambda: Restricted("why", until=datetime(2030, 1, 1, tzinfo=UTC)),
}
STATUSES = {
    "GatewayError": 500,
    "CallerError": 400,
    "InvalidRequest": 400,
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


OURS = [kind for kind in tree() if kind.__module__ == gateway.errors.__name__]


def sample(kind: type[GatewayError]) -> GatewayError:
    if kind in SAMPLES:
        return SAMPLES[kind]()
    try:
        return kind("why")
    except TypeError:  # it has a sentence of its own
        return kind()


def expected_status(kind: type[GatewayError]) -> int:
    """That of the nearest family in the table."""
    return next(STATUSES[k.__name__] for k in kind.__mro__ if k.__name__ in STATUSES)


@pytest.mark.parametrize("kind", OURS)
def test_every_error_becomes_its_status_and_both_keys(kind: type[GatewayError]) -> None:
    error = sample(kind)

    reply = reply_to(error)
    body = json.loads(bytes(reply.body))

    assert reply.status_code == status_of(error) == expected_status(kind)
    assert body.keys() == {"error", "message"}
    assert body["error"] == str(error)
    assert body["message"]
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", [kind for kind in OURS if kind is not UnknownRoute])
def test_error_and_message_say_the_same(kind: type[GatewayError]) -> None:
    body = json.loads(bytes(reply_to(sample(kind)).body))

    assert body["error"] == body["message"]


def test_an_unknown_route_is_told_as_z_api_tells_it() -> None:
    assert json.loads(bytes(reply_to(UnknownRoute()).body)) == {
        "error": "NOT_FOUND",
        "message": "Unable to find matching target resource method",
    }


def test_an_error_we_do_not_know_yet_has_its_familys_status() -> None:
    class Sooner(gateway.errors.Conflict):
        """Declared later than the table."""

    assert status_of(Sooner("too soon")) == 409


def test_a_wrong_method_is_told_which_are_right() -> None:
    reply = reply_to(MethodNotAllowed(frozenset({"PUT", "GET"})))

    assert reply.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize(
    ("connected", "sentence"),
    [
        (True, "Queue limit of 1000 messages reached"),
        (False, "Queue limit of 1000 messages reached while the instance is disconnected"),
    ],
)
def test_a_full_queue_says_when_to_come_back(sentence: str, *, connected: bool) -> None:
    reply = reply_to(QueueFull(1_000, connected=connected, retry_after_seconds=7))

    assert json.loads(bytes(reply.body))["error"] == sentence
    assert reply.headers["retry-after"] == "7"


def test_what_is_unavailable_says_when_to_come_back() -> None:
    reply = reply_to(gateway.errors.DatabaseUnavailable("Postgres did not answer"))

    assert int(reply.headers["retry-after"]) > 0


def test_other_errors_do_not_ask_to_come_back() -> None:
    assert "retry-after" not in reply_to(gateway.errors.Forbidden("no")).headers


def test_the_connection_ends_where_the_body_was_not_read() -> None:
    assert reply_to(BodyTooLarge(10)).headers["connection"] == "close"
