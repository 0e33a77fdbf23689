"""Polls and their votes; events.

Editing and answering an event takes a cipher of its own that the library does not offer.
"""

from typing import Any

import orjson

from gateway.contract.handlers import Handlers
from gateway.contract.known import KnownMessage
from gateway.contract.messages.polls_and_events import SendEvent, SendPoll, SendPollVote
from gateway.providers.whatsmeow.jids import jid_of
from gateway.providers.whatsmeow.messages.parts import known, present, with_secret
from gateway.providers.whatsmeow.session import Fields, Outgoing
from gateway.sessions.provider import Receipt

sends: Handlers[Outgoing] = Handlers()


@sends.handles(SendPoll)
async def send_poll(outgoing: Outgoing, message: SendPoll) -> Receipt:
    poll = {
        "name": message.message,
        "options": [{"optionName": option.name} for option in message.poll],
        "selectableOptionsCount": message.poll_max_options,
    }
    # The later versions of this field would go out as a plain text.
    receipt = await outgoing.deliver(message.phone, with_secret({"pollCreationMessage": poll}))
    names = [option.name for option in message.poll]
    await outgoing.session.remember_poll(receipt.provider_message_id, names)
    return receipt


@sends.handles(SendPollVote)
async def send_poll_vote(outgoing: Outgoing, message: SendPollVote) -> Receipt:
    poll = known(outgoing.attempt, message.poll_message_id)
    chat, sender = _address_of(poll)
    vote: Fields = await outgoing.session.call(
        "poll_vote",
        id=poll.provider_message_id,
        chat=chat,
        sender=sender,
        options=[option.name for option in message.poll_vote],
    )
    return await outgoing.deliver(message.phone, vote)


@sends.handles(SendEvent)
async def send_event(outgoing: Outgoing, message: SendEvent) -> Receipt:
    event = message.event
    body: dict[str, Any] = present(
        name=event.name,
        description=event.description,
        startTime=int(event.starts_at.timestamp()),
        isCanceled=event.canceled,
        isScheduleCall=True if event.call_link_type else None,
    )
    if event.location and event.location.name:
        body["location"] = {"name": event.location.name}
    return await outgoing.deliver(message.phone, with_secret({"eventMessage": body}))


def _address_of(message: KnownMessage) -> tuple[str, str | None]:
    """Its chat and author as WhatsApp named them, which is part of the cipher of a vote."""
    if message.provider_data is None:
        return jid_of(message.chat), jid_of(message.sender) if message.sender else None
    kept = orjson.loads(message.provider_data)
    return kept["chat"], kept.get("sender") if message.sender else None
