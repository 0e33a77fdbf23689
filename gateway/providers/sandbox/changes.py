"""Decides what a new message does to an earlier one, as a phone would show it."""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

from gateway.contract.known import KnownMessage
from gateway.contract.send import OutgoingMessage
from gateway.contract.spellings import STATUS_BROADCAST
from gateway.contract.zapi.messages.button_replies import ButtonReply, choice_in
from gateway.contract.zapi.messages.commerce import OrderUpdate
from gateway.contract.zapi.messages.media import SendDocument, SendImage, SendVideo
from gateway.contract.zapi.messages.message_actions import PinMessage
from gateway.contract.zapi.messages.polls_and_events import (
    SendEditEvent,
    SendEventResponse,
    SendPollVote,
)
from gateway.contract.zapi.messages.reactions import Reaction
from gateway.contract.zapi.messages.text import SendText
from gateway.contract.zapi.status import StatusReply
from gateway.errors import Refused
from gateway.providers.sandbox.world import MessageMarks

Referred = Mapping[str, KnownMessage]

_ME = "me"


@singledispatch
def change_of(_message: OutgoingMessage, _referred: Referred) -> MessageMarks | None:
    """Returns the marks that the message sets on an earlier one, if any.

    Raises:
        Refused: WhatsApp does not allow this message for the earlier one.
    """
    return None


@change_of.register
def _(message: SendText, referred: Referred) -> MessageMarks | None:
    if message.edit_message_id is None:
        return None
    target = _own(referred[message.edit_message_id], "send-text")
    return _change(target, content={"message": message.message}, edited=True)


@change_of.register
def _(message: SendDocument, referred: Referred) -> MessageMarks | None:
    if message.edit_document_message_id is None:
        return None
    target = _own(referred[message.edit_document_message_id], "send-document")
    return _change(target, content={"caption": message.caption}, edited=True)


@change_of.register
def _(message: SendImage | SendVideo, referred: Referred) -> MessageMarks | None:
    edited_id = message.edited_id()
    if edited_id is None:
        return None
    target = _own(referred[edited_id], message.kind())
    return _change(target, content={"caption": message.caption}, edited=True)


@change_of.register
def _(message: Reaction, referred: Referred) -> MessageMarks:
    return _change(referred[message.message_id], reactions={_ME: message.emoji or None})


@change_of.register
def _(message: PinMessage, referred: Referred) -> MessageMarks:
    return _change(referred[message.message_id], pinnedSeconds=message.pinned_seconds)


@change_of.register
def _(message: SendPollVote, referred: Referred) -> MessageMarks:
    target = referred[message.poll_message_id]
    options, max_count = _poll(target)
    chosen = [option.name for option in message.poll_vote]
    if unknown := [name for name in chosen if name not in options]:
        raise Refused(f"the poll has no option {unknown[0]!r}")
    if max_count and len(chosen) > max_count:
        raise Refused(f"the poll allows at most {max_count} of its options, not {len(chosen)}")
    return _change(target, votes={_ME: chosen})


def _poll(target: KnownMessage) -> tuple[list[str], int]:
    """Returns the options and how many may be chosen.

    A poll from another phone is stored in another form than one sent from here.
    """
    poll = target.payload.get("poll")
    if isinstance(poll, dict):
        options, max_count = poll["options"], poll.get("pollMaxOptions", 0)
    elif isinstance(poll, list):
        options, max_count = poll, target.payload.get("poll_max_options", 0)
    else:
        raise Refused(f"message {target.message_id} is not a poll")
    return [option["name"] for option in options], max_count


@change_of.register
def _(message: SendEditEvent, referred: Referred) -> MessageMarks:
    target = _own(referred[message.event_message_id], "send-event")
    event = message.event.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _change(target, content={"event": event}, edited=True)


@change_of.register
def _(message: SendEventResponse, referred: Referred) -> MessageMarks:
    target = referred[message.event_message_id]
    if target.from_me:
        raise Refused("the author of an event cannot answer it")
    if "event" not in target.payload:
        raise Refused(f"message {target.message_id} is not an event")
    return _change(target, responses={_ME: message.event_response})


@change_of.register
def _(message: OrderUpdate, referred: Referred) -> MessageMarks:
    target = _own(referred[message.message_id], "send-order")
    return _change(
        target,
        content={
            "order": message.order.model_dump(mode="json", by_alias=True, exclude_none=True),
            "orderStatus": message.order_status,
            "paymentStatus": message.payment_status,
        },
    )


@change_of.register
def _(message: ButtonReply, referred: Referred) -> None:
    target = referred[message.message_id]
    if target.from_me:
        raise Refused(f"message {target.message_id} was sent by this number")
    if choice_in(target.payload, message.choice_id) is None:
        raise Refused(f"message {target.message_id} offers no button {message.choice_id!r}")


@change_of.register
def _(message: StatusReply, referred: Referred) -> None:
    target = referred[message.status_message_id]
    if target.chat != STATUS_BROADCAST:
        raise Refused(f"message {target.message_id} is not a status")


def chat_of(message: OutgoingMessage, referred: Referred) -> str:
    """Returns the chat of a message; a private answer goes to the sender of the quoted message."""
    if isinstance(message, SendText) and message.private_answer and message.message_id:
        return referred[message.message_id].sender or message.phone
    return message.phone


def _change(target: KnownMessage, **marks: Any) -> MessageMarks:  # noqa: ANN401 - JSON
    return MessageMarks(target.provider_message_id, marks)


def _own(target: KnownMessage, kind: str) -> KnownMessage:
    if not target.from_me:
        raise Refused(f"message {target.message_id} was not sent by this number")
    if target.type != kind:
        raise Refused(f"message {target.message_id} is a {target.type}, not a {kind}")
    return target
