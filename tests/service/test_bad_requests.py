"""A wrong request gets a clear answer, queues nothing, and puts no secret into the log."""

import asyncio
import base64
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres import PostgresServer, new_database
from tests.fixtures.service import (
    Client,
    NewHouse,
    RunningGateway,
    client_of,
    running_gateway,
    until,
)

GOOD: dict[str, Any] = {"phone": "5511999999999", "message": "Hello"}
JSON = {"Content-Type": "application/json"}
ISO = "such as 2026-01-31T12:00:00Z"
NOT_AN_AGE = f"olderThan: must be a time with an offset, {ISO}, or seconds"
MEGABYTE = 1_000_000
NOT_FOUND = {
    "error": "NOT_FOUND",
    "message": "Unable to find matching target resource method",
}


@pytest.fixture(scope="module")
def served(new_house: NewHouse) -> Iterator[RunningGateway]:
    """A gateway whose queue waits, and which logs at DEBUG."""
    with new_house(
        GATEWAY_PACE_MIN_SECONDS="600",
        GATEWAY_PACE_MAX_SECONDS="600",
        GATEWAY_LOG_LEVEL="DEBUG",
    ) as gateway:
        yield gateway


@pytest.fixture
async def caller(served: RunningGateway) -> AsyncIterator[Client]:
    """A client that must leave the queue empty and the gateway running."""
    async with client_of(served) as client:
        yield client
        assert await waiting(client) == 0
        assert served.process is not None
        assert served.process.poll() is None


async def waiting(client: Client) -> int:
    count: int = (await client.call("GET", "/queue/count")).json()["count"]
    return count


async def cleared(client: Client) -> int:
    removed: int = (await client.call("DELETE", "/queue")).json()["removed"]
    return removed


def refused(answer: httpx.Response, status: int, sentence: str) -> None:
    assert (answer.status_code, answer.json()) == (
        status,
        {"error": sentence, "message": sentence},
    )
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


# --- who calls


async def test_wrong_id_and_wrong_token_get_the_same_answer(caller: Client) -> None:
    demo = caller.demo
    other = "0" * 32
    answers = [
        await caller.http.post(f"/instances/{instance_id}/token/{token}/send-text", json=GOOD)
        for instance_id, token in [
            (other, demo.instance_token),
            (demo.instance_id, other),
            (demo.instance_id, demo.instance_token.lower()),
            (demo.instance_id, demo.client_token),
            (other, other),
            ("%00", demo.instance_token),
            (demo.instance_id, "%00"),
            ("%F0%9F%98%80", "x" * 3_000),
        ]
    ]

    for answer in answers:
        refused(answer, 404, "Instance not found")
    assert len({answer.content for answer in answers}) == 1


async def test_wrong_token_is_reported_before_client_token(served: RunningGateway) -> None:
    async with httpx.AsyncClient(base_url=served.base_url) as http:
        answer = await http.post("/instances/a/token/b/send-text", json=GOOD)

    refused(answer, 404, "Instance not found")


async def test_missing_client_token_answers_as_z_api(
    caller: Client, served: RunningGateway
) -> None:
    async with httpx.AsyncClient(base_url=served.base_url) as http:
        for method, path in [("POST", "/send-text"), ("GET", "/queue"), ("DELETE", "/queue")]:
            refused(await http.request(method, caller.instance + path), 403, "null not allowed")


@pytest.mark.parametrize("given", ["", "wrong", "0" * 32, "x" * 5_000])
async def test_wrong_client_token_answers_as_z_api(caller: Client, given: str) -> None:
    answer = await caller.call("POST", "/send-text", json=GOOD, headers={"Client-Token": given})

    refused(answer, 403, "Client-Token not allowed")


async def test_non_ascii_client_token_is_wrong(caller: Client) -> None:
    answer = await caller.call(
        "POST", "/send-text", json=GOOD, headers=[(b"Client-Token", b"\xe9\xff")]
    )

    assert answer.status_code == 403


# --- what they call


@pytest.mark.parametrize(
    "path",
    ["/send-texts", "/send-text/more", "/", "", "/queue/a/b", "/%00", "/..", "/send-text%2F.."],
)
async def test_unknown_route_answers_as_z_api(caller: Client, path: str) -> None:
    answer = await caller.call("POST", path, json=GOOD)

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_unknown_path_outside_instances_answers_404(caller: Client) -> None:
    for path in ("/", "/instance", "/instances/a/b", "/send-text", "/health/", "/sandbox"):
        answer = await caller.http.get(path)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND), path


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/send-text", "POST"),
        ("DELETE", "/send-text", "POST"),
        ("OPTIONS", "/send-text", "POST"),
        ("PATCH", "/queue", "DELETE, GET, POST"),
        ("PUT", "/queue/count", "DELETE, GET"),
    ],
)
async def test_wrong_method_answers_405_with_allow(
    caller: Client, method: str, path: str, allowed: str
) -> None:
    answer = await caller.call(method, path, json=GOOD)

    refused(answer, 405, "Method not allowed")
    assert answer.headers["allow"] == allowed


# --- what they write


@pytest.mark.parametrize("headers", [{}, JSON, {"Content-Type": "text/plain"}])
async def test_missing_body_is_an_empty_object(caller: Client, headers: dict[str, str]) -> None:
    answer = await caller.call("POST", "/send-text", headers=headers)

    refused(answer, 400, "phone: is required")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_read_json_other_type_is_refused(caller: Client, content_type: str) -> None:
    answer = await caller.call(
        "POST", "/send-text", content=json.dumps(GOOD), headers={"Content-Type": content_type}
    )

    refused(answer, 415, "Content-Type must be application/json")


async def test_body_without_type_is_refused(caller: Client) -> None:
    request = caller.http.build_request(
        "POST", f"{caller.instance}/send-text", content=json.dumps(GOOD)
    )
    request.headers.pop("content-type", None)

    refused(await caller.http.send(request), 415, "Content-Type must be application/json")


@pytest.mark.parametrize(
    "written",
    [
        b"{",
        b"not json",
        b"{'phone': '5511999999999'}",
        b'{"phone": "5511999999999", "message": "Hello",}',
        b'{"phone": "5511999999999", "message": NaN}',
        b'{"phone": "5511999999999", "message": "\xff"}',
        b'{"phone": "5511999999999", "message": "\\ud800"}',
        b'{"phone": "5511999999999", "message": "a\x00b"}',
        b"[" * 100_000,
        b"\x1f\x8b\x08\x00",
    ],
)
async def test_broken_json_is_refused(caller: Client, written: bytes) -> None:
    answer = await caller.call("POST", "/send-text", content=written, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("The body is not valid JSON: ")
    assert answer.json()["error"] == answer.json()["message"]


@pytest.mark.parametrize("written", [b"[]", b"null", b'"text"', b"7", b"true", b"[{}]"])
async def test_json_other_than_object_is_refused(caller: Client, written: bytes) -> None:
    answer = await caller.call("POST", "/send-text", content=written, headers=JSON)

    refused(answer, 400, "The body must be a JSON object")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "phone: is required"),
        ({"message": "Hello"}, "phone: is required"),
        ({"phone": "5511999999999"}, "message: is required"),
        ({**GOOD, "message": None}, "message: is required"),
        ({**GOOD, "message": ""}, "message: must not be empty"),
        ({**GOOD, "message": "x" * 65_537}, "message: must be at most 65536 characters"),
        ({**GOOD, "message": {"text": "Hello"}}, "message: must be a text"),
        ({**GOOD, "message": ["Hello"]}, "message: must be a text"),
        ({**GOOD, "message": True}, "message: must be a text"),
        ({**GOOD, "phone": "123"}, "Invalid phone"),
        ({**GOOD, "phone": ""}, "Invalid phone"),
        ({**GOOD, "phone": {}}, "Invalid phone"),
        ({**GOOD, "phone": "1" * 100_000}, "Invalid phone"),
        ({**GOOD, "phone": "\u0661\u0662\u0663\u0664\u0665\u0666\u0667-group"}, "Invalid phone"),
        ({**GOOD, "delayMessage": "soon"}, "delayMessage: must be a number of seconds"),
        ({**GOOD, "delayMessage": {}}, "delayMessage: must be a number of seconds"),
        ({**GOOD, "delayTyping": True}, "delayTyping: must be a number of seconds"),
        ({**GOOD, "priority": "urgent"}, "priority: must be high, normal or bulk"),
        ({**GOOD, "priority": 9}, "priority: must be high, normal or bulk"),
        ({**GOOD, "privateAnswer": "maybe"}, "privateAnswer: must be true or false"),
        ({**GOOD, "messageId": []}, "messageId: must be a text"),
        ({**GOOD, "editMessageId": {}}, "editMessageId: must be a text"),
        ({**GOOD, "mentioned": "5511999999999"}, "mentioned: must be a list"),
        ({**GOOD, "mentioned": ["x"]}, "Invalid phone"),
        ({**GOOD, "groupMentioned": [7]}, "groupMentioned.0: must be an object"),
        (
            {**GOOD, "groupMentioned": [{"phone": "120363019502650977-group"}]},
            "groupMentioned.0.subject: is required",
        ),
        ({**GOOD, "scheduledFor": "x"}, f"scheduledFor: must be a time with an offset, {ISO}"),
        ({**GOOD, "scheduledFor": {}}, f"scheduledFor: must be a time with an offset, {ISO}"),
        (
            {**GOOD, "scheduledFor": "2099-01-31T12:00:00"},
            f"scheduledFor: must name its offset, {ISO}",
        ),
        ({**GOOD, "scheduledFor": "2020-01-01T00:00:00Z"}, "scheduledFor: must be in the future"),
        (
            {**GOOD, "scheduledFor": "0001-01-01T00:00:00+23:59"},
            "scheduledFor: must be in the future",
        ),
        (
            {**GOOD, "scheduledFor": "9999-12-31T23:59:59-23:59"},
            "scheduledFor: must be at most 90 days ahead",
        ),
        ({**GOOD, "message": "a\x00b"}, "The body holds a NUL character: remove it"),
        ({**GOOD, "phone": "5511999999999\x00"}, "The body holds a NUL character: remove it"),
        ({**GOOD, "\x00": 1}, "The body holds a NUL character: remove it"),
    ],
)
async def test_wrong_body_gets_one_sentence_about_the_field(
    caller: Client, body: dict[str, Any], sentence: str
) -> None:
    refused(await caller.call("POST", "/send-text", json=body), 400, sentence)


async def test_schedule_is_accepted_up_to_90_days_ahead(
    caller: Client,
) -> None:
    limit = datetime.now(UTC) + timedelta(days=90)
    beyond, within = (limit + timedelta(minutes=m) for m in (5, -5))

    late = await caller.call(
        "POST", "/send-text", json={**GOOD, "scheduledFor": beyond.isoformat()}
    )
    soon = await caller.call(
        "POST", "/send-text", json={**GOOD, "scheduledFor": within.isoformat()}
    )

    refused(late, 400, "scheduledFor: must be at most 90 days ahead")
    assert datetime.fromisoformat(soon.json()["scheduledFor"]) == within
    assert await cleared(caller) == 1


async def test_text_of_65536_characters_is_accepted(caller: Client) -> None:
    answer = await caller.call(
        "POST", "/send-text", json={**GOOD, "message": "\U0001f600" * 65_536}
    )

    assert answer.status_code == 200
    assert await cleared(caller) == 1


async def test_text_backslash_u0000_is_accepted_unchanged(caller: Client) -> None:
    answer = await caller.call("POST", "/send-text", json={**GOOD, "message": "\\u0000"})
    queue = (await caller.call("GET", "/queue")).json()

    assert answer.status_code == 200
    assert [item["Message"] for item in queue] == ["\\u0000"]
    assert await cleared(caller) == 1


async def test_nested_nul_is_refused(caller: Client) -> None:
    written = b'{"a":' * 1_000 + b'"\\u0000"' + b"}" * 1_000

    answer = await caller.call("POST", "/send-text", content=written, headers=JSON)

    refused(answer, 400, "The body holds a NUL character: remove it")


@pytest.mark.parametrize(
    ("method", "path", "sentence"),
    [
        ("GET", "/queue?page=x", "page: must be a whole number"),
        ("GET", "/queue?phone=1", "Invalid phone"),
        ("GET", "/queue?type=%00", "The address holds a NUL character"),
        (
            "GET",
            "/queue?status=sent",
            "status: must be one of pending, scheduled, processing, retrying",
        ),
        ("DELETE", "/queue/%00", "The address holds a NUL character"),
        ("DELETE", "/queue?olderThan=1e400", NOT_AN_AGE),
        ("DELETE", "/queue?olderThan=nan", NOT_AN_AGE),
    ],
)
async def test_wrong_query_or_path_is_refused(
    caller: Client, method: str, path: str, sentence: str
) -> None:
    refused(await caller.call(method, path), 400, sentence)


@pytest.mark.parametrize(
    "cursor",
    ["?", "é", base64.urlsafe_b64encode(b"9" * 30).decode(), base64.b64encode(b"-1").decode()],
)
async def test_unknown_cursor_is_refused(caller: Client, cursor: str) -> None:
    answer = await caller.call("POST", "/queue", json={"pagingState": cursor})

    refused(answer, 400, "pagingState: must be the value that the page before returned")


async def test_remove_from_queue_follows_path_not_body(caller: Client) -> None:
    first, removed = [await caller.send_text(text) for text in ("first", "removed")]

    answer = await caller.call(
        "DELETE", f"/queue/{removed['zaapId']}", json={"zaapId": first["zaapId"]}
    )
    queue = (await caller.call("GET", "/queue")).json()

    assert answer.status_code == 200
    assert [item["ZaapId"] for item in queue] == [first["zaapId"]]
    assert await cleared(caller) == 1


# --- repeating oneself


async def test_repeated_idempotency_key_gets_the_first_answer(caller: Client) -> None:
    headers = {"Idempotency-Key": "the same"}

    answers = [
        await caller.call("POST", "/send-text", json=GOOD, headers=headers) for _ in range(3)
    ]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.content for answer in answers}) == 1
    assert await cleared(caller) == 1


async def test_idempotency_key_with_other_body_is_refused(caller: Client) -> None:
    headers = {"Idempotency-Key": "one body"}
    await caller.call("POST", "/send-text", json=GOOD, headers=headers)

    answer = await caller.call(
        "POST", "/send-text", json={**GOOD, "message": "another"}, headers=headers
    )

    refused(answer, 422, "Idempotency-Key was already used with another body")
    assert await cleared(caller) == 1


async def test_idempotency_key_is_accepted_up_to_255_characters(caller: Client) -> None:
    long, longest = [
        await caller.call("POST", "/send-text", json=GOOD, headers={"Idempotency-Key": "k" * n})
        for n in (256, 255)
    ]

    refused(long, 400, "Idempotency-Key: must be at most 255 characters")
    assert longest.status_code == 200
    assert await cleared(caller) == 1


async def test_refused_request_does_not_use_its_idempotency_key(caller: Client) -> None:
    headers = {"Idempotency-Key": "second try"}
    await caller.call("POST", "/send-text", json={**GOOD, "message": ""}, headers=headers)

    answer = await caller.call("POST", "/send-text", json=GOOD, headers=headers)

    assert answer.status_code == 200
    assert await cleared(caller) == 1


# --- ids of requests


async def test_request_id_of_caller_is_returned(caller: Client) -> None:
    for status, path in [(200, "/queue"), (404, "/nothing"), (405, "/send-text")]:
        answer = await caller.call("GET", path, headers={"X-Request-Id": "mine-1"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, "mine-1")


async def test_request_id_with_control_characters_is_replaced(caller: Client) -> None:
    for given in (b"x" * 65, b"tab\there", b"\xe9"):
        answer = await caller.call("GET", "/queue", headers=[(b"X-Request-Id", given)])
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


# --- too much


def memory_peak_kilobytes(gateway: RunningGateway) -> int:
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1])


def head(client: Client, *lines: str, path: str = "/send-text") -> bytes:
    """Returns the head of a request, as bytes."""
    return "\r\n".join(
        [
            f"POST {client.instance}{path} HTTP/1.1",
            "Host: gateway",
            f"Client-Token: {client.demo.client_token}",
            "Content-Type: application/json",
            *lines,
            "",
            "",
        ]
    ).encode()


def exchange(port: int, written: bytes, *, hang_up: bool = False) -> bytes:
    """Sends raw bytes and returns the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as raw:
        with suppress(ConnectionError):  # the server may close first
            raw.sendall(written)
            if hang_up:
                return b""
            raw.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            while data := raw.recv(65_536):
                answer += data
        return answer


@pytest.mark.parametrize("announced", [True, False])
async def test_body_of_20_megabytes_is_refused_without_being_stored(
    caller: Client, served: RunningGateway, *, announced: bool
) -> None:
    body = b'{"phone": "5511999999999", "message": "' + b"x" * 20 * MEGABYTE + b'"}'
    if announced:
        written = head(caller, f"Content-Length: {len(body)}") + body
    else:
        chunk = b"%x\r\n%s\r\n" % (len(body), body)
        written = head(caller, "Transfer-Encoding: chunked") + chunk + b"0\r\n\r\n"
    before = memory_peak_kilobytes(served)

    answers = [await asyncio.to_thread(exchange, served.port, written) for _ in range(3)]
    after = await caller.call("GET", "/queue")

    for answer in answers:
        first, _, rest = answer.partition(b"\r\n")
        assert first == b"HTTP/1.1 413 Request Entity Too Large"
        assert json.loads(rest.partition(b"\r\n\r\n")[2]) == {
            "error": "The body is larger than 1048576 bytes",
            "message": "The body is larger than 1048576 bytes",
        }
    assert after.status_code == 200
    assert memory_peak_kilobytes(served) - before < 16_000


async def test_client_that_writes_first_still_reads_413(caller: Client) -> None:
    answer = await caller.call("POST", "/send-text", content=b"x" * 20 * MEGABYTE, headers=JSON)

    assert answer.status_code == 413


# --- broken connections


async def test_garbage_on_the_wire_gets_an_answer(caller: Client, served: RunningGateway) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        answer = await asyncio.to_thread(exchange, served.port, garbage)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")

    assert (await caller.call("GET", "/queue")).status_code == 200


async def test_client_that_disconnects_leaves_nothing(
    caller: Client, served: RunningGateway
) -> None:
    whole = json.dumps(GOOD).encode()
    halves = [
        b"POST /instances",
        head(caller, "Content-Length: 100")[:-2],
        head(caller, "Content-Length: 100"),
        head(caller, "Content-Length: 100") + whole,
        head(caller, "Transfer-Encoding: chunked") + b"ff\r\n" + whole,
        head(caller, "Transfer-Encoding: chunked") + b"zz\r\n" + whole,
    ]
    for half in halves:
        await asyncio.to_thread(exchange, served.port, half, hang_up=True)
        await asyncio.to_thread(exchange, served.port, half)

    assert await waiting(caller) == 0


async def test_many_broken_connections_do_not_block_others(
    caller: Client, served: RunningGateway
) -> None:
    half = head(caller, "Content-Length: 100") + b"{"

    open_ones = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(100)]
    try:
        for raw in open_ones:
            raw.sendall(half)
        answer = await caller.call("GET", "/queue")
    finally:
        for raw in open_ones:
            raw.close()

    assert answer.status_code == 200


async def test_endless_header_is_refused(caller: Client, served: RunningGateway) -> None:
    written = head(caller)[:-2] + b"X-Long: " + b"x" * MEGABYTE

    answer = await asyncio.to_thread(exchange, served.port, written)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert (await caller.call("GET", "/queue")).status_code == 200


# --- what remains


async def test_log_holds_no_secret_and_no_text(caller: Client, served: RunningGateway) -> None:
    demo, text = caller.demo, "quixotic zephyr"
    other = "5E5AFE" * 5 + "5E"
    await caller.send_text(text)
    await caller.call("POST", "/send-text", json={**GOOD, "phone": text, "message": text})
    await caller.call("POST", "/send-text", json={**GOOD, "message": [text], "priority": text})
    await caller.call("POST", "/send-text", content=f'{{"message": "{text}', headers=JSON)
    await caller.call("POST", f"/{text}", params={"text": text})
    await caller.call("PATCH", "/send-text", json={"message": text})
    await caller.call("GET", "/queue", params={"page": text})
    await caller.call("DELETE", f"/queue/{text}")
    await caller.call("POST", "/send-text", json=GOOD, headers={"Idempotency-Key": text * 30})
    await caller.http.post(f"/instances/{demo.instance_id}/token/{other}/send-text", json=GOOD)
    await caller.call("POST", "/send-text", json=GOOD, headers={"Client-Token": other})
    await asyncio.to_thread(exchange, served.port, head(caller) + text.encode())
    await asyncio.to_thread(exchange, served.port, f"{text} {other}\r\n\r\n".encode())
    await caller.call("GET", "/nothing", headers={"X-Request-Id": "the-last-one"})
    assert await cleared(caller) == 1

    log = await until(_read_log(served), lambda written: "the-last-one" in written)

    for secret in (demo.instance_token, demo.client_token, demo.partner_token, other, text):
        shown = log.replace(welcome_of(log), "")
        assert secret not in shown
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"http_request", "ready"} <= {line["event"] for line in lines}
    assert {line["instance_id"] for line in lines if line["event"] == "http_request"} >= {
        demo.instance_id
    }


async def test_bad_requests_cause_no_unexpected_error(served: RunningGateway) -> None:
    traces = ("unexpected_error", "Exception in ASGI application", "Traceback")

    assert [word for word in traces if word in served.log] == []


def _read_log(gateway: RunningGateway) -> Any:
    async def read() -> str:
        return gateway.log

    return read


def welcome_of(log: str) -> str:
    """Returns the part of the log that prints the tokens of the demo on purpose."""
    return log[log.index("\nThe gateway is ready at") : log.index("\n", log.rindex("/sent' -H"))]


async def test_stop_does_not_wait_for_unfinished_request(
    postgres_server: PostgresServer, migrated_postgres: NoopExecutor, tmp_path: Path
) -> None:
    name, template = f"gateway_slow_client_{os.getpid()}", migrated_postgres.template_dbname
    with (
        new_database(postgres_server, name, template) as url,
        running_gateway(tmp_path, url, GATEWAY_DRAIN_SECONDS="3") as gateway,
    ):
        await gateway.ready()
        async with client_of(gateway) as client:
            with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
                raw.sendall(head(client, "Content-Length: 100") + b"{")
                await client.call("GET", "/queue")
                code = await asyncio.to_thread(gateway.stop)

    assert code == 0, gateway.log[-2_000:]
