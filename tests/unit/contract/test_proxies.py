"""Which proxies are understood, and that no password is shown."""

import pytest
from pydantic import ValidationError

from gateway.contract.extensions.proxies import Proxy, SetProxy, TryProxy


@pytest.mark.parametrize(
    "url",
    [
        "http://proxy.example.com:8080",
        "HTTPS://proxy.example.com:443/",
        "socks5://10.0.0.7:1080",
        "socks5://user:pass%40word@[::1]:1080",
        "http://user@127.0.0.1:3128",
    ],
)
def test_a_proxy_is_taken_as_it_is(url: str) -> None:
    assert SetProxy(proxy_url=url).proxy_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.example.com:8080",
        "socks4://proxy.example.com:1080",
        "ftp://proxy.example.com:21",
        "http://proxy.example.com",
        "http://proxy.example.com:0",
        "http://proxy.example.com:65536",
        "http://:8080",
        "http://proxy..example.com:8080",
        "http://[1::2::3]:8080",
        "http://proxy.example.com:8080/path",
        "http://proxy.example.com:8080?query=1",
        "http://proxy.example.com:8080\r\nHost: elsewhere",
        "http://user:pass word@proxy.example.com:8080",
        "http://user:100%@proxy.example.com:8080",
        f"http://user:{'x' * 256}@proxy.example.com:8080",
    ],
)
def test_wrong_proxy_url_is_not_repeated_in_the_error(url: str) -> None:
    with pytest.raises(ValidationError, match=r"must (look like|name a port)") as caught:
        TryProxy(proxy_url=url)
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:secret@proxy.example.com:1", "http://user:***@proxy.example.com:1"),
        ("http://:secret@proxy.example.com:1", "http://:***@proxy.example.com:1"),
        ("http://user@proxy.example.com:1", "http://user@proxy.example.com:1"),
        ("socks5://[::1]:1080", "socks5://[::1]:1080"),
    ],
)
def test_only_the_password_is_masked(url: str, shown: str) -> None:
    proxy = Proxy(proxy_url=url)

    assert proxy.shown_url == shown
    assert "secret" not in repr(proxy)
