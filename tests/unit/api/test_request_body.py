"""A body becomes the declared model, or one sentence about its first wrong field."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from gateway.api.body_spooling import BodySpooler
from gateway.api.request_body import read_body
from gateway.contract.building import build
from gateway.contract.zapi.instance_queue import ClearQueue, ListQueueByPage, RemoveFromQueue
from gateway.contract.zapi.messages.media import SendDocument
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import BodyTooLarge, InvalidRequest, Unavailable, UnsupportedContentType
from gateway.file_work import FileWork
from gateway.parsing.json_bounds import parse_json

JSON = "application/json"
LIMIT = 1_000
GOOD = {"phone": "5511999999999", "message": "Hello"}


def request(
    *chunks: bytes, content_type: str | None = JSON, length: str | None = None, cut: bool = False
) -> Request:
    """A request whose body comes in these chunks; *cut* disconnects before its end."""
    headers = [(b"content-type", content_type.encode())] if content_type else []
    if length is not None:
        headers.append((b"content-length", length.encode("latin-1")))
    coming: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    end: Message = {"type": "http.disconnect"} if cut else {"type": "http.request", "body": b""}
    messages = iter([*coming, end])

    async def receive() -> Message:
        return next(messages)

    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def test_read_body_returns_fingerprint_and_json() -> None:
    written = b' {"a": [1, "\xc3\xa9"]} '

    assert await read_body(request(written), limit_bytes=LIMIT) == (written, written)


async def test_read_body_on_a_full_disk_reads_and_drops_the_rest(tmp_path: Path) -> None:
    (tmp_path / "0").symlink_to("/dev/full")
    spooler = BodySpooler(tmp_path, FileWork(), os.urandom, limit_bytes=LIMIT)
    picture = b"QUJD" * 200_000
    asked = request(b'{"image": "' + picture, picture, b'"}')

    with pytest.raises(Unavailable, match="The disk of the data directory is full"):
        await read_body(asked, limit_bytes=10 * len(picture), spooler=spooler)

    with pytest.raises(RuntimeError, match="StopIteration"):  # no piece is left
        await asked.receive()


async def test_read_body_joins_chunks() -> None:
    _fingerprint, raw = await read_body(request(b'{"a"', b": ", b"1}"), limit_bytes=LIMIT)

    assert raw == b'{"a": 1}'


@pytest.mark.parametrize("content_type", [None, JSON, "text/plain"])
@pytest.mark.parametrize("chunks", [(), (b"",), (b" \r\n\t",)])
async def test_read_body_empty_body_may_have_any_type(
    chunks: Sequence[bytes], content_type: str | None
) -> None:
    _fingerprint, raw = await read_body(
        request(*chunks, content_type=content_type), limit_bytes=LIMIT
    )

    assert parse_json(raw) == {}


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", "Application/JSON ;charset=UTF-8"]
)
async def test_read_body_accepts_json_media_types(content_type: str) -> None:
    _fingerprint, raw = await read_body(
        request(b"{}", content_type=content_type), limit_bytes=LIMIT
    )

    assert raw == b"{}"


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "text/json"]
)
async def test_read_body_other_type_is_refused(content_type: str | None) -> None:
    with pytest.raises(UnsupportedContentType, match="Content-Type must be application/json"):
        await read_body(request(b'{"a": 1}', content_type=content_type), limit_bytes=LIMIT)


async def test_read_body_accepts_body_of_exactly_the_limit() -> None:
    written = json.dumps("x" * (LIMIT - 2)).encode()

    raw, _parsed = await read_body(request(written, length=str(LIMIT)), limit_bytes=LIMIT)

    assert len(raw) == LIMIT


async def test_read_body_large_content_length_is_refused() -> None:
    with pytest.raises(BodyTooLarge, match="larger than 1000 bytes"):
        await read_body(request(cut=True, length=str(LIMIT + 1)), limit_bytes=LIMIT)


@pytest.mark.parametrize("length", [None, "5", "nonsense", "9" * 5_000, "\xb2"])
async def test_read_body_body_over_limit_is_refused(length: str | None) -> None:
    chunks = [b"x" * 600, b"x" * 600]

    with pytest.raises(BodyTooLarge):
        await read_body(request(*chunks, length=length), limit_bytes=LIMIT)


async def test_read_body_incomplete_body_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="The body ended too early: send it whole"):
        await read_body(request(b'{"phone":', cut=True), limit_bytes=LIMIT)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([], "The body must be a JSON object"),
        (None, "The body must be a JSON object"),
        ("text", "The body must be a JSON object"),
        (7, "The body must be a JSON object"),
        ({}, "phone: is required"),
        ({"phone": None, "message": "a"}, "phone: is required"),
        ({"phone": "5511999999999"}, "message: is required"),
        ({**GOOD, "phone": "1"}, "Invalid phone"),
        ({**GOOD, "phone": ["5511999999999"]}, "Invalid phone"),
        ({**GOOD, "message": ""}, "message: must not be empty"),
        ({**GOOD, "message": "x" * 65_537}, "message: must be at most 65536 characters, not 65537"),
        ({**GOOD, "message": ["a"]}, "message: must be a text"),
        ({**GOOD, "message": {"a": 1}}, "message: must be a text"),
        ({**GOOD, "message": True}, "message: must be a text"),
        ({**GOOD, "delayMessage": "soon"}, "delayMessage: must be a number of seconds"),
        ({**GOOD, "delayTyping": [1]}, "delayTyping: must be a number of seconds"),
        ({**GOOD, "priority": "urgent"}, "priority: must be high, normal or bulk"),
        (
            {**GOOD, "scheduledFor": "tomorrow"},
            "scheduledFor: must be a time with an offset, such as 2026-01-31T12:00:00Z",
        ),
        (
            {**GOOD, "scheduledFor": "2026-01-31T12:00:00"},
            "scheduledFor: must name its offset, such as 2026-01-31T12:00:00Z",
        ),
        ({**GOOD, "privateAnswer": "maybe"}, "privateAnswer: must be true or false"),
        ({**GOOD, "privateAnswer": []}, "privateAnswer: must be true or false"),
        ({**GOOD, "mentioned": "5511999999999"}, "mentioned: must be a list"),
        (
            {**GOOD, "mentioned": ["12"]},
            "mentioned.0: must be a phone, such as 5511999999999 (Invalid phone)",
        ),
        ({**GOOD, "groupMentioned": ["a"]}, "groupMentioned.0: must be an object"),
        ({**GOOD, "groupMentioned": [{}]}, "groupMentioned.0.phone: is required"),
        ({**GOOD, "messageId": {}}, "messageId: must be a text"),
        # The first problem, in the order in which the class declares its fields.
        ({"message": "", "phone": "1", "delayMessage": "soon"}, "Invalid phone"),
        (
            {"message": "", "delayMessage": "soon", "phone": GOOD["phone"]},
            "delayMessage: must be a number of seconds",
        ),
    ],
)
def test_build_error_is_one_sentence_about_the_field(body: object, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(SendText, body)

    assert str(caught.value) == sentence


def test_build_error_never_repeats_the_value() -> None:
    for field in SendText.model_fields.values():
        with pytest.raises(InvalidRequest) as caught:
            build(SendText, {**GOOD, str(field.alias): {"secret": "secret"}})
        assert "secret" not in str(caught.value)


def test_build_with_valid_body_makes_message() -> None:
    assert build(SendText, GOOD) == SendText(phone="5511999999999", message="Hello")


def test_build_converts_query_values() -> None:
    operation = build(
        ListQueueByPage, {}, query={"page": "3", "pageSize": "9999", "status": "PENDING"}
    )

    assert (operation.page, operation.page_size, operation.status) == (3, 1_000, "pending")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"page": "x"}, "page: must be a whole number"),
        ({"limit": "0"}, "limit: must be at least 1"),
        ({"pageSize": "-1"}, "pageSize: must be at least 1"),
        ({"page": "9" * 10_000}, "page: must be a whole number"),
        ({"status": "sent"}, "status: must be one of pending, scheduled, processing, retrying"),
        ({"phone": "1"}, "Invalid phone"),
        ({"type": "a\x00"}, "The address holds a NUL character"),
    ],
)
def test_build_with_wrong_query_is_refused(query: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(ListQueueByPage, {}, query=query)

    assert str(caught.value) == sentence


def test_build_prefers_path_then_body_then_query() -> None:
    removed = build(
        RemoveFromQueue,
        {"zaapId": "body", "zaap_id": "body"},
        path={"zaap_id": "path"},
        query={"zaap_id": "query"},
    )
    cleared = build(ClearQueue, {"olderThan": "body"}, query={"olderThan": "query"})

    assert removed.zaap_id == "path"
    assert cleared.older_than == "body"


def test_build_with_nul_in_path_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="The address holds a NUL character"):
        build(RemoveFromQueue, {}, path={"zaap_id": "a\x00b"})


@pytest.mark.parametrize("encoding", ["gzip", " GZIP ", "br", "deflate"])
async def test_read_body_compressed_is_refused_by_its_name(encoding: str) -> None:
    compressed = request(b"\x1f\x8b\x08\x00")
    compressed.scope["headers"].append((b"content-encoding", encoding.encode()))

    with pytest.raises(UnsupportedContentType, match=r"^Content-Encoding \w+ is not supported"):
        await read_body(compressed, limit_bytes=LIMIT)


@pytest.mark.parametrize("encoding", ["identity", "", "utf-8"])
async def test_read_body_with_another_encoding_is_read(encoding: str) -> None:
    plain = request(b"{}")
    plain.scope["headers"].append((b"content-encoding", encoding.encode()))

    assert (await read_body(plain, limit_bytes=LIMIT))[1] == b"{}"


@pytest.mark.parametrize("extension", ["tar.gz", ".pdf", "7z", "c++"])
def test_build_document_with_any_usual_extension(extension: str) -> None:
    fields = {"phone": "5511999999999", "document": "https://example.com/a"}

    assert build(SendDocument, fields, path={"extension": extension}).extension == extension
