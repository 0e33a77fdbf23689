"""Processes calls, and notifications about groups, channels, payments, profiles and labels."""

import hashlib
from collections.abc import Mapping
from typing import Any

from gateway.clock import epoch_ms
from gateway.contract.callbacks import NotificationCode, ReceivedCallback
from gateway.contract.spellings import is_group
from gateway.history.received import ReceivedRow, add_received, find_referred
from gateway.identities.people import Person, resolve_people
from gateway.sessions.events import CallChanged, Notified
from gateway.sessions.inbound.event_context import EventContext
from gateway.sessions.inbound.participants import (
    Participants,
    RawParticipants,
    resolve_participants,
    with_pictures,
)

_KIND = "notification"
_NEW_PICTURES: frozenset[NotificationCode] = frozenset(
    {"GROUP_CHANGE_ICON", "PROFILE_PICTURE_UPDATED"}
)
_NUMBER_BYTES = 6  # every JSON parser reads a number of this size exactly


async def process_notification(context: EventContext, event: Notified) -> None:
    participants = await resolve_participants(
        context,
        RawParticipants(
            chat=event.chat,
            chat_lid=event.chat_lid,
            chat_name=event.chat_name,
            sender=event.by,
            sender_lid=event.by_lid,
            sender_name=event.by_name,
            from_me=event.from_me,
        ),
    )
    content: dict[str, Any] = {
        "notification": event.code,
        "notificationParameters": await _parameters(context, event),
        **(event.details or {}),
    }
    message_id = event.provider_message_id
    if event.refers_to:
        found = await find_referred(context.connection, context.instance.id, [event.refers_to])
        message_id = found[event.refers_to].message_id
    if event.code in _NEW_PICTURES:
        await context.pictures.changed(context.connection, (participants.chat,))
    callback = _envelope(context, participants, event, message_id, from_me=event.from_me)
    body = (await with_pictures(context, callback, participants)).body_with(content)
    if event.provider_message_id:
        await _add(context, participants, event, event.provider_message_id, content, body=body)
    else:
        await context.outbox.enqueue_within(
            context.connection, context.instance.id, participants.chat, "ReceivedCallback", body
        )


async def process_call(context: EventContext, event: CallChanged) -> None:
    participants = await resolve_participants(
        context,
        RawParticipants(
            chat=event.chat,
            chat_lid=event.chat_lid,
            chat_name=None,
            sender=None,
            sender_lid=None,
            sender_name=event.caller_name,
            from_me=False,
        ),
    )
    content: dict[str, Any] = {
        "notification": _code_of(event),
        "notificationParameters": [],
        "callId": event.call_id,
    }
    message_id = _id_of(event)
    callback = _envelope(context, participants, event, message_id, from_me=False)
    body = (await with_pictures(context, callback, participants)).body_with(content)
    await _add(context, participants, event, message_id, content, body=body)


def _envelope(
    context: EventContext,
    participants: Participants,
    event: Notified | CallChanged,
    message_id: str | None,
    *,
    from_me: bool,
) -> ReceivedCallback:
    """Leaves `isNewsletter` false for a channel too, as Z-API does."""
    return ReceivedCallback(
        instance_id=context.instance.id,
        momment=epoch_ms(event.at),
        message_id=message_id,
        phone=participants.chat,
        connected_phone=context.own_phone,
        chat_lid=participants.chat_lid,
        chat_name=participants.chat_name,
        sender_name=participants.sender.name,
        sender_lid=participants.sender.lid,
        participant_phone=participants.participant.chat,
        participant_lid=participants.participant.lid,
        from_me=from_me,
        is_group=is_group(participants.chat),
    )


async def _add(
    context: EventContext,
    participants: Participants,
    event: Notified | CallChanged,
    message_id: str,
    content: Mapping[str, Any],
    *,
    body: str,
) -> None:
    await add_received(
        context.connection,
        context.instance.id,
        ReceivedRow(
            message_id=message_id,
            chat=participants.chat,
            sender=participants.sender.chat,
            sender_name=None,
            from_me=isinstance(event, Notified) and event.from_me,
            at=event.at,
            kind=_KIND,
            content=content,
            provider_data=None,
        ),
        callback_id=context.outbox.new_id(),
        callback=body,
    )


async def _parameters(context: EventContext, event: Notified) -> list[Any] | None:
    """Replaces each lid by the phone of the person, if it is known."""
    if event.parameters is None:
        return None
    lids = [p for p in event.parameters if isinstance(p, str) and p.endswith("@lid")]
    people = await resolve_people(
        context.connection, context.instance.id, [Person(lid) for lid in lids]
    )
    phones = {each.lid: each.chat for each in people}
    return [phones.get(p, p) if isinstance(p, str) else p for p in event.parameters]


def _code_of(event: CallChanged) -> NotificationCode:
    if event.status == "offered":
        return "CALL_VIDEO" if event.is_video else "CALL_VOICE"
    return "CALL_MISSED_VIDEO" if event.is_video else "CALL_MISSED_VOICE"


def _id_of(event: CallChanged) -> str:
    """Makes an id in Z-API's form, `<seconds>-<number>`; a repeated event has the same id."""
    name = f"{event.call_id} {event.status}".encode()
    number = int.from_bytes(hashlib.sha256(name).digest()[:_NUMBER_BYTES])
    return f"{int(event.at.timestamp())}-{number}"
