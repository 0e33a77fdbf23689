"""What a person sees when something is wrong, without a database."""

import os
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.panel.app import build_panel
from gateway.panel.error_pages import RETRY_SECONDS
from gateway.panel.request_limits import PanelLimits
from gateway.panel.services import PanelContext, RequestOrigin

PROFILE = "/panel/profile?tab=1"
SESSION = {"Cookie": "gateway_session=" + "0" * 64}


class Sessions:
    """Finds no session, or fails as the test says."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def find(self, token: str, *, is_request: bool = False) -> None:
        if self.error:
            raise self.error


def browser(sessions: Sessions | None, *, per_second: float = 0) -> httpx.AsyncClient:
    services: Any = None
    if sessions:
        services = SimpleNamespace(
            gateway=SimpleNamespace(sign_in=SimpleNamespace(sessions=sessions))
        )
    context = PanelContext(
        services=lambda: services,
        origin=RequestOrigin(lambda _: "203.0.113.7", lambda _: "http://localhost", lambda _: True),
        clock=Clock(),
        random_bytes=os.urandom,
        limits=PanelLimits(Clock(), per_second),
        patience_seconds=5,
        has_docs=False,
    )
    app = Starlette(routes=list(build_panel(context)))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://localhost",
        headers={"Accept-Language": "en", **SESSION},
    )


async def test_page_of_an_absent_database_says_so_and_comes_back() -> None:
    sessions = Sessions()
    async with browser(sessions) as http:
        sessions.error = DatabaseUnavailable("connection refused")
        away = await http.get(PROFILE)
        changed = await http.post(PROFILE, data={"name": "Ana"})
        part = await http.get("/panel/switch/instances", headers={"HX-Request": "true"})
        sessions.error = None
        back = await http.get(PROFILE)

    assert away.status_code == changed.status_code == part.status_code == 503
    assert "The database does not answer" in away.text
    assert away.headers["retry-after"] == str(RETRY_SECONDS)
    assert f'content="{RETRY_SECONDS};url={PROFILE}"' in away.text
    # A change is not sent again by itself: its page is opened.
    assert f'content="{RETRY_SECONDS};url=/panel/profile"' in changed.text
    assert "connection refused" not in away.text
    assert back.headers["location"].startswith("/panel/sign-in")


async def test_page_before_the_gateway_is_ready_comes_back() -> None:
    async with browser(None) as http:
        page = await http.get(PROFILE)

    assert page.status_code == 503
    assert "The gateway is starting" in page.text
    assert f'content="{RETRY_SECONDS};url={PROFILE}"' in page.text


async def test_page_of_an_unexpected_error_shows_nothing_of_it() -> None:
    sessions = Sessions()
    sessions.error = RuntimeError("secret detail")
    async with browser(sessions) as http:
        page = await http.get(PROFILE)

    assert page.status_code == 500
    assert "Something went wrong" in page.text
    assert "secret detail" not in page.text
    assert "Traceback" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/panel/sign-in", "/panel/profile", "/panel/live"])
async def test_an_address_over_its_rate_is_asked_to_wait(path: str) -> None:
    async with browser(Sessions(), per_second=0.02) as http:
        await http.get(path)
        refused = await http.get(path)
        asset = await http.get("/panel/assets/0/panel.css")

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "Too many requests" in refused.text
    assert asset.status_code == 200
