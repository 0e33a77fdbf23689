"""The sandbox refuses a message that may not change the earlier one, as WhatsApp does."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.known import KnownMessage
from gateway.contract.send import OutgoingMessage
from gateway.errors import Refused
from gateway.providers.sandbox.changes import change_of, chat_of

GROUP = "120363019502650977-group"
FRIEND = "5511999999999"


def message(kind: str, **changes: Any) -> OutgoingMessage:
    send = catalogue().sends[kind]
    return build(send, {**(send.example_minimal or send.example), **changes})


def known(
    kind: str, payload: Mapping[str, Any], *, from_me: bool, chat: str = FRIEND
) -> KnownMessage:
    sender = None if from_me else FRIEND
    return KnownMessage("A", "A", chat, sender, from_me=from_me, type=kind, payload=payload)


def poll(count: int) -> list[dict[str, Any]]:
    return [{"name": f"Option {n}"} for n in range(count)]


SENT_POLL = known("send-poll", {"poll": poll(3), "poll_max_options": 1}, from_me=True)
RECEIVED_POLL = known("poll", {"poll": {"options": poll(3), "pollMaxOptions": 0}}, from_me=False)
EVENT = {"event": {"name": "Party"}}


@pytest.mark.parametrize(
    ("acting", "target", "reason"),
    [
        (
            message("send-text", editMessageId="A"),
            known("text", {"text": {"message": "hi"}}, from_me=False),
            "message A was not sent by this number",
        ),
        (
            message("send-text", editMessageId="A"),
            SENT_POLL,
            "message A is a send-poll, not a send-text",
        ),
        (
            message("send-document", editDocumentMessageId="A"),
            SENT_POLL,
            "message A is a send-poll, not a send-document",
        ),
        (
            message("send-poll-vote", pollMessageId="A", pollVote=[{"name": "Green"}]),
            SENT_POLL,
            "the poll has no option 'Green'",
        ),
        (
            message("send-poll-vote", pollMessageId="A", pollVote=poll(2)),
            SENT_POLL,
            "the poll allows at most 1 of its options, not 2",
        ),
        (
            message("send-poll-vote", pollMessageId="A"),
            known("send-text", {"message": "hi"}, from_me=True),
            "message A is not a poll",
        ),
        (
            message("send-event-response", eventMessageId="A"),
            known("send-event", EVENT, from_me=True, chat=GROUP),
            "the author of an event cannot answer it",
        ),
        (
            message("send-event-response", eventMessageId="A"),
            known("text", {"text": {"message": "hi"}}, from_me=False, chat=GROUP),
            "message A is not an event",
        ),
        (
            message("send-edit-event", eventMessageId="A"),
            known("event", EVENT, from_me=False, chat=GROUP),
            "message A was not sent by this number",
        ),
        (
            message("order-status-update", messageId="A"),
            known("send-text", {"message": "hi"}, from_me=True),
            "message A is a send-text, not a send-order",
        ),
        (
            message("reply-status-text", statusMessageId="A"),
            known("text", {"text": {"message": "hi"}}, from_me=False),
            "message A is not a status",
        ),
    ],
)
def test_change_that_whatsapp_forbids_is_refused(
    acting: OutgoingMessage, target: KnownMessage, reason: str
) -> None:
    with pytest.raises(Refused) as caught:
        change_of(acting, {"A": target})
    assert str(caught.value) == reason


def test_vote_in_a_received_poll_may_name_several_options() -> None:
    vote = message("send-poll-vote", pollMessageId="A", pollVote=poll(2))
    change = change_of(vote, {"A": RECEIVED_POLL})
    assert change is not None
    assert change.marks == {"votes": {"me": ["Option 0", "Option 1"]}}


def test_edited_document_gets_the_new_caption() -> None:
    edit = message("send-document", editDocumentMessageId="A", caption="Better")
    change = change_of(edit, {"A": known("send-document", {}, from_me=True)})
    assert change is not None
    assert change.marks == {"content": {"caption": "Better"}, "edited": True}


def test_plain_message_changes_no_earlier_one() -> None:
    assert change_of(message("send-text"), {}) is None


@pytest.mark.parametrize(
    ("from_me", "private", "seen_in"),
    [(False, True, FRIEND), (False, False, GROUP), (True, True, GROUP)],
)
def test_private_answer_goes_to_the_sender_it_answers(
    *, from_me: bool, private: bool, seen_in: str
) -> None:
    asked = known("text", {"text": {"message": "hi"}}, from_me=from_me, chat=GROUP)
    answer = message("send-text", phone=GROUP, messageId="A", privateAnswer=private)
    assert chat_of(answer, {"A": asked}) == seen_in
