"""The base URL of a request follows only forwarded headers of trusted proxies."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from gateway.api.base_url import base_url_of

TRUSTED = [ip_network("10.0.0.0/8")]
PROXY, OUTSIDER = "10.0.0.1", "203.0.113.7"


def request_from(peer: str | None, **headers: str | list[str]) -> Request:
    lines = [
        (name.replace("_", "-").encode(), value.encode())
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    client = (peer, 1234) if peer else None
    return Request({"type": "http", "scheme": "http", "client": client, "headers": lines})


FORWARDED: dict[str, str | list[str]] = {
    "host": "gateway:8080",
    "x_forwarded_host": "wa.example.com",
    "x_forwarded_proto": "https",
}


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        pytest.param(OUTSIDER, {"host": "wa.example.com"}, "http://wa.example.com", id="direct"),
        pytest.param(PROXY, FORWARDED, "https://wa.example.com", id="trusted proxy"),
        pytest.param(OUTSIDER, FORWARDED, "http://gateway:8080", id="untrusted headers"),
        pytest.param(None, FORWARDED, "http://gateway:8080", id="no peer"),
        pytest.param(
            PROXY,
            {"host": "wa.example.com", "x_forwarded_proto": "https"},
            "https://wa.example.com",
            id="proxy that passes Host",
        ),
        pytest.param(
            PROXY,
            {**FORWARDED, "x_forwarded_host": "evil.example, wa.example.com"},
            "https://wa.example.com",
            id="proxy that appends",
        ),
        pytest.param(
            PROXY,
            {**FORWARDED, "x_forwarded_host": ["evil.example", "wa.example.com"]},
            "https://wa.example.com",
            id="proxy that adds a header",
        ),
        pytest.param(
            PROXY,
            {**FORWARDED, "x_forwarded_proto": "gopher"},
            "http://wa.example.com",
            id="unknown scheme",
        ),
    ],
)
def test_base_url_of_request_trusts_only_proxies(
    peer: str | None, headers: dict[str, str | list[str]], expected: str
) -> None:
    found = base_url_of(request_from(peer, **headers), TRUSTED)

    assert found is not None
    assert found.url == expected


@pytest.mark.parametrize("hosts", [[], ["a.example", "b.example"]])
def test_base_url_of_request_without_one_host_is_nothing(hosts: list[str]) -> None:
    assert base_url_of(request_from(OUTSIDER, host=hosts), TRUSTED) is None
