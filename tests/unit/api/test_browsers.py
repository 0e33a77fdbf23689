"""Pages of allowed origins may call the API, and a slash too many is forgiven."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.api.browsers import CollapsedSlashes, CrossOrigin
from gateway.settings import Settings

ORIGIN = "https://shop.example.com"
ASKED = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "client-token,content-type",
}


async def show(request: Request) -> Response:
    return PlainTextResponse(request.scope["path"])


def client(*origins: str) -> httpx.AsyncClient:
    app = Starlette(
        routes=[Route("/{path:path}", show, methods=["GET", "POST"])],
        middleware=[
            Middleware(CollapsedSlashes),
            Middleware(CrossOrigin, origins=origins, is_api=lambda path: path == "/instances"),
        ],
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


@pytest.mark.parametrize(
    ("path", "read"),
    [("//instances", "/instances"), ("/a///b//c/", "/a/b/c/"), ("/a/b", "/a/b")],
)
async def test_slashes_are_collapsed(path: str, read: str) -> None:
    async with client() as http:
        answer = await http.get(f"http://gateway{path}")

    assert answer.text == read


async def test_page_of_an_allowed_origin_may_ask_and_read() -> None:
    async with client(ORIGIN) as http:
        asked = await http.options("/instances", headers=ASKED)
        read = await http.get("/instances", headers={"Origin": ORIGIN})

    assert asked.status_code == httpx.codes.OK
    assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "client-token" in asked.headers["Access-Control-Allow-Headers"]
    assert read.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in {**asked.headers, **read.headers}


async def test_other_origins_and_other_paths_get_nothing() -> None:
    async with client(ORIGIN) as http:
        other = await http.get("/instances", headers={"Origin": "https://evil.example"})
        panel = await http.get("/panel", headers={"Origin": ORIGIN})

    assert "Access-Control-Allow-Origin" not in other.headers
    assert "Access-Control-Allow-Origin" not in panel.headers


@pytest.mark.parametrize("origin", ["https://shop.example.com/", "*", "shop.example.com"])
def test_setting_with_anything_but_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(Exception, match="is no origin"):
        Settings.read({"GATEWAY_ENV": "development", "GATEWAY_CORS_ORIGINS": origin})
