"""An empty text is the same as absent where it cannot be a value, as forms and n8n send it."""

from typing import Any

import pytest

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.contacts import ListContacts
from gateway.contract.zapi.instance_queue import ClearQueue
from gateway.contract.zapi.messages.interactive import SendButtonActions
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import InvalidRequest

TEXT = {"phone": "5511999999999", "message": "a"}
SENDS = sorted(catalogue().sends.values(), key=lambda send: send.__name__)


@pytest.mark.parametrize("send", SENDS, ids=lambda send: send.__name__)
@pytest.mark.parametrize("empty", ["", "  "])
def test_every_optional_field_of_a_send_may_be_empty(
    send: type[OutgoingMessage], empty: str
) -> None:
    least: dict[str, Any] = dict(send.example_minimal or send.example)
    for name, field in send.model_fields.items():
        alias = field.alias or name
        if field.is_required() or alias in least:
            continue
        build(send, {**least, alias: empty})


def test_empty_fields_of_parts_are_absent_too() -> None:
    button = {"type": "REPLY", "label": "x", "url": "", "phone": ""}

    built = build(SendButtonActions, {**TEXT, "buttonActions": [button]})

    assert built.button_actions[0].label == "x"


def test_empty_page_of_a_query_is_the_first() -> None:
    assert build(ListContacts, {}, query={"page": "", "pageSize": ""}).page == 1


@pytest.mark.parametrize("body", [[], None, ""])
def test_no_body_is_an_empty_one_where_none_is_needed(body: object) -> None:
    assert build(ClearQueue, body) == ClearQueue()
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        build(SendText, body)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"phone": ""}, "Invalid phone"),
        ({"message": ""}, "message: must not be empty"),
        ({"delayMessage": "", "priority": "now"}, "priority: must be high, normal or bulk"),
    ],
)
def test_what_is_required_is_told_as_empty(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(SendText, {**TEXT, **fields})

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a%0ab", "a\nb"),
        ("a%0D%0Ab", "a\nb"),
        ("a%0d%0ab", "a\nb"),
        (
            "see https://example.com/?q=1%0a2 and%0amore",
            "see https://example.com/?q=1%0a2 and\nmore",
        ),
        ("100%", "100%"),
    ],
)
def test_escaped_line_breaks_are_read_outside_links(written: str, read: str) -> None:
    assert build(SendText, {**TEXT, "message": written}).message == read
