"""What `notifySentByMe` shows of each message, from its stored form.

A golden file per type holds the content of the callback for each stored case.
`REWRITE_GOLDEN=1` writes the files again.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.callbacks import received_kinds, without_nulls
from gateway.contract.callbacks.sent import sent_callback_body
from gateway.contract.catalogue import catalogue
from gateway.contract.echo import EchoContext
from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile, MediaKind, files_in
from gateway.contract.send import OutgoingMessage

GOLDEN = Path(__file__).parent / "golden"
ECHOES = GOLDEN / "echoes"
STORED = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in GOLDEN.glob("*.json")}
AT_MS = 1_769_860_800_000
INSTANCE = "6C1D7A35F0B24E89A1C3D5E7F9B0A2C4"
EARLIER = "3EB0577D10A2B4C6D8E9F1"
ENVELOPE = {
    *("instanceId", "type", "phone", "messageId", "momment", "status", "fromMe", "fromApi"),
    *("isGroup", "isNewsletter", "isStatusReply", "isEdit", "waitingMessage", "broadcast"),
    *("forwarded", "referenceMessageId", "editMessageId", "trackId"),
}


def sent_file(mime_type: str, **facts: Any) -> MediaFile:
    """A file that was sent, of which the facts are left."""
    return MediaFile(Path("gone"), mime_type, 1_000, "5e" * 32, **facts)


SENT: dict[MediaKind, MediaFile] = {
    "image": sent_file("image/png", width=600, height=315),
    "thumbnail": sent_file("image/jpeg"),
    "sticker": sent_file("image/webp", width=512, height=512),
    "audio": sent_file("audio/ogg", duration_seconds=9.6),
    "gif": sent_file("video/mp4", width=320, height=240, duration_seconds=2.0),
    "ptv": sent_file("video/mp4", width=480, height=480, duration_seconds=3.0),
    "video": sent_file("video/mp4", width=1280, height=720, duration_seconds=13.2),
    "document": sent_file("application/pdf", file_name="offer.pdf"),
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


def sent_context(message: OutgoingMessage, referred: KnownMessage | None) -> EchoContext:
    """What the gateway knows once the provider accepted the message."""
    return EchoContext(
        "SENT",
        AT_MS,
        {referred.message_id: referred} if referred else {},
        {named.text: SENT[named.mark.kind] for named in files_in(message)},
        lambda source: f"https://gateway.example/{source}",
    )


def body_of(
    kind: str, stored: Mapping[str, Any], *, referred: KnownMessage | None = None
) -> dict[str, Any] | None:
    message = catalogue().sends[kind].model_validate(stored)
    body = sent_callback_body(message, sent_context(message, referred), instance_id=INSTANCE)
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
    assert body is not None
    shown, *more = body.keys() - ENVELOPE - {"notificationParameters", "callId"}
    assert not more
    fitting = [callback for callback in received_kinds() if shown in callback.content_keys()]
    assert fitting, f"no callback has {shown}"
    callback = fitting[0].model_validate(body)
    again = json.loads(callback.model_dump_json(by_alias=True, exclude_none=True))
    assert without_nulls(body[shown]) == again[shown]


def test_every_type_of_message_has_an_echo() -> None:
    silent = {
        kind
        for kind in catalogue().sends
        for case in STORED[kind]["cases"]
        if not content_of(kind, case["stored"])
    }

    assert silent == set()


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_echo_of_a_file_has_its_type_and_address(kind: str, case: dict[str, Any]) -> None:
    message = catalogue().sends[kind].model_validate(case["stored"])
    sent = () if message.edited_id() else files_in(message)  # an edit sends no file
    files = [each for each in sent if each.mark.kind != "thumbnail"]
    found = list(shown_files(content_of(kind, case["stored"])))

    assert len(found) == (len(files) if kind != "send-button-list" else 0)
    for file, (url, mime_type) in zip(files, found, strict=False):
        reached = file.text.lower().startswith("https:")
        assert url == (file.text if reached else f"https://gateway.example/{file.text}")
        expected = SENT[file.mark.kind].mime_type
        assert mime_type == ("audio/ogg; codecs=opus" if expected == "audio/ogg" else expected)


def shown_files(value: Any) -> Iterator[tuple[str, str]]:
    """Each file in a callback: its address and its type."""
    if isinstance(value, dict):
        urls = [value[key] for key in value if key.endswith("Url") and "mimeType" in value]
        yield from ((url, value["mimeType"]) for url in urls)
        for item in value.values():
            yield from shown_files(item)
    elif isinstance(value, list):
        for item in value:
            yield from shown_files(item)


def test_echo_of_a_file_without_a_link_leaves_the_address_out() -> None:
    stored = {"phone": "5511999999999", "image": "media:" + "5e" * 32}
    message = catalogue().sends["send-image"].model_validate(stored)

    assert message.echo(EchoContext("SENT", AT_MS)) == {
        "image": dict.fromkeys(("imageUrl", "mimeType", "caption", "fileName"))
        | {"viewOnce": False}
    }


def test_echo_of_a_call_is_a_notification_of_this_instance() -> None:
    body = body_of("send-call", {"phone": "5511999999999"})

    assert body is not None
    assert {name: body[name] for name in body.keys() - ENVELOPE} == {
        "notification": "CALL_VOICE",
        "notificationParameters": [],
        "callId": "SENT",
    }
    assert (body["fromMe"], body["fromApi"]) == (True, True)


def test_echo_has_the_reference_of_its_caller() -> None:
    body = body_of("send-text", {**STORED["send-text"]["cases"][0]["stored"], "track_id": "A 1"})

    assert body is not None
    assert body["trackId"] == "A 1"


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


@pytest.mark.parametrize("name", ["image", "video", "document"])
def test_echo_of_an_edited_caption_shows_no_file(name: str) -> None:
    file = {name: "https://example.com/not-sent", "caption": "Better", "file_name": "not sent"}
    body = body_of(
        f"send-{name}", {"phone": "5511999999999", f"edit_{name}_message_id": EARLIER, **file}
    )
    assert body is not None
    assert {**body[name], "viewOnce": None} == {"caption": "Better", "viewOnce": None}


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
