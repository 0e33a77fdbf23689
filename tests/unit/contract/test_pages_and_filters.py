"""Pages of history are bounded, and a callback knows the filters that it falls under."""

import json

import pytest

from gateway.contract.callbacks import history_pages
from gateway.contract.callbacks.filters import filter_names

GROUP = {"phone": "1-group", "isGroup": True}


def message(text: str, **fields: object) -> str:
    return json.dumps({"phone": "1", "isGroup": False, "text": {"message": text}, **fields})


def sizes(messages: list[str]) -> list[int]:
    return [len(page.messages) for page in history_pages("I", 1, messages)]


def test_page_has_at_most_fifty_messages() -> None:
    assert sizes([message("x")] * 101) == [50, 50, 1]
    assert sizes([]) == []


def test_page_has_at_most_256_kib_of_messages() -> None:
    big = message("x" * 100 * 1024)
    assert sizes([big] * 5) == [2, 2, 1]
    assert sizes([message("x"), message("y" * 600 * 1024), message("z")]) == [1, 1, 1]


def test_page_of_a_group_is_of_one_participant() -> None:
    said = [(1, "2"), (2, "3"), (3, "2")]
    messages = [message(str(n), participantPhone=who, **GROUP) for n, who in said]
    pages = list(history_pages("I", 1, messages))

    assert [(page.phone, page.is_group, page.participant_phone) for page in pages] == [
        ("1-group", True, "2"),
        ("1-group", True, "3"),
    ]
    assert [m["text"]["message"] for m in pages[0].messages] == ["1", "3"]


@pytest.mark.parametrize(
    ("kind", "body", "names"),
    [
        ("DeliveryCallback", "{}", {"FILTER_DELIVERY_CALLBACK"}),
        ("ReceivedCallback", None, {"FILTER_RECEIVED_CALLBACK"}),
        ("HistorySyncCallback", "{}", set[str]()),
        (
            "ReceivedCallback",
            message("x"),
            {"FILTER_RECEIVED_CALLBACK", "FILTER_FROM_PRIVATE_CHAT", "FILTER_TEXT_MESSAGE"},
        ),
        (
            "ReceivedCallback",
            '{"isGroup": true, "audio": {}}',
            {"FILTER_RECEIVED_CALLBACK", "FILTER_FROM_GROUP", "FILTER_AUDIO_MESSAGE"},
        ),
        (
            "ReceivedCallback",
            '{"isNewsletter": true, "poll": {}}',
            {"FILTER_RECEIVED_CALLBACK"},
        ),
    ],
)
def test_callback_falls_under_its_filters(kind: str, body: str | None, names: set[str]) -> None:
    assert filter_names(kind, body) == names
