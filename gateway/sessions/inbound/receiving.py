"""A message that came in: its callback, its row of history, and the message it speaks of."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from gateway.contract.callbacks import WAITING, ReceivedCallback, without_nulls
from gateway.contract.wire import is_group
from gateway.history.received import (
    ReceivedRow,
    Referred,
    add_received,
    edit_content,
    find_referred,
)
from gateway.sessions.events import MessageReceived
from gateway.sessions.inbound.event_context import EventContext, FetchedFile, milliseconds
from gateway.sessions.inbound.participants import Participants, RawParticipants, participants

Content = Mapping[str, Any]
_REFERRING = frozenset({"reaction", "pinMessage", "eventResponse"})


async def receive(context: EventContext, event: MessageReceived) -> None:
    received, callback = await to_keep(context, event)
    # What the owner wrote on the phone is told only to those who asked for it.
    is_told = context.instance.notify_sent_by_me or not event.from_me
    await add_received(
        context.connection,
        context.instance.id,
        received,
        callback_id=context.outbox.new_id(),
        callback=callback.body_with(received.content) if is_told else None,
    )
    if event.is_edit and callback.message_id:
        await edit_content(
            context.connection, context.instance.id, callback.message_id, received.content
        )


async def to_keep(
    context: EventContext, event: MessageReceived
) -> tuple[ReceivedRow, ReceivedCallback]:
    """A message as it is kept, and the envelope of what callers are told of it."""
    who = await participants(
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
    named = [i for i in (event.quoted_provider_id, event.refers_to) if i]
    referred = await find_referred(context.connection, context.instance.id, named)
    quoted, subject = (referred.get(i or "") for i in (event.quoted_provider_id, event.refers_to))
    content = completed(with_files(event.content, context.files), event, who, subject)
    received = ReceivedRow(
        message_id=event.provider_message_id,
        chat=who.chat,
        sender=None if event.from_me else who.sender.chat,
        sender_name=who.sender.name,
        from_me=event.from_me,
        at=event.at,
        kind=WAITING if event.is_waiting else event.kind,
        content=content,
        provider_data=event.provider_data,
    )
    return received, _envelope(context, event, who, quoted, subject)


def _envelope(
    context: EventContext,
    event: MessageReceived,
    who: Participants,
    quoted: Referred | None,
    subject: Referred | None,
) -> ReceivedCallback:
    edited = subject.message_id if event.is_edit and subject else None
    return ReceivedCallback(
        instance_id=context.instance.id,
        momment=milliseconds(event.at),
        message_id=edited or event.provider_message_id,
        edit_message_id=event.provider_message_id if edited else None,
        phone=who.chat,
        connected_phone=context.own_phone,
        chat_lid=who.chat_lid,
        chat_name=who.chat_name,
        photo=event.photo,
        sender_name=who.sender.name,
        sender_lid=who.sender.lid,
        sender_photo=event.sender_photo,
        participant_phone=who.participant.chat,
        participant_lid=who.participant.lid,
        reference_message_id=quoted.message_id if quoted else None,
        message_expiration_seconds=event.expiration_seconds,
        from_me=event.from_me,
        is_group=is_group(who.chat),
        is_newsletter=who.chat.endswith("@newsletter"),
        is_status_reply=event.is_status_reply,
        is_edit=event.is_edit,
        waiting_message=event.is_waiting,
        broadcast=who.chat.endswith("-broadcast"),
        forwarded=event.is_forwarded,
    )


def with_files(content: Content, files: Mapping[str, FetchedFile]) -> Content:
    """The content with the URL of each file in its field, or `downloadError` beside it."""
    if not files:
        return content
    whole: Any = deepcopy(dict(content))
    for path, file in files.items():
        *parents, name = path.split(".")
        holder = whole
        for parent in parents:
            holder = holder[int(parent) if isinstance(holder, list) else parent]
        if file.url:
            holder[name] = file.url
            if name == f"{parents[-1]}Url":  # only the message's own file tells its type
                holder.setdefault("mimeType", file.mime_type)
        else:
            holder["downloadError"] = file.error
    return dict(whole)


def completed(
    content: Content, event: MessageReceived, who: Participants, subject: Referred | None
) -> Content:
    """The content with what is known here alone: the message it speaks of, and who speaks."""
    own = content.get(event.kind)
    if not isinstance(own, Mapping):
        return content
    spoken = {**_speaker(event, who), **own}
    return {**content, event.kind: {**spoken, **_spoken_of(event.kind, own, subject)}}


def _speaker(event: MessageReceived, who: Participants) -> Content:
    match event.kind:
        case "reaction":
            return {"time": milliseconds(event.at), "reactionBy": who.sender.chat}
        case "eventResponse":
            return {"time": milliseconds(event.at), "responseFrom": who.sender.chat}
        case _:
            return {}


def _spoken_of(kind: str, own: Content, subject: Referred | None) -> Content:
    if subject is None:
        return {}
    if kind == "pollVote":
        return {"pollMessageId": subject.message_id}
    if kind not in _REFERRING:
        return {}
    in_group = subject.chat is not None and is_group(subject.chat)
    known = {
        "messageId": subject.message_id,
        "fromMe": subject.from_me,
        "phone": subject.chat,
        "participant": subject.sender if in_group else None,
    }
    told = {} if subject.chat else own.get("referencedMessage") or {}
    return {"referencedMessage": {**told, **without_nulls(known)}}
