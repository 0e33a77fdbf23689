"""A chat shows only files whose bytes are safe to show, and only those of its own instance."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.panel.chat_view import ShownMessage, days_of, file_ids, queued_message

INSTANCE, FILE = "A" * 32, "ab" * 32
LINK = f"https://wa.example.com/media/{INSTANCE}/{FILE}/a%20b.jpg?expires=1&signature=ff"


def callback(**content: Any) -> dict[str, Any]:
    at = int(datetime(2026, 1, 2, 1, 30, tzinfo=UTC).timestamp() * 1_000)
    return {"messageId": "M1", "momment": at, "fromMe": False, "status": "RECEIVED", **content}


def shown(types: dict[str, str], **content: Any) -> ShownMessage:
    (day,) = days_of([callback(**content)], INSTANCE, types, UTC)
    return day.messages[0]


@pytest.mark.parametrize(
    ("mime_type", "media"),
    [
        ("image/jpeg", "image"),
        ("audio/ogg; codecs=opus", "audio"),
        ("video/mp4", "video"),
        ("image/svg+xml", "file"),
        ("text/html", "file"),
        ("application/octet-stream", "file"),
    ],
)
def test_bytes_decide_how_a_file_is_shown(mime_type: str, media: str) -> None:
    message = shown({FILE: mime_type}, image={"imageUrl": LINK, "mimeType": "image/jpeg"})

    assert message.file is not None
    assert message.file.media == media
    assert message.file.path == f"/media/{INSTANCE}/{FILE}/a%20b.jpg?expires=1&signature=ff"


def test_document_is_never_shown_in_the_page() -> None:
    message = shown({FILE: "image/png"}, document={"documentUrl": LINK, "fileName": "x.png"})
    assert message.file is not None
    assert (message.file.media, message.file.name) == ("file", "x.png")


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/picture.jpg",
        "javascript:alert(1)",
        LINK.replace(INSTANCE, "B" * 32),
        LINK.replace("/media/", "/other/"),
    ],
)
def test_address_of_something_else_is_no_file(url: str) -> None:
    found = callback(image={"imageUrl": url})
    assert file_ids([found], INSTANCE) == set()
    assert shown({FILE: "image/jpeg"}, image={"imageUrl": url}).file is None


def test_file_that_is_no_longer_stored_is_said() -> None:
    message = shown({}, image={"imageUrl": LINK, "caption": "this one"})
    assert message.file is None
    assert "no longer stored" in message.problem
    assert message.text == "this one"


def test_content_that_no_key_opens_shows_its_reason() -> None:
    assert shown({}, error="No key opens it.").problem == "No key opens it."


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        ({"text": {"message": "hi"}}, "", "hi"),
        ({"reaction": {"value": "+1"}}, "Reaction", "+1"),
        ({"location": {"name": "Home", "latitude": 1.0}}, "Place", "Home"),
        ({"contact": {"displayName": "Rui"}}, "Contact", "Rui"),
        ({"pollVote": {"options": []}}, "Vote in a poll", ""),
        ({"unheardOf": {"a": 1}}, "A message that only the phone shows", ""),
        ({"image": "odd"}, "Picture", ""),
    ],
)
def test_every_content_says_what_it_is(content: Any, kind: str, text: str) -> None:
    message = shown({}, **content)
    assert (message.kind, message.text) == (kind, text)


def test_waiting_messages_stand_at_the_end_and_failed_ones_in_their_place() -> None:
    early, late = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 3))
    queued = [
        queued_message("W", early, "send-text", "waits", error=None),
        queued_message("F", early, "send-image", None, error="Refused"),
        queued_message("M1", late, "send-text", "sent meanwhile", error=None),
    ]

    days = days_of([callback(text={"message": "hi"})], INSTANCE, {}, UTC, queued)

    messages = [each for day in days for each in day.messages]
    assert [each.id for each in messages] == ["F", "M1", "W"]
    assert [each.state for each in messages] == ["Could not be sent", "", "Waiting"]
    assert messages[0].kind == "Picture"


def test_days_are_those_of_the_reader() -> None:
    (day,) = days_of([callback(text={"message": "x"})], INSTANCE, {}, ZoneInfo("America/Sao_Paulo"))
    assert day.at.astimezone(ZoneInfo("America/Sao_Paulo")).day == 1
