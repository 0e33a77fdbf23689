"""A change needs the token of its session, and a page of this gateway."""

import pytest
from starlette.datastructures import Headers

from gateway.panel.addresses import own_path
from gateway.panel.csrf import csrf_token, is_own_form, is_own_page

HOSTS = {"wa.example.com"}


def test_the_token_of_another_session_is_refused() -> None:
    assert is_own_form(csrf_token("one"), "one")
    assert not is_own_form(csrf_token("one"), "two")
    assert not is_own_form("", "one")
    assert not is_own_form("\u00e9", "one")


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"sec-fetch-site": "same-origin", "origin": "https://inner"}, True),
        ({"sec-fetch-site": "same-site", "origin": "https://wa.example.com"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://wa.example.com"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({}, True),
    ],
)
def test_a_page_of_another_site_is_refused(headers: dict[str, str], *, own: bool) -> None:
    assert is_own_page(Headers(headers), HOSTS) is own


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/panel",
        "//evil.example",
        "/panel//evil.example",
        "/panel/\\evil",
        "/panel/\n",
        "/paneling",
        "/docs",
        "",
    ],
)
def test_a_redirect_leads_to_no_other_place(path: str) -> None:
    assert own_path(path) == ""
    assert own_path("/panel/queue?page=2") == "/panel/queue?page=2"
