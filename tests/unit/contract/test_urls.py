"""A URL is read as people paste it."""

import pytest

from gateway.contract.building import build
from gateway.contract.urls import written_url
from gateway.contract.zapi.messages.media import SendImage
from gateway.contract.zapi.webhooks import SetConnectedWebhook


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://example.com/a.png", "https://example.com/a.png"),
        ("  https://example.com/a.png\n", "https://example.com/a.png"),
        ("<https://example.com/a.png>", "https://example.com/a.png"),
        ("https://example.com/a b.png", "https://example.com/a%20b.png"),
        ("https://example.com/?u=a b&v=%20", "https://example.com/?u=a%20b&v=%20"),
        ("https://example.com/caf\u00e9", "https://example.com/caf%C3%A9"),
        ("https://b\u00fccher.example/", "https://xn--bcher-kva.example/"),
        ("HTTPS://EXAMPLE.com/A", "HTTPS://EXAMPLE.com/A"),
        ("  aGVsbG8=", "  aGVsbG8="),
        ("ftp://example.com", "ftp://example.com"),
        (7, 7),
    ],
)
def test_url_is_read_without_what_surrounds_it(written: object, read: object) -> None:
    assert written_url(written) == read


def test_webhook_and_picture_are_read_alike() -> None:
    pasted, url = " <https://example.com/caf\u00e9 1> ", "https://example.com/caf%C3%A9%201"

    assert build(SetConnectedWebhook, {"value": pasted}).value == url
    assert build(SendImage, {"phone": "5511999999999", "image": pasted}).image == url
