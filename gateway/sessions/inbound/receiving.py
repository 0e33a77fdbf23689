"""Processes a message: its row of history and its callback, each with the message it refers to."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from gateway.clock import epoch_ms
from gateway.contract.callbacks import WAITING, ReceivedCallback, without_nulls
from gateway.contract.spellings import is_group
from gateway.history.received import (
    ReceivedRow,
    Referred,
    add_received,
    edit_content,
    find_referred,
)
from gateway.sessions.events import MessageReceived
from gateway.sessions.inbound.cards import store_names_on_cards
from gateway.sessions.inbound.event_context import EventContext, FetchedFile
from gateway.sessions.inbound.participants import (
    Participants,
    RawParticipants,
    resolve_participants,
    with_pictures,
)

Content = Mapping[str, Any]
_KINDS_WITH_REFERENCE = frozenset({"reaction", "pinMessage", "eventResponse"})


async def process_message(context: EventContext, event: MessageReceived) -> None:
    participants = await _participants(context, event)
    received, callback = await _row_and_envelope(context, event, participants)
    # A message that the owner wrote on another device has a callback only if the instance wants it.
    has_callback = context.instance.notify_sent_by_me or not event.from_me
    if has_callback:
        callback = await with_pictures(context, callback, participants)
    await add_received(
        context.connection,
        context.instance.id,
        received,
        callback_id=context.outbox.new_id(),
        callback=callback.body_with(received.content) if has_callback else None,
    )
    await store_names_on_cards(context, event.kind, received.content)
    if event.is_edit and callback.message_id:
        await edit_content(
            context.connection, context.instance.id, callback.message_id, received.content
        )


async def received_row(
    context: EventContext, event: MessageReceived
) -> tuple[ReceivedRow, ReceivedCallback]:
    """Makes the row of history of a message, and its callback without content and pictures."""
    return await _row_and_envelope(context, event, await _participants(context, event))


async def _participants(context: EventContext, event: MessageReceived) -> Participants:
    return await resolve_participants(
        context,
        RawParticipants(
            chat=event.chat,
            chat_lid=event.chat_lid,
            chat_name=event.chat_name,
            sender=event.sender,
            sender_lid=event.sender_lid,
            sender_name=event.sender_name,
            from_me=event.from_me,
        ),
    )


async def _row_and_envelope(
    context: EventContext, event: MessageReceived, participants: Participants
) -> tuple[ReceivedRow, ReceivedCallback]:
    """Makes the row of history of a message, and its callback without content and pictures."""
    ids = [i for i in (event.quoted_provider_id, event.refers_to) if i]
    referred = await find_referred(context.connection, context.instance.id, ids)
    quoted, subject = (referred.get(i or "") for i in (event.quoted_provider_id, event.refers_to))
    content = completed(with_files(event.content, context.files), event, participants, subject)
    received = ReceivedRow(
        message_id=event.provider_message_id,
        chat=participants.chat,
        sender=None if event.from_me else participants.sender.chat,
        sender_name=participants.sender.name,
        from_me=event.from_me,
        at=event.at,
        kind=WAITING if event.is_waiting else event.kind,
        content=content,
        provider_data=event.provider_data,
    )
    return received, _envelope(context, event, participants, quoted, subject)


def _envelope(
    context: EventContext,
    event: MessageReceived,
    participants: Participants,
    quoted: Referred | None,
    subject: Referred | None,
) -> ReceivedCallback:
    edited = subject.message_id if event.is_edit and subject else None
    return ReceivedCallback(
        instance_id=context.instance.id,
        momment=epoch_ms(event.at),
        message_id=edited or event.provider_message_id,
        edit_message_id=event.provider_message_id if edited else None,
        phone=participants.chat,
        connected_phone=context.own_phone,
        chat_lid=participants.chat_lid,
        chat_name=participants.chat_name,
        photo=event.photo,
        sender_name=participants.sender.name,
        sender_lid=participants.sender.lid,
        sender_photo=event.sender_photo,
        participant_phone=participants.participant.chat,
        participant_lid=participants.participant.lid,
        reference_message_id=quoted.message_id if quoted else None,
        message_expiration_seconds=event.expiration_seconds,
        from_me=event.from_me,
        is_group=is_group(participants.chat),
        is_newsletter=participants.chat.endswith("@newsletter"),
        is_status_reply=event.is_status_reply,
        is_edit=event.is_edit,
        waiting_message=event.is_waiting,
        broadcast=participants.chat.endswith("-broadcast"),
        forwarded=event.is_forwarded,
    )


def with_files(content: Content, files: Mapping[str, FetchedFile]) -> Content:
    """Puts the URL of each file into its field of the content, or `downloadError` beside it."""
    if not files:
        return content
    filled: Any = deepcopy(dict(content))
    for path, file in files.items():
        *parents, name = path.split(".")
        parent = filled
        for key in parents:
            parent = parent[int(key) if isinstance(parent, list) else key]
        if file.url:
            parent[name] = file.url
            if name == f"{parents[-1]}Url":  # a preview or thumbnail has no type of its own
                parent.setdefault("mimeType", file.mime_type)
        else:
            parent["downloadError"] = file.error
    return dict(filled)


def completed(
    content: Content, event: MessageReceived, participants: Participants, subject: Referred | None
) -> Content:
    """Adds to the content what only the gateway knows: the message it refers to, and its author."""
    own = content.get(event.kind)
    if not isinstance(own, Mapping):
        return content
    filled = {**_author(event, participants), **own, **_reference(event.kind, own, subject)}
    return {**content, event.kind: filled}


def _author(event: MessageReceived, participants: Participants) -> Content:
    match event.kind:
        case "reaction":
            return {"time": epoch_ms(event.at), "reactionBy": participants.sender.chat}
        case "eventResponse":
            return {"time": epoch_ms(event.at), "responseFrom": participants.sender.chat}
        case _:
            return {}


def _reference(kind: str, own: Content, subject: Referred | None) -> Content:
    if subject is None:
        return {}
    if kind == "pollVote":
        return {"pollMessageId": subject.message_id}
    if kind not in _KINDS_WITH_REFERENCE:
        return {}
    in_group = subject.chat is not None and is_group(subject.chat)
    known = {
        "messageId": subject.message_id,
        "fromMe": subject.from_me,
        "phone": subject.chat,
        "participant": subject.sender if in_group else None,
    }
    reported = {} if subject.chat else own.get("referencedMessage") or {}
    return {"referencedMessage": {**reported, **without_nulls(known)}}
