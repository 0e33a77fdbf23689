"""GATEWAY_CORS_ORIGINS opens routes of the API to pages, and nothing else; never with cookies."""

from collections.abc import Iterator

import httpx
import pytest

from gateway.contract.catalogue import catalogue
from gateway.contract.scopes import UserRole
from gateway.documents.surface import surface
from gateway.panel.discovery import find_pages
from tests.fixtures.panel import account_of, browser_of, people_of
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import NewHouse, RunningGateway, client_of

ORIGIN = "https://shop.example.com"
ALLOW = "access-control-allow-origin"


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_CORS_ORIGINS=ORIGIN, GATEWAY_METRICS_ON_PUBLIC="true") as gateway:
        yield gateway


def preflight(method: str) -> dict[str, str]:
    return {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,x-csrf-token",
    }


async def shown_to(http: httpx.AsyncClient, path: str) -> list[str]:
    """Returns the headers with which a path lets a page of another origin in."""
    found = []
    for method in ("GET", "POST"):
        asked = await http.options(path, headers=preflight(method))
        async with http.stream(method, path, headers={"Origin": ORIGIN}) as answer:
            found += [n for a in (asked, answer) for n in a.headers if n.startswith("access-")]
    return found


async def test_no_page_of_the_panel_lets_another_origin_in(house: RunningGateway) -> None:
    paths = {"/", "/panel", "/panel/nowhere", "/panel/assets/0/panel.css", "//panel/", "/panel/ "}
    paths |= {
        route.path.replace("{", "").replace("}", "") for p in find_pages() for route in p.routes
    }
    async with httpx.AsyncClient(base_url=house.base_url, timeout=PATIENCE_SECONDS) as http:
        opened = {path: found for path in paths if (found := await shown_to(http, path))}
    assert opened == {}


async def test_no_other_surface_lets_another_origin_in(house: RunningGateway) -> None:
    demo = house.demo().instance_id
    async with httpx.AsyncClient(base_url=house.base_url, timeout=PATIENCE_SECONDS) as http:
        for path in (
            f"/sandbox/{demo}",
            f"/sandbox/{demo}/sent",
            "/media/0/x",
            "/metrics",
            "/health",
            "/ready",
            "/docs",
            "/openapi.json",
            "/events/ws",
        ):
            assert await shown_to(http, path) == [], path
    internal = f"http://127.0.0.1:{house.internal_port}"
    async with httpx.AsyncClient(base_url=internal, timeout=PATIENCE_SECONDS) as http:
        for path in (
            "/metrics",
            f"/relay/{demo}/x",
            "/deferred/x/y/z",
            "/health",
            f"/instances/{demo}/token/x/y",
        ):
            assert await shown_to(http, path) == [], path


async def test_every_route_of_the_api_lets_the_origin_in_without_cookies(
    house: RunningGateway,
) -> None:
    async with client_of(house) as client:
        for path in (f"{client.instance}/queue", "/instances", *_absolute()):
            asked = await client.http.options(path, headers=preflight("POST"))
            assert asked.headers[ALLOW] == ORIGIN, path
            assert "access-control-allow-credentials" not in asked.headers
            read = await client.http.get(
                path, headers={"Origin": ORIGIN, "Cookie": "gateway_session=" + "0" * 64}
            )
            assert read.headers[ALLOW] == ORIGIN, path
            assert "access-control-allow-credentials" not in read.headers


def _absolute() -> set[str]:
    paths = {entry.path for entry in surface(catalogue()) if entry.absolute}
    return {path.replace("{", "").replace("}", "") for path in paths}


@pytest.mark.parametrize("origin", ["https://shop.example.com.evil.example", "null", ""])
async def test_another_origin_gets_nothing(origin: str, house: RunningGateway) -> None:
    async with client_of(house) as client:
        answer = await client.call("GET", "/queue", headers={"Origin": origin})
    assert ALLOW not in answer.headers


async def test_the_session_of_the_panel_opens_no_route_of_the_api(house: RunningGateway) -> None:
    """A page that may call the API gains nothing from a person who is signed in."""
    async with people_of(house) as people, client_of(house) as client:
        account_id = await account_of(client)
        session = await people.session_of(
            await people.add(UserRole.OWNER, account_id, password=None)
        )
    async with browser_of(house, session=session, Origin=ORIGIN) as http:
        page = await http.get("/panel/")
        route = await http.get("/account/instances")
    assert page.status_code == httpx.codes.OK
    assert route.status_code == httpx.codes.UNAUTHORIZED
