"""Polls and votes; events, their edits and responses."""

import base64
import time
from typing import Any

import orjson

from gateway.contract.handlers import Handlers
from gateway.contract.known import KnownMessage
from gateway.contract.zapi.messages.polls_and_events import (
    GroupEvent,
    SendEditEvent,
    SendEvent,
    SendEventResponse,
    SendPoll,
    SendPollVote,
)
from gateway.errors import Refused
from gateway.sessions.provider import Receipt
from gateway.whatsapp_web.jids import HIDDEN, jid_of, text_of
from gateway.whatsapp_web.messages.cipher import Original, Purpose, sealed
from gateway.whatsapp_web.messages.parts import (
    content_of,
    key_of,
    known,
    present,
    with_secret,
)
from gateway.whatsapp_web.session import Fields, SendContext

sends: Handlers[SendContext] = Handlers()


@sends.handles(SendPoll)
async def send_poll(outgoing: SendContext, message: SendPoll) -> Receipt:
    poll = {
        "name": message.message,
        "options": [{"optionName": option.name} for option in message.poll],
        "selectableOptionsCount": message.poll_max_options,
    }
    # The library would send the later versions of this field as a plain text.
    receipt = await outgoing.deliver(message.phone, with_secret({"pollCreationMessage": poll}))
    names = [option.name for option in message.poll]
    await outgoing.session.add_poll(receipt.provider_message_id, names)
    return receipt


@sends.handles(SendPollVote)
async def send_poll_vote(outgoing: SendContext, message: SendPollVote) -> Receipt:
    poll = known(outgoing.attempt, message.poll_message_id)
    chat, sender = _address_of(poll)
    vote: Fields = await outgoing.session.call(
        "poll_vote",
        id=poll.provider_message_id,
        chat=chat,
        sender=sender,
        options=[option.name for option in message.poll_vote],
    )
    return await outgoing.deliver(chat, vote)


@sends.handles(SendEvent)
async def send_event(outgoing: SendContext, message: SendEvent) -> Receipt:
    return await outgoing.deliver(message.phone, with_secret(_event(message.event)))


@sends.handles(SendEditEvent)
async def send_edit_event(outgoing: SendContext, message: SendEditEvent) -> Receipt:
    edited = known(outgoing.attempt, message.event_message_id)
    addition = await _sealed(outgoing, edited, "Event Edit", "Message", _event(message.event))
    body = {"targetMessageKey": key_of(edited), "secretEncType": "EVENT_EDIT", **addition}
    return await outgoing.deliver(message.phone, {"secretEncryptedMessage": body})


@sends.handles(SendEventResponse)
async def send_event_response(outgoing: SendContext, message: SendEventResponse) -> Receipt:
    event = known(outgoing.attempt, message.event_message_id)
    answer = {"response": message.event_response, "timestampMS": time.time_ns() // 1_000_000}
    addition = await _sealed(outgoing, event, "Event Response", "EventResponseMessage", answer)
    body = {"eventCreationMessageKey": key_of(event), **addition}
    return await outgoing.deliver(message.phone, {"encEventResponseMessage": body})


def _event(event: GroupEvent) -> Fields:
    body: dict[str, Any] = present(
        name=event.name,
        description=event.description,
        startTime=int(event.starts_at.timestamp()),
        isCanceled=event.canceled,
        isScheduleCall=True if event.call_link_type else None,
    )
    if event.location and event.location.name:
        body["location"] = {"name": event.location.name}
    return {"eventMessage": body}


async def _sealed(
    outgoing: SendContext, event: KnownMessage, purpose: Purpose, kind: str, content: Fields
) -> Fields:
    """Encrypts the content for the people who have the event.

    The address of this account has the form, phone or lid, of the author's in the event.
    """
    secret = content_of(event).get("messageContextInfo", {}).get("messageSecret")
    if secret is None:
        raise Refused(f"message {event.message_id} is not an event")
    me = await outgoing.session.call("me")
    own, own_lid = text_of(me["JID"]), text_of(me.get("LID"))
    sender = _address_of(event)[1] or own
    by = own_lid if sender and sender.endswith(f"@{HIDDEN}") and own_lid else own
    assert sender
    assert by
    plain = await outgoing.session.call("serialised", kind=kind, fields=content)
    original = Original(event.provider_message_id, sender, base64.b64decode(secret))
    return sealed(base64.b64decode(plain), purpose, original, by=by)


def _address_of(message: KnownMessage) -> tuple[str, str | None]:
    """Returns chat and author in the form that WhatsApp used, on which encryption depends.

    What is encrypted for the author goes to the chat in the same form: a reader takes the address
    that it came from for the one that encrypted it.
    """
    if message.provider_data is None:
        return jid_of(message.chat), jid_of(message.sender) if message.sender else None
    stored = orjson.loads(message.provider_data)
    return stored["chat"], stored.get("sender") if message.sender else None
