"""Requests as clients and proxies frame them are served: K01, K11, K12, K18, K19, half-closed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.api.authentication import Authenticator, check_client_token, find_by_token
from gateway.api.browsers import CollapsedSlashes, CrossOrigin
from gateway.api.request_body import read_body
from gateway.api.request_limits import RequestLimits
from gateway.clock import Clock
from gateway.errors import Forbidden, Unauthorized, UnknownInstance, UnsupportedContentType
from gateway.instances.accounts import Accounts
from gateway.instances.store import Instances
from gateway.instances.tokens import hash_of
from gateway.runtime.http_server import HttpServer
from gateway.token_buckets import Rate
from tests.fixtures.patience import PATIENCE_SECONDS

BODY = {"phone": "5511999999999", "message": "java"}
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@asynccontextmanager
async def serving() -> AsyncIterator[HttpServer]:
    async def echo(request: Request) -> Response:
        return JSONResponse({"path": request.url.path, "body": (await request.body()).decode()})

    app = Starlette(routes=[Route("/{path:path}", echo, methods=["POST"])])
    http = HttpServer(app, host="127.0.0.1", port=0, drain_seconds=2.0)
    stopping = asyncio.Event()
    running = asyncio.create_task(http.run_until(stopping))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield http
    finally:
        stopping.set()
        await running


async def answer_of(http: HttpServer, written: bytes, *, half_closes: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    writer.write(written)
    if half_closes:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


# K01: an offer to upgrade.

PROTOCOLS = st.lists(
    st.sampled_from(["h2c", "h2", "TLS/1.0", "websocket", "IRC/6.9", "x"]), min_size=1, max_size=3
)
CONNECTION = st.permutations(["Upgrade", "HTTP2-Settings", "close"])
_CASES: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper)
CASES = st.sampled_from(_CASES)


@st.composite
def offers(draw: st.DrawFn) -> str:
    lines = [
        f"Upgrade: {', '.join(draw(PROTOCOLS))}",
        f"Connection: {', '.join(draw(CONNECTION))}",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        f"X-Padding: {'x' * draw(st.integers(0, 40))}",
    ]
    return "\r\n".join(draw(CASES)(line) for line in draw(st.permutations(lines)))


@settings(max_examples=15, deadline=None, phases=[Phase.generate])  # no shrinking: it waits
@given(st.lists(st.tuples(offers(), st.booleans()), min_size=1, max_size=8))
async def test_request_that_offers_an_upgrade_keeps_its_body(
    requests: list[tuple[str, bool]],
) -> None:
    body = json.dumps(BODY).encode()
    async with serving() as http:
        for offer, is_chunked in requests:
            framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}"
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
            head = f"POST /send-text HTTP/1.1\r\nHost: x\r\n{offer}\r\n{framing}\r\n\r\n"

            answer = await answer_of(http, head.encode() + content)

            assert answer.startswith(b"HTTP/1.1 200 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["body"] == body.decode()


async def test_client_that_closes_its_side_after_the_request_is_answered() -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    async with serving() as http:
        whole = await answer_of(http, head + b"{}", half_closes=True)
        cut = await answer_of(http, head + b"{", half_closes=True)

    assert whole.startswith(b"HTTP/1.1 200 ")
    assert json.loads(whole.partition(b"\r\n\r\n")[2])["body"] == "{}"
    assert not cut.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("surplus", [b"[]", b"{}", b"\r\n\x00", b"GET"])
@pytest.mark.parametrize("line", [b"", b"Connection: close\r\n"])
async def test_request_with_a_body_that_it_does_not_announce_is_answered(
    surplus: bytes, line: bytes
) -> None:
    """Node's http module sends a DELETE so."""
    async with serving() as http:
        answer = await answer_of(
            http, b"POST /a HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n" + surplus, half_closes=True
        )

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


# K11: white space around a token.

BLANKS = st.text(" \t", max_size=3)
ESCAPED = st.text(" \t\r\n", max_size=3)


class OneInstance:
    """Knows the instance ID with the token TOKEN."""

    async def find(self, instance_id: str) -> Any:
        found = SimpleNamespace(
            token_hash=hash_of("TOKEN"),
            client_token_required=True,
            client_token_hash=hash_of("CLIENT"),
        )
        return found if instance_id == "ID" else None


@FEW
@given(BLANKS, BLANKS, ESCAPED, ESCAPED)
async def test_white_space_is_no_part_of_a_token(
    before: str, after: str, escaped_before: str, escaped_after: str
) -> None:
    known = cast("Instances", OneInstance())

    found = await find_by_token(
        known, f"{escaped_before}ID{escaped_after}", f"{escaped_before}TOKEN{escaped_after}"
    )

    check_client_token(found, Headers({"Client-Token": f"{before}CLIENT{after}"}))
    with pytest.raises(Forbidden):
        check_client_token(found, Headers({"Client-Token": f"{before}CLI ENT{after}"}))
    with pytest.raises(UnknownInstance):
        await find_by_token(known, "ID", f"{before}TO KEN{after}")


class OneAccount:
    """Knows the account of the token PARTNER."""

    async def find_by_token(self, token: str) -> Any:
        found = SimpleNamespace(
            id="A", allowed_addresses=(), key=None, is_found_by_client_token=False
        )
        return found if token == "PARTNER" else None


@FEW
@given(
    st.sampled_from(["Bearer", "bearer", "BEARER"]),
    st.text(" \t", min_size=1, max_size=3),
    BLANKS,
    BLANKS,
)
async def test_white_space_is_no_part_of_a_bearer_token(
    scheme: str, between: str, before: str, after: str
) -> None:
    unlimited = Rate(0, 0)
    limits = RequestLimits(Clock(), account=unlimited, instance=unlimited)
    written = f"{before}{scheme}{between}PARTNER{after}".encode()
    request = Request({"type": "http", "client": None, "headers": [(b"authorization", written)]})

    account = await Authenticator(limits, ()).account(request, cast("Accounts", OneAccount()))

    assert account.id == "A"


# K12: slashes too many, and what was copied with the address.


@FEW
@given(
    st.lists(st.sampled_from(["instances", "ID", "token", "T", "send-text"]), min_size=1),
    st.lists(st.integers(1, 4), min_size=6, max_size=6),
    st.sampled_from(["", "/", "//", " ", "\n", "\u00a0", "/ "]),
)
async def test_slashes_too_many_and_blanks_change_no_path(
    parts: list[str], counts: list[int], end: str
) -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["path"])

    async def nothing(*_message: object) -> Any:
        raise AssertionError

    written = "".join("/" * count + part for part, count in zip(parts, counts, strict=False))
    scope = {"type": "http", "path": written + end}
    await CollapsedSlashes(app)(scope, nothing, nothing)

    (read,) = seen
    assert read.rstrip("/") == "/" + "/".join(parts[: len(counts)])
    assert "//" not in read


# K18: pages of other origins.

ORIGINS = st.from_regex(r"https?://[a-z]{1,8}(\.[a-z]{2,5})?(:[0-9]{2,4})?", fullmatch=True)


@FEW
@given(ORIGINS, ORIGINS, st.sampled_from(["POST", "PUT", "DELETE", "GET"]))
async def test_only_allowed_origins_may_call(allowed: str, other: str, method: str) -> None:
    async def fail(_request: Request) -> Response:
        return PlainTextResponse("no", status_code=403)

    app = Starlette(
        routes=[Route("/instances", fail, methods=["POST", "PUT", "DELETE", "GET"])],
        middleware=[Middleware(CrossOrigin, origins=[allowed], is_api=lambda _path: True)],
    )
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-a"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        for origin in {allowed, other}:
            preflight = await http.options("/instances", headers={"Origin": origin, **asked})
            answer = await http.request(method, "/instances", headers={"Origin": origin})
            shown = origin if origin == allowed else None

            assert preflight.headers.get("Access-Control-Allow-Origin") == shown
            assert answer.headers.get("Access-Control-Allow-Origin") == shown
            assert preflight.is_success is (origin == allowed)


# K19: a compressed request; K08: a body of nothing.

CODINGS = st.sampled_from(["gzip", "br", "deflate", "zstd", "x-gzip", "compress", "snappy"])
OTHERS = st.sampled_from(["identity", "utf-8", "", "none", "aws-chunked"])


def with_body(body: bytes, *headers: tuple[bytes, bytes]) -> Request:
    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers)}
    return Request(scope, receive)


@FEW
@given(CODINGS, st.lists(OTHERS, max_size=2), st.sampled_from([str, str.upper]), st.data())
async def test_compressed_body_is_refused_by_its_name(
    coding: str, others: list[str], spelled: Any, data: st.DataObject
) -> None:
    codings = data.draw(st.permutations([coding, *others]))
    headers = ((b"content-encoding", spelled(", ".join(codings)).encode()),)
    is_json = (b"content-type", b"application/json")

    with pytest.raises(UnsupportedContentType, match=f"^Content-Encoding {coding} is not"):
        await read_body(with_body(b"\x1f\x8b\x08", is_json, *headers), limit_bytes=100)


@FEW
@given(st.lists(OTHERS, max_size=3))
async def test_body_with_a_coding_that_is_none_is_read(others: list[str]) -> None:
    headers = ((b"content-encoding", ", ".join(others).encode()),)
    is_json = (b"content-type", b"application/json")

    _print, raw = await read_body(with_body(b'{"a": 1}', is_json, *headers), limit_bytes=100)

    assert raw == b'{"a": 1}'


@FEW
@given(
    st.sampled_from([b"[]", b"{}", b"null", b'""', b"[ ]", b"", b" {\n} "]),
    st.sampled_from([b"", b"text/plain", b"application/x-www-form-urlencoded", b"*/*"]),
    st.text(" \r\n\t", max_size=4),
)
async def test_body_of_nothing_needs_no_type(body: bytes, media_type: bytes, blank: str) -> None:
    written = blank.encode() + body + blank.encode()

    _print, raw = await read_body(
        with_body(written, (b"content-type", media_type)), limit_bytes=100
    )

    assert raw == written


async def test_caller_without_a_token_is_refused() -> None:
    limits = RequestLimits(Clock(), account=Rate(0, 0), instance=Rate(0, 0))
    request = Request(
        {"type": "http", "client": None, "headers": [(b"authorization", b"Bearer PARTNER two")]}
    )

    with pytest.raises(Unauthorized):
        await Authenticator(limits, ()).account(request, cast("Accounts", OneAccount()))
