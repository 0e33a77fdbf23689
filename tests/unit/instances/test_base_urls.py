"""A Host header becomes a base URL with its reach, or nothing."""

import pytest

from gateway.instances.base_urls import BaseUrl, HostReach


@pytest.mark.parametrize(
    ("scheme", "host", "url", "reach"),
    [
        ("https", "wa.example.com", "https://wa.example.com", HostReach.PUBLIC),
        ("http", "WA.Example.COM.", "http://wa.example.com", HostReach.PUBLIC),
        ("https", "wa.example.com:443", "https://wa.example.com", HostReach.PUBLIC),
        ("http", "wa.example.com:443", "http://wa.example.com:443", HostReach.PUBLIC),
        ("http", "8.8.8.8:8080", "http://8.8.8.8:8080", HostReach.PUBLIC),
        ("http", "[2606:4700::1111]:80", "http://[2606:4700::1111]", HostReach.PUBLIC),
        ("http", "gateway:8080", "http://gateway:8080", HostReach.PRIVATE),
        ("http", "whats_app", "http://whats_app", HostReach.PRIVATE),
        (
            "http",
            "host.docker.internal:8080",
            "http://host.docker.internal:8080",
            HostReach.PRIVATE,
        ),
        ("http", "10.1.2.3:8080", "http://10.1.2.3:8080", HostReach.PRIVATE),
        ("http", "[fd00::1]:8080", "http://[fd00::1]:8080", HostReach.PRIVATE),
        ("http", "localhost:8080", "http://localhost:8080", HostReach.MACHINE),
        ("http", "a.localhost", "http://a.localhost", HostReach.MACHINE),
        ("http", "127.0.0.1:8080", "http://127.0.0.1:8080", HostReach.MACHINE),
        ("http", "[::1]:8080", "http://[::1]:8080", HostReach.MACHINE),
    ],
)
def test_parse_usable_host_gives_url_and_reach(
    scheme: str, host: str, url: str, reach: HostReach
) -> None:
    assert BaseUrl.parse(scheme, host) == BaseUrl(url, reach)


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        ":8080",
        "0.0.0.0:8080",
        "[::]:8080",
        "224.0.0.1",
        "wa.example.com:0",
        "wa.example.com:65536",
        "wa.example.com:",
        "wa.example.com:8080:1",
        "user@wa.example.com",
        "wa.example.com/path",
        "wa.example.com?x",
        "wa.example.com#x",
        "wa.example.com\n",
        "wa.example.com, other.example.com",
        "wa..example.com",
        "-wa.example.com",
        "2130706433",
        "127.1",
        "wa\u00e9.example.com",
        "wa.example.com:\u0661",
        "2001:db8::1",
        "[2001:db8::zz]",
        "[fe80::1%25eth0]",
        "[10.1.2.3]",
        "a" * 64 + ".example.com",
        "a." * 130 + "com",
        "x" * 100_000,
    ],
)
def test_parse_unusable_host_gives_nothing(host: str) -> None:
    assert BaseUrl.parse("http", host) is None


def test_parse_other_scheme_gives_nothing() -> None:
    assert BaseUrl.parse("javascript", "wa.example.com") is None
