"""The client address follows only trusted proxies, and allow lists apply to it."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from gateway.api.client_address import check_address, client_address, is_from_this_machine
from gateway.errors import Forbidden

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def request_from(peer: str | None, *forwarded: str) -> Request:
    return Request(
        {
            "type": "http",
            "client": (peer, 1234) if peer else None,
            "headers": [(b"x-forwarded-for", line.encode()) for line in forwarded],
        }
    )


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        pytest.param("203.0.113.7", [], "203.0.113.7", id="no proxy"),
        pytest.param("203.0.113.7", ["198.51.100.1"], "203.0.113.7", id="untrusted header"),
        pytest.param("10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="one proxy"),
        pytest.param("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1", id="forged hop"),
        pytest.param("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1", id="two proxies"),
        pytest.param("10.0.0.1", ["198.51.100.1", "10.0.0.2"], "198.51.100.1", id="two headers"),
        pytest.param("10.0.0.1", ["10.0.0.9"], "10.0.0.9", id="a caller inside"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy calls by itself"),
        pytest.param("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1", id="not an address"),
        pytest.param("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1", id="with a port"),
        pytest.param("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1", id="IPv6 with a port"),
        pytest.param("10.0.0.1", ["2001:DB8:0::1"], "2001:db8::1", id="IPv6"),
        pytest.param("fd00::1", ["198.51.100.1"], "198.51.100.1", id="a proxy by IPv6"),
        pytest.param("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1", id="mapped"),
        pytest.param(None, ["198.51.100.1"], "None", id="a socket without addresses"),
    ],
)
def test_client_address_is_rightmost_untrusted_hop(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    assert str(client_address(request_from(peer, *forwarded), TRUSTED)) == expected


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ("203.0.113.7", []),
        ("203.0.113.7", ["203.0.113.0/24"]),
        ("203.0.113.7", ["198.51.100.1/32", "203.0.113.7/32"]),
        ("::ffff:203.0.113.7", ["203.0.113.0/24"]),
        ("203.0.113.7", ["::ffff:203.0.113.0/120"]),
        ("2001:db8::5", ["2001:db8::/32"]),
        ("fe80::1%eth0", ["fe80::/10"]),
    ],
)
def test_check_address_in_allow_list_passes(peer: str, allowed: list[str]) -> None:
    check_address(request_from(peer), allowed, [])


@pytest.mark.parametrize(
    ("peer", "allowed", "said"),
    [
        ("203.0.113.7", ["203.0.113.8/32"], "203.0.113.7 not allowed"),
        ("::ffff:203.0.113.7", ["198.51.100.0/24"], "203.0.113.7 not allowed"),
        ("2001:db8::5", ["0.0.0.0/0"], "2001:db8::5 not allowed"),
        ("203.0.113.7", ["::/0"], "203.0.113.7 not allowed"),
        (None, ["0.0.0.0/0"], "unknown not allowed"),
    ],
)
def test_check_address_outside_allow_list_names_it(
    peer: str | None, allowed: list[str], said: str
) -> None:
    with pytest.raises(Forbidden) as refused:
        check_address(request_from(peer), allowed, [])

    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("peer", "header", "answer"),
    [
        ("127.0.0.1", None, "here"),
        ("::1", None, "here"),
        ("::ffff:127.0.0.1", None, "here"),
        ("203.0.113.7", None, "elsewhere"),
        (None, None, "elsewhere"),
        *(("127.0.0.1", name, "elsewhere") for name in ("forwarded", "x-forwarded-for", "via")),
        ("127.0.0.1", "x-real-ip", "elsewhere"),
    ],
)
def test_request_of_this_machine_was_forwarded_by_no_proxy(
    peer: str | None, header: str | None, answer: str
) -> None:
    request = Request(
        {
            "type": "http",
            "client": (peer, 1234) if peer else None,
            "headers": [(header.encode(), b"127.0.0.1")] if header else [],
        }
    )

    assert is_from_this_machine(request) is (answer == "here")
