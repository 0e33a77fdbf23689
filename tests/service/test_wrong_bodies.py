"""A wrong body, query or path gets one sentence about what is wrong, and queues nothing."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.bad_requests import GOOD, JSON, cleared, refused
from tests.fixtures.service import Client

ISO = "such as 2026-01-31T12:00:00Z"
NOT_AN_AGE = f"olderThan: must be a time with an offset, {ISO}, or seconds"


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
        b'{"phone": "5511999999999", "message": "a\x00b"}',
    ],
)
async def test_broken_json_is_refused(caller: Client, written: bytes) -> None:
    answer = await caller.call("POST", "/send-text", content=written, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("The body is not valid JSON: ")
    assert answer.json()["error"] == answer.json()["message"]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (
            b'{"phone": "5511999999999", "message": "\xff"}',
            "The body is not UTF-8: send it in that encoding",
        ),
        (b"\x1f\x8b\x08\x00", "The body is compressed: send it as it is"),
    ],
)
async def test_json_of_another_form_is_named(caller: Client, written: bytes, sentence: str) -> None:
    answer = await caller.call("POST", "/send-text", content=written, headers=JSON)

    refused(answer, 400, sentence)


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
        ({**GOOD, "message": "x" * 65_537}, "message: must be at most 65536 characters, not 65537"),
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
        (
            {**GOOD, "mentioned": ["x"]},
            "mentioned.0: must be a phone, such as 5511999999999 (Invalid phone)",
        ),
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


@pytest.mark.parametrize("written", [b"[" * 100_000, b'{"a":' * 65 + b"1" + b"}" * 65])
async def test_body_that_nests_too_deep_is_refused(caller: Client, written: bytes) -> None:
    answer = await caller.call("POST", "/send-text", content=written, headers=JSON)

    refused(answer, 400, "The body nests lists and objects more than 64 deep: send it flatter")


async def test_nested_nul_is_refused(caller: Client) -> None:
    written = b'{"a":' * 50 + b'"\\u0000"' + b"}" * 50

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
