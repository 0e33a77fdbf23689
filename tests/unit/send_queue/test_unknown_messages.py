"""What is assumed of an earlier message that the gateway does not know."""

from typing import Any

import pytest

from gateway.contract.catalogue import catalogue
from gateway.contract.known import KnownMessage, assumed_message, assumed_own
from gateway.contract.send import OutgoingMessage, readable_text_of
from gateway.send_queue.unknown_messages import with_unknown

FRIEND, ANA, LID = "5511999999999", "5511988888888", "123456789012345@lid"
GROUP = "120363019502650977-group"
OLD = "OLD"
UNSENDABLE = {
    "forward-message": OLD,
    "reply-button": OLD,
    "reply-template-button": OLD,
    "send-poll-vote": OLD,
    "send-edit-event": OLD,
    "send-event-response": OLD,
}


def message(kind: str, **fields: Any) -> OutgoingMessage:
    send = catalogue().sends[kind]
    example = dict(send.example_minimal or send.example)
    named = {name: OLD for name in example if name.lower().endswith("messageid")}
    return send.model_validate({**example, **named, **fields})


def named(kind: str, **fields: Any) -> KnownMessage | None:
    """What a provider gets of the unknown message."""
    _, referred = with_unknown(message(kind, **fields), {}, "quote")
    return referred.get(OLD)


REFERRING = sorted(
    kind
    for kind, send in catalogue().sends.items()
    if any(name.lower().endswith("messageid") for name in send.model_json_schema()["properties"])
)


@pytest.mark.parametrize("kind", REFERRING)
def test_every_kind_is_sendable_or_refused_at_the_door(kind: str) -> None:
    first = message(kind)
    if not first.referred_ids():
        first = first.model_copy(update={"message_id": OLD})
    sendable, referred = with_unknown(first, {}, "quote")
    assert first.needed_ids() == tuple(filter(None, (UNSENDABLE.get(kind),)))
    assert (set(sendable.referred_ids()) <= referred.keys()) == (kind not in UNSENDABLE)
    assert [readable_text_of(each) for each in referred.values()] == [None] * len(referred)


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("send-text", {"messageId": OLD}, (FRIEND, FRIEND)),
        ("send-text", {"messageId": OLD, "phone": LID}, (LID, LID)),
        ("send-text", {"messageId": OLD, "owner": True}, (FRIEND, None)),
        ("send-text", {"messageId": OLD, "phone": GROUP, "owner": True}, (GROUP, None)),
        ("send-text", {"messageId": OLD, "phone": GROUP, "participantPhone": ANA}, (GROUP, ANA)),
        ("send-text", {"editMessageId": OLD}, (FRIEND, None)),
        ("send-document", {"editDocumentMessageId": OLD}, (FRIEND, None)),
        ("send-image", {"messageId": OLD}, (FRIEND, FRIEND)),
        ("send-reaction", {}, (FRIEND, FRIEND)),
        ("send-reaction", {"owner": True}, (FRIEND, None)),
        ("send-remove-reaction", {"phone": GROUP, "participantPhone": ANA}, (GROUP, ANA)),
        ("pin-message", {}, (FRIEND, FRIEND)),
        ("order-status-update", {}, (FRIEND, None)),
        ("reply-status-text", {}, ("status@broadcast", FRIEND)),
    ],
)
def test_unknown_message_is_assumed_from_the_request(
    kind: str, fields: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    assumed = named(kind, **fields)
    assert assumed is not None
    assert (assumed.chat, assumed.sender) == expected
    assert assumed.from_me is (expected[1] is None)
    assert (assumed.provider_message_id, assumed.is_assumed) == (OLD, True)


def test_broadcast_list_has_only_own_messages() -> None:
    assert assumed_message(OLD, "123456-broadcast", owner=None, author=None) == assumed_own(
        OLD, "123456-broadcast"
    )


@pytest.mark.parametrize("chat", [GROUP, "5511999999999-1623281429", "status@broadcast"])
@pytest.mark.parametrize("kind", ["send-reaction", "send-remove-reaction", "pin-message"])
def test_chat_of_several_without_an_author_needs_the_message(kind: str, chat: str) -> None:
    assert message(kind, phone=chat).needed_ids() == (OLD,)
    assert message(kind, phone=chat, participantPhone=ANA).needed_ids() == ()


def test_reply_in_a_group_without_an_author_leaves_without_quote() -> None:
    reply = message("send-text", phone=GROUP, messageId=OLD)
    sent, referred = with_unknown(reply, {}, "quote")
    assert (sent.replied_id(), referred, reply.needed_ids()) == (None, {}, ())


def test_private_answer_needs_the_author() -> None:
    answer = {"phone": GROUP, "messageId": OLD, "privateAnswer": True}
    assert message("send-text", **answer).needed_ids() == (OLD,)
    assert message("send-text", **answer, participantPhone=ANA).needed_ids() == ()
    assert named("send-text", **answer, participantPhone=ANA) == assumed_message(
        OLD, GROUP, owner=None, author=ANA
    )


def test_omitted_quote_leaves_what_else_the_message_names() -> None:
    reply = message("send-text", messageId=OLD, editMessageId="MINE")
    sent, referred = with_unknown(reply, {}, "omit")
    assert (sent.replied_id(), sent.edited_id()) == (None, "MINE")
    assert set(referred) == {"MINE"}


def test_known_message_is_quoted_whatever_the_setting() -> None:
    known = KnownMessage(OLD, "3A", GROUP, ANA, from_me=False, type="text")
    reply = message("send-text", phone=GROUP, messageId=OLD)
    assert with_unknown(reply, {OLD: known}, "omit") == (reply, {OLD: known})


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        ("send-text", {"phone": FRIEND, "message": "Hello"}, "Hello"),
        ("text", {"text": {"message": "Hi"}}, "Hi"),
        ("image", {"image": {"caption": "Look"}}, "Look"),
        ("location", {"location": {"name": "Here"}}, None),
        ("", {}, None),
    ],
)
def test_quote_shows_the_text_that_the_history_has(
    kind: str, payload: dict[str, Any], text: str | None
) -> None:
    known = KnownMessage(OLD, "3A", FRIEND, FRIEND, from_me=False, type=kind, payload=payload)
    assert readable_text_of(known) == text
