"""What `notifySentByMe` shows of each message, from its stored form.

A golden file per type holds the content of the callback for each stored case.
`REWRITE_GOLDEN=1` writes the files again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.callbacks import received_kinds, without_nulls
from gateway.contract.callbacks.sent import sent_callback_body
from gateway.contract.catalogue import catalogue
from gateway.contract.echo import EchoContext
from gateway.contract.known import KnownMessage

GOLDEN = Path(__file__).parent / "golden"
ECHOES = GOLDEN / "echoes"
STORED = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in GOLDEN.glob("*.json")}
AT_MS = 1_769_860_800_000
INSTANCE = "6C1D7A35F0B24E89A1C3D5E7F9B0A2C4"
EARLIER = "3EB0577D10A2B4C6D8E9F1"
ENVELOPE = {
    *("instanceId", "type", "phone", "messageId", "momment", "status", "fromMe", "fromApi"),
    *("isGroup", "isNewsletter", "isStatusReply", "isEdit", "waitingMessage", "broadcast"),
    *("forwarded", "referenceMessageId", "editMessageId"),
}
CASES = [
    pytest.param(kind, case, id=f"{kind}: {case['name']}")
    for kind, golden in sorted(STORED.items())
    for case in golden["cases"]
]


def known(**changes: Any) -> KnownMessage:
    fields: dict[str, Any] = {
        "message_id": EARLIER,
        "provider_message_id": EARLIER,
        "chat": "120363019502650977-group",
        "sender": "5511988888888",
        "from_me": False,
        "type": "text",
        "payload": {"text": {"message": "Look"}},
    }
    return KnownMessage(**{**fields, **changes})


def body_of(
    kind: str, stored: Mapping[str, Any], *, referred: KnownMessage | None = None
) -> dict[str, Any] | None:
    message = catalogue().sends[kind].model_validate(stored)
    context = EchoContext("SENT", AT_MS, {referred.message_id: referred} if referred else {})
    body = sent_callback_body(message, context, instance_id=INSTANCE)
    return json.loads(body) if body else None


def content_of(kind: str, stored: Mapping[str, Any]) -> dict[str, Any] | None:
    body = body_of(kind, stored, referred=known())
    return {k: v for k, v in body.items() if k not in ENVELOPE} if body else None


def written() -> dict[str, dict[str, Any]]:
    made = {
        kind: {case["name"]: content_of(kind, case["stored"]) for case in golden["cases"]}
        for kind, golden in STORED.items()
    }
    if os.environ.get("REWRITE_GOLDEN"):
        ECHOES.mkdir(exist_ok=True)
        for kind, echoes in made.items():
            text = json.dumps(echoes, indent=2, ensure_ascii=True) + "\n"
            (ECHOES / f"{kind}.json").write_text(text)
    return made


MADE = written()


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_echo_of_a_stored_message_is_as_before(kind: str, case: dict[str, Any]) -> None:
    golden = json.loads((ECHOES / f"{kind}.json").read_text(encoding="utf-8"))
    assert MADE[kind][case["name"]] == golden[case["name"]]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_echo_is_a_documented_received_callback(kind: str, case: dict[str, Any]) -> None:
    body = body_of(kind, case["stored"], referred=known())
    if kind == "send-call":
        assert body is None  # calls are notifications
        return
    assert body is not None
    (shown,) = body.keys() - ENVELOPE
    fitting = [callback for callback in received_kinds() if shown in callback.content_keys()]
    assert fitting, f"no callback has {shown}"
    callback = fitting[0].model_validate(body)
    again = json.loads(callback.model_dump_json(by_alias=True, exclude_none=True))
    assert without_nulls(body[shown]).items() <= again[shown].items()


def test_echo_says_that_the_api_sent_it() -> None:
    body = body_of("send-text", {"phone": "5511999999999", "message": "Hello"})
    assert body == {
        "type": "ReceivedCallback",
        "instanceId": INSTANCE,
        "messageId": "SENT",
        "phone": "5511999999999",
        "momment": AT_MS,
        "status": "SENT",
        "fromMe": True,
        "fromApi": True,
        "isGroup": False,
        "isNewsletter": False,
        "isStatusReply": False,
        "isEdit": False,
        "waitingMessage": False,
        "broadcast": False,
        "forwarded": False,
        "text": {"message": "Hello"},
    }


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("send-text", {"edit_message_id": EARLIER}),
        ("send-document", {"edit_document_message_id": EARLIER}),
        ("send-image", {"edit_image_message_id": EARLIER}),
        ("send-video", {"edit_video_message_id": EARLIER}),
        ("send-edit-event", {"event_message_id": EARLIER}),
    ],
)
def test_echo_of_an_edit_names_the_original(kind: str, changes: dict[str, str]) -> None:
    body = body_of(kind, {**STORED[kind]["cases"][0]["stored"], **changes})
    assert body is not None
    assert (body["isEdit"], body["messageId"], body["editMessageId"]) == (True, EARLIER, "SENT")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("send-image", {"message_id": EARLIER}),
        ("reply-status-text", {"status_message_id": EARLIER}),
        ("order-status-update", {"message_id": EARLIER}),
    ],
)
def test_echo_of_a_reply_names_what_it_answers(kind: str, changes: dict[str, str]) -> None:
    body = body_of(kind, {**STORED[kind]["cases"][0]["stored"], **changes})
    assert body is not None
    assert body["referenceMessageId"] == EARLIER
    assert body["isStatusReply"] is kind.startswith("reply-status")


def test_echo_of_a_reaction_is_no_reply() -> None:
    body = body_of("send-reaction", STORED["send-reaction"]["cases"][0]["stored"])
    assert body is not None
    assert "referenceMessageId" not in body


FORWARD = {"phone": "5511999999999", "message_id": EARLIER, "message_phone": "5511888888888"}


def test_echo_of_a_forward_shows_the_received_original() -> None:
    body = body_of("forward-message", FORWARD, referred=known())
    assert body is not None
    assert (body["text"], body["forwarded"]) == ({"message": "Look"}, True)


def test_echo_of_a_forward_shows_the_sent_original() -> None:
    original = known(
        type="send-poll",
        payload={"phone": "5511888888888", "message": "Which?", "poll": [{"name": "A"}]},
        from_me=True,
    )
    body = body_of("forward-message", FORWARD, referred=original)
    assert body is not None
    assert body["poll"]["question"] == "Which?"
    assert body["phone"] == "5511999999999"


def test_forward_of_an_unknown_message_has_no_echo() -> None:
    assert body_of("forward-message", FORWARD) is None


def test_echo_of_a_known_target_names_its_author() -> None:
    stored = STORED["send-event-response"]["cases"][0]["stored"]
    body = body_of("send-event-response", stored, referred=known())
    assert body is not None
    assert body["eventResponse"]["referencedMessage"] == {
        "messageId": EARLIER,
        "fromMe": False,
        "phone": "120363019502650977-group",
        "participant": "5511988888888",
    }


def test_echo_of_an_order_gives_the_ids_for_its_updates() -> None:
    stored = STORED["send-order"]["cases"][0]["stored"]
    first, again = (body_of("send-order", stored) for _ in range(2))
    assert first == again
    assert first is not None
    review = first["reviewAndPay"]
    update = catalogue().sends["order-status-update"]
    message = update.model_validate(
        {
            "phone": "5511999999999",
            "messageId": "SENT",
            "referenceId": review["referenceId"],
            "orderRequestId": review["orderRequestId"],
            "orderStatus": "shipped",
            "paymentStatus": "pending",
            "order": {"currency": review["currency"], "products": review["products"]},
        }
    )
    assert message.echo(EchoContext("UPDATE", AT_MS)) == {
        "reviewOrder": {
            **{name: value for name, value in review.items() if name != "type"},
            "orderStatus": "shipped",
        }
    }


def test_order_ids_differ_between_orders_and_parts() -> None:
    stored = STORED["send-order"]["cases"][0]["stored"]
    message = catalogue().sends["send-order"].model_validate(stored)
    reviews = [message.echo(EchoContext(name, AT_MS)) for name in ("A", "B")]
    ids = {
        review["reviewAndPay"][field]
        for review in reviews
        if review is not None
        for field in ("referenceId", "orderRequestId")
    }
    assert len(ids) == 4
