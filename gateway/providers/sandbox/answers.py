"""Answers of a simulated reader: votes, taps on buttons, reactions."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import singledispatch
from typing import Any, TypeVar

from gateway.clock import epoch_ms
from gateway.contract.send import OutgoingMessage
from gateway.contract.spellings import is_group
from gateway.contract.zapi.messages.buttons import ReplyButton
from gateway.contract.zapi.messages.interactive import (
    SendButtonActions,
    SendButtonList,
    SendOptionList,
)
from gateway.contract.zapi.messages.media import (
    MediaMessage,
    SendGif,
    SendImage,
    SendSticker,
    SendVideo,
)
from gateway.contract.zapi.messages.polls_and_events import SendEvent, SendPoll
from gateway.providers.sandbox.pairing import phone_number
from gateway.providers.sandbox.session import SandboxSend
from gateway.providers.sandbox.stored_events import event_body
from gateway.providers.sandbox.world import PlannedAnswer, PlannedReceipt
from gateway.randomness import Uniform
from gateway.sessions.provider import MessageReceived

_AFTER_SECONDS = (1.0, 8.0)  # counted from the reading
_SHARE_REACTING = 0.3
_QUOTING = frozenset({"buttonsResponseMessage", "listResponseMessage"})
_HEART = "\u2764\ufe0f"

JsonObject = Mapping[str, Any]
Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class _Reader:
    """The person who reads a message, and when they answer it."""

    message_id: str
    chat: str
    phone: str
    at: datetime
    uniform: Uniform

    @property
    def time_ms(self) -> int:
        return epoch_ms(self.at)

    def choose(self, choices: Sequence[Choice]) -> Choice:
        return choices[min(int(self.uniform(0, len(choices))), len(choices) - 1)]

    def referenced(self) -> JsonObject:
        return {"messageId": self.message_id, "fromMe": True, "phone": self.chat}


def plan_answer(
    outgoing: SandboxSend, message: OutgoingMessage, receipts: Sequence[PlannedReceipt]
) -> PlannedAnswer | None:
    """Returns the answer of the reader; None for a message that is not read or not answered."""
    context, message_id = outgoing.session.context, outgoing.attempt.message_id
    read = next((planned for planned in receipts if planned.status == "read"), None)
    phone = _reader_of(message.phone)
    if read is None or phone is None or not context.settings.answers:
        return None
    pause = context.uniform(*_AFTER_SECONDS) * (context.settings.receipts or 0)
    after_seconds = read.after_seconds + pause
    at = context.clock.now() + timedelta(seconds=after_seconds)
    content = _answer(message, _Reader(message_id, message.phone, phone, at, context.uniform))
    if content is None:
        return None
    (kind,) = content
    quotes = kind in _QUOTING
    answer = MessageReceived(
        provider_message_id=_id_of_answer(message_id),
        chat=message.phone,
        sender=phone,
        sender_name=None,
        from_me=False,
        at=at,
        kind=kind,
        content=content,
        quoted_provider_id=message_id if quotes else None,
        refers_to=None if quotes else message_id,
    )
    return PlannedAnswer(event_body(answer), after_seconds)


def _reader_of(chat: str) -> str | None:
    """Returns the phone that reads messages to a chat: in a group always the same member."""
    if is_group(chat):
        return phone_number(chat)
    return chat if chat.isdigit() else None


def _id_of_answer(message_id: str) -> str:
    """Returns the same id each time that the message is sent."""
    return f"3EB0{hashlib.sha256(message_id.encode()).hexdigest()[:18].upper()}"


@singledispatch
def _answer(_message: OutgoingMessage, _reader: _Reader) -> JsonObject | None:
    return None


@_answer.register(SendGif)
@_answer.register(SendImage)
@_answer.register(SendSticker)
@_answer.register(SendVideo)
def _(_message: MediaMessage, reader: _Reader) -> JsonObject | None:
    if reader.uniform(0, 1) >= _SHARE_REACTING:
        return None
    return {
        "reaction": {
            "value": _HEART,
            "time": reader.time_ms,
            "reactionBy": reader.phone,
            "referencedMessage": reader.referenced(),
        }
    }


@_answer.register
def _(message: SendPoll, reader: _Reader) -> JsonObject:
    chosen = reader.choose(message.poll)
    return {"pollVote": {"pollMessageId": reader.message_id, "options": [{"name": chosen.name}]}}


@_answer.register
def _(message: SendButtonActions, reader: _Reader) -> JsonObject | None:
    return _tap([button for button in message.button_actions if button.type == "REPLY"], reader)


@_answer.register
def _(message: SendButtonList, reader: _Reader) -> JsonObject | None:
    return _tap(message.button_list.buttons, reader)


def _tap(buttons: Sequence[ReplyButton], reader: _Reader) -> JsonObject | None:
    if not buttons:
        return None
    tapped = reader.choose(buttons)
    return {"buttonsResponseMessage": {"buttonId": tapped.id, "message": tapped.label}}


@_answer.register
def _(message: SendOptionList, reader: _Reader) -> JsonObject:
    chosen = reader.choose(message.option_list.options)
    return {
        "listResponseMessage": {
            "message": chosen.description,
            "title": chosen.title,
            "selectedRowId": chosen.id,
        }
    }


@_answer.register
def _(_message: SendEvent, reader: _Reader) -> JsonObject:
    return {
        "eventResponse": {
            "response": reader.choose(("GOING", "NOT_GOING")),
            "responseFrom": reader.phone,
            "time": reader.time_ms,
            "referencedMessage": reader.referenced(),
        }
    }
