"""WhatsApp's limits on messages: refused at the door, shown in the documents."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.alias_generators import to_snake

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.limits import Limit, max_characters
from gateway.contract.send import OutgoingMessage
from gateway.contract.whatsapp_limits import MAX_TEXT_LENGTH
from gateway.documents.limits_table import limits_table
from gateway.documents.surface import surface
from gateway.errors import InvalidRequest
from tests.fixtures.limits import at_every_limit, beyond, counted_limits, sized

GROUP = "120363019502650977-group"
FRIEND = "5511999999999"


def body(kind: str, **changes: Any) -> dict[str, Any]:
    send = catalogue().sends[kind]
    return {**(send.example_minimal or send.example), **changes}


def buttons(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"type": "REPLY", "label": f"Button {n}", **more} for n in range(count)]


def options(count: int, **more: Any) -> dict[str, Any]:
    rows = [{"title": f"Row {n}", "description": "", **more} for n in range(count)]
    return {"title": "List", "buttonLabel": "Open", "options": rows}


def cards(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"text": "Card", "image": "https://example.com/a.png", **more}] * count


def poll(count: int) -> list[dict[str, Any]]:
    return [{"name": f"Option {n}"} for n in range(count)]


def order(count: int = 1, **more: Any) -> dict[str, Any]:
    product = {
        "productId": "1",
        "name": "Product",
        "value": 10,
        "quantity": 2,
        "isCustomItem": True,
    }
    product |= more
    return {"currency": "BRL", "products": [product] * count}


NOT_SO_MUCH = "order: must add up to at most 1000000000000"
NO_LINK = "linkUrl: must be a URL, such as https://example.com"
EXCEEDED = [
    ("send-link", {"linkUrl": "not a url"}, NO_LINK),
    ("send-link", {"linkUrl": "https://[bad"}, NO_LINK),
    ("send-link", {"linkUrl": "https://"}, NO_LINK),
    ("send-link", {"linkUrl": "..."}, NO_LINK),
    ("send-button-actions", {"message": "x" * 1_025}, "message: must be at most 1024 characters"),
    ("send-button-actions", {"title": "x" * 61}, "title: must be at most 60 characters"),
    ("send-button-actions", {"footer": "x" * 61}, "footer: must be at most 60 characters"),
    (
        "send-button-actions",
        {"buttonActions": buttons(4)},
        "buttonActions: must have at most 3 items",
    ),
    (
        "send-button-actions",
        {"buttonActions": [*buttons(1), *buttons(1, label="x" * 26)]},
        "buttonActions.1.label: must be at most 25 characters",
    ),
    (
        "send-button-actions",
        {"buttonActions": buttons(2, id="same")},
        "buttonActions: must have items that differ in id",
    ),
    ("send-button-list", {"message": "x" * 1_025}, "message: must be at most 1024 characters"),
    (
        "send-button-list",
        {"buttonList": {"buttons": buttons(4)}},
        "buttonList.buttons: must have at most 3 items",
    ),
    (
        "send-button-list",
        {"buttonList": {"buttons": buttons(1, label="x" * 26)}},
        "buttonList.buttons.0.label: must be at most 25 characters",
    ),
    (
        "send-button-list",
        {"buttonList": {"buttons": buttons(2, id="same")}},
        "buttonList.buttons: must have items that differ in id",
    ),
    ("send-option-list", {"phone": GROUP}, "phone: must not be a group"),
    ("send-option-list", {"message": "x" * 4_097}, "message: must be at most 4096 characters"),
    (
        "send-option-list",
        {"optionList": {**options(1), "title": "x" * 61}},
        "optionList.title: must be at most 60 characters",
    ),
    (
        "send-option-list",
        {"optionList": {**options(1), "buttonLabel": "x" * 21}},
        "optionList.buttonLabel: must be at most 20 characters",
    ),
    (
        "send-option-list",
        {"optionList": options(11)},
        "optionList.options: must have at most 10 items",
    ),
    (
        "send-option-list",
        {"optionList": options(1, title="x" * 25)},
        "optionList.options.0.title: must be at most 24 characters",
    ),
    (
        "send-option-list",
        {"optionList": options(1, description="x" * 73)},
        "optionList.options.0.description: must be at most 72 characters",
    ),
    (
        "send-option-list",
        {"optionList": options(2, id="same")},
        "optionList.options: must have items that differ in id",
    ),
    ("send-button-otp", {"message": "x" * 1_025}, "message: must be at most 1024 characters"),
    ("send-button-otp", {"code": "1" * 21}, "code: must be at most 20 characters"),
    ("send-button-otp", {"buttonText": "x" * 26}, "buttonText: must be at most 25 characters"),
    ("send-carousel", {"message": "x" * 1_025}, "message: must be at most 1024 characters"),
    ("send-carousel", {"carousel": cards(11)}, "carousel: must have at most 10 items"),
    (
        "send-carousel",
        {"carousel": cards(1, text="x" * 1_025)},
        "carousel.0.text: must be at most 1024 characters",
    ),
    (
        "send-carousel",
        {"carousel": cards(1, buttons=buttons(3))},
        "carousel.0.buttons: must have at most 2 items",
    ),
    (
        "send-carousel",
        {"carousel": cards(1, buttons=buttons(1, label="x" * 26))},
        "carousel.0.buttons.0.label: must be at most 25 characters",
    ),
    (
        "send-carousel",
        {"carousel": cards(1, buttons=buttons(2, id="same"))},
        "carousel.0.buttons: must have items that differ in id",
    ),
    ("send-poll", {"message": "x" * 256}, "message: must be at most 255 characters"),
    ("send-poll", {"poll": poll(1)}, "poll: must have at least 2 items"),
    ("send-poll", {"poll": poll(13)}, "poll: must have at most 12 items"),
    (
        "send-poll",
        {"poll": [{"name": "A"}, {"name": "x" * 101}]},
        "poll.1.name: must be at most 100 characters",
    ),
    ("send-poll", {"poll": [{"name": "A"}] * 2}, "poll: must have items that differ in name"),
    (
        "send-poll",
        {"pollMaxOptions": 3},
        "pollMaxOptions: must be at most the number of options",
    ),
    ("send-event", {"phone": FRIEND}, "phone: must be a group"),
    ("send-edit-event", {"phone": FRIEND}, "phone: must be a group"),
    (
        "send-event",
        {"event": {"name": "x" * 101, "dateTime": "2030-04-29T09:30:00Z", "canceled": False}},
        "event.name: must be at most 100 characters",
    ),
    (
        "send-event",
        {
            "event": {
                "name": "Launch",
                "description": "x" * 2_049,
                "dateTime": "2030-04-29T09:30:00Z",
                "canceled": False,
            }
        },
        "event.description: must be at most 2048 characters",
    ),
    (
        "send-contacts",
        {"contacts": [{"name": "Ana", "phones": [FRIEND]}] * 258},
        "contacts: must have at most 257 items",
    ),
    ("send-poll-vote", {"pollVote": poll(13)}, "pollVote: must have at most 12 items"),
    ("send-text", {"mentioned": [FRIEND] * 1_025}, "mentioned: must have at most 1024 items"),
    *(
        (kind, {"order": order(**changes)}, f"order.{sentence}")
        for kind in ("send-order", "order-status-update", "order-payment-update")
        for changes, sentence in (
            ({"count": 1_001}, "products: must have at most 1000 items"),
            ({"value": 1e300}, "products.0.value: must be at most 1000000000"),
            ({"quantity": 2**63}, "products.0.quantity: must be at most 1000000"),
        )
    ),
    *(
        (
            kind,
            {"order": order(value=1e9, quantity=1_001)},
            "order: must add up to at most 1000000000000",
        )
        for kind in ("send-order", "order-status-update", "order-payment-update")
    ),
    ("send-reaction", {"reaction": ":)"}, "reaction: must be an emoji"),
    ("send-text-status", {"message": "x" * 701}, "message: must be at most 700 characters"),
]


@pytest.mark.parametrize(("kind", "changes", "sentence"), EXCEEDED)
def test_request_beyond_a_limit_is_refused_with_its_field(
    kind: str, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(catalogue().sends[kind], body(kind, **changes))
    named, _, shown = str(caught.value).partition(", not ")
    assert named == sentence
    assert bool(shown) == bool(re.search(r"at (most|least) [0-9]", sentence))


@pytest.mark.parametrize(("kind", "changes", "sentence"), EXCEEDED)
def test_stored_message_beyond_a_limit_can_be_read(
    kind: str, changes: dict[str, Any], sentence: str
) -> None:
    """An earlier version accepted it; its queue must not stop."""
    message = catalogue().sends[kind].model_validate(body(kind, **changes))
    violations = [each.partition(", not ")[0] for each in message.limit_violations()]
    assert sentence in violations


def test_each_declared_limit_has_a_case_here() -> None:
    requirements = {(kind, sentence.partition(": ")[2]) for kind, _, sentence in EXCEEDED}
    declared = {
        (kind, limit.requirement)
        for kind, send in catalogue().sends.items()
        for limit in send.limits
    }
    shared = {
        ("send-edit-event", limit.requirement) for limit in catalogue().sends["send-event"].limits
    }
    assert declared - shared == requirements - shared


@pytest.mark.parametrize("send", catalogue().sends.values(), ids=lambda send: send.kind())
def test_examples_are_within_the_limits(send: type[OutgoingMessage]) -> None:
    for example in filter(None, (send.example_minimal, send.example)):
        assert list(send.model_validate(example).limit_violations()) == []


def test_documents_show_each_limit() -> None:
    for entry in surface(catalogue()):
        for limit in getattr(entry.declared, "limits", ()):
            assert f"`{limit.wire_path}` {limit.requirement}" in entry.description


def test_documents_show_the_size_of_each_file() -> None:
    descriptions = {entry.path: entry.description for entry in surface(catalogue())}
    assert (
        "`buttonList.video` must be a file of at most 64 MiB" in descriptions["/send-button-list"]
    )
    assert "`carousel[].image` must be a file of at most 16 MiB" in descriptions["/send-carousel"]
    assert "`video` must be a file of at most 10 MiB" in descriptions["/send-video-status"]


def test_table_has_each_limit_and_length_once() -> None:
    rows = list(limits_table(catalogue()))
    assert len(rows) == len(set(rows))
    for send in catalogue().sends.values():
        for limit in send.limits:
            shown = limit.requirement.removeprefix("must ").removeprefix("be ")
            assert any(r.startswith(f"| `{limit.wire_path}` | {shown} |") for r in rows)
    assert "| `fileName` | at most 255 characters | `/send-document` |" in rows
    assert any(r.startswith("| `caption` | at most 65536 characters |") for r in rows)
    assert "| `document` | a file of at most 100 MiB | `/send-document` |" in rows


def test_message_without_limits_documents_none() -> None:
    (entry,) = (e for e in surface(catalogue()) if e.path == "/send-location")
    assert "WhatsApp's limits" not in entry.description


COUNTED = [
    pytest.param(send, limit, id=f"{kind} {limit.wire_path} {limit.requirement}")
    for kind, send in sorted(catalogue().sends.items())
    for limit in counted_limits(send)
]
LETTERS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1)


@pytest.mark.parametrize(("send", "limit"), COUNTED)
@settings(max_examples=3, deadline=None)
@given(letters=LETTERS)
def test_limit_is_passed_at_its_number_and_refused_beyond(
    send: type[OutgoingMessage], limit: Limit, letters: str
) -> None:
    assert limit.bound is not None
    build(send, sized(send.example, limit, limit.bound, letters))
    with pytest.raises(InvalidRequest) as caught:
        build(send, sized(send.example, limit, beyond(limit), letters))
    place = limit.wire_path.replace("[]", ".0")
    assert str(caught.value) == f"{place}: {limit.requirement}, not {beyond(limit)}"


@given(letters=LETTERS, length=st.sampled_from(["message", "caption", "fileName"]))
@settings(max_examples=10, deadline=None)
def test_length_of_a_field_is_passed_at_its_number_and_refused_beyond(
    letters: str, length: str
) -> None:
    kind = "send-text" if length == "message" else "send-document"
    limit = max_characters(to_snake(length), 255 if length == "fileName" else MAX_TEXT_LENGTH)
    assert limit.bound is not None
    send = catalogue().sends[kind]
    build(send, sized(send.example, limit, limit.bound, letters))
    with pytest.raises(InvalidRequest, match=f"{length}: {limit.requirement}, not "):
        build(send, sized(send.example, limit, limit.bound + 1, letters))


@pytest.mark.parametrize("send", catalogue().sends.values(), ids=lambda send: send.kind())
def test_message_at_every_limit_is_accepted(send: type[OutgoingMessage]) -> None:
    build(send, at_every_limit(send))
