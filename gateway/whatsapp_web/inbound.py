"""Translates the events of the library into those of the port."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from gateway.contract.callbacks import WAITING
from gateway.contract.spellings import STATUS_BROADCAST
from gateway.errors import NotConnected
from gateway.observability.error_reports import report_error
from gateway.sessions.provider import (
    Acknowledgement,
    Event,
    HistoryReceived,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    ReceivedFile,
)
from gateway.whatsapp_web.contents import Content, content_of, revoked_by, unwrapped
from gateway.whatsapp_web.event_handlers import EVENT_HANDLERS, EventScope, moment
from gateway.whatsapp_web.history_sync import listed, messages_of, people_of
from gateway.whatsapp_web.jids import chat_of, person_of, text_of
from gateway.whatsapp_web.session import Library, StoredEvent, VerbFailed

Body = Mapping[str, Any]

STORED_EVENTS: Final = EVENT_HANDLERS.keys() | {
    "Message",
    "UndecryptableMessage",
    "Receipt",
    "HistorySync",
}
"""The library's events that are stored until the gateway has processed them."""

_UNKNOWN_FORM: Final = (AttributeError, LookupError, TypeError, ValueError)
"""What reading a field raises that is missing, or of another type."""

_RECEIPTS: Final[dict[str, Acknowledgement]] = {
    "DELIVERED": "delivered",
    "READ": "read",
    "PLAYED": "played",
    "READ_SELF": "read_by_me",
    "PLAYED_SELF": "read_by_me",
}
"""Other receipts are between devices, or (`INACTIVE`) of devices that are not in use."""


class UnreadableEvent(Exception):
    """The event has a form that this version does not know; `__cause__` says what is wrong."""


async def events_of(stored: StoredEvent, library: Library) -> list[Event]:
    """Returns the port's events for a stored one, the same each time; none if callers need none.

    Raises:
        UnreadableEvent: its form is unknown.
    """
    try:
        return await _translated(stored, library)
    except _UNKNOWN_FORM as error:
        raise UnreadableEvent(stored.name) from error


async def _translated(stored: StoredEvent, library: Library) -> list[Event]:
    match stored.name:
        case "Receipt":
            return _some(await _receipt(stored.body, library))
        case "Message":
            return _some(await _message(stored.body, library))
        case "UndecryptableMessage":
            return _some(_waiting(stored.body))
        case "HistorySync":
            return await _history(stored, library)
        case name:
            scope = EventScope(stored.id, stored.at, library.own_phone, library.calls)
            return [*EVENT_HANDLERS[name](stored.body, scope)]


def _some(event: Event | None) -> list[Event]:
    return [] if event is None else [event]


async def _history(stored: StoredEvent, library: Library) -> list[Event]:
    """Returns identities first, because chats are found by them."""
    events: list[Event] = [*people_of(stored.body, stored.at)]
    for chat in stored.body.get("conversations", ()):
        read = [await _earlier_message(message, library) for message in messages_of(chat)]
        found = [
            replace(message, chat_name=chat.get("name") or chat.get("displayName"))
            for message in read
            if isinstance(message, MessageReceived) and not message.is_edit
        ]
        shown = listed(chat)
        if found or shown:
            events.append(HistoryReceived(tuple(found), stored.at, (shown,) if shown else ()))
    return events


async def _earlier_message(body: Body, library: Library) -> Event | None:
    """Returns a message of the history; one of an unknown form costs no other."""
    try:
        return await _message(body, library)
    except _UNKNOWN_FORM as error:
        report_error(error, component="whatsapp_web", message_type="HistorySync")
        return None


async def _receipt(body: Body, library: Library) -> Event | None:
    source = body["MessageSource"]
    status = _RECEIPTS.get(body.get("Type", "DELIVERED"))
    by_me = status == "read_by_me"
    if status is None or not body.get("MessageIDs") or bool(source.get("IsFromMe")) is not by_me:
        return None
    chat, chat_lid = _chat(source)
    reader, reader_lid = person_of(source.get("Sender"), source.get("SenderAlt"))
    in_group = source.get("IsGroup") and not by_me
    return MessageAcknowledged(
        provider_message_ids=await library.message_ids(body["MessageIDs"]),
        chat=chat,
        status=status,
        at=moment(body["Timestamp"]),
        by=reader if in_group else None,
        chat_lid=chat_lid,
        by_lid=reader_lid if in_group else None,
        device=source.get("Sender", {}).get("Device", 0) if by_me else 0,
    )


def _waiting(body: Body) -> Event | None:
    """Returns a message that cannot be decrypted yet; its sender repeats it as a message."""
    if body.get("DecryptFailMode") == "DECRYPT_FAIL_HIDE":
        return None
    return _envelope(body["Info"], kind=WAITING, is_waiting=True)


@dataclass(frozen=True, slots=True)
class _Referred:
    """Ids of the messages that an incoming one refers to: the gateway's id if it sent them."""

    quoted: str | None
    refers_to: str | None


async def _message(body: Body, library: Library) -> Event | None:
    information, message = body["Info"], body.get("Message", {})
    if revoked := revoked_by(message):
        return await _revoked(information, revoked, library)
    content = content_of(message)
    if content is None:
        return None
    source = information["MessageSource"]
    referred = await _referred(content, library)
    if content.kind == "poll":
        names = [option["name"] for option in content.fields["options"]]
        await library.add_poll(information["ID"], names)
    data = {
        "message": message,
        "chat": text_of(source["Chat"]),
        "sender": text_of(source.get("Sender")),
    }
    return replace(
        _envelope(information, kind=content.kind),
        content={content.kind: await _fields(content, body, referred, library)},
        quoted_provider_id=referred.quoted,
        refers_to=referred.refers_to,
        is_edit=content.is_edit,
        is_forwarded=bool(content.context.get("isForwarded")),
        is_status_reply=content.context.get("remoteJID") == STATUS_BROADCAST,
        expiration_seconds=_expiration(content),
        provider_data=orjson.dumps(data),
        files=_files(content, message),
    )


def _expiration(content: Content) -> int | None:
    """Returns after how many seconds the message disappears, 0 for never; None if that is unknown.

    A message about another one, such as a reaction or an edit, may not say it.
    """
    stated = content.context.get("expiration")
    return int(stated) if stated else (None if content.refers_to else 0)


def _envelope(information: Body, *, kind: str, is_waiting: bool = False) -> MessageReceived:
    """Returns the message with its sender, chat and time, and without its content."""
    source = information["MessageSource"]
    chat, chat_lid = _chat(source)
    sender, sender_lid = person_of(source.get("Sender"), source.get("SenderAlt"))
    from_me = bool(source.get("IsFromMe"))
    return MessageReceived(
        provider_message_id=information["ID"],
        chat=chat,
        sender=None if from_me else sender,
        sender_name=information.get("Pushname") or None,
        from_me=from_me,
        at=moment(information["Timestamp"]),
        kind=kind,
        content={},
        chat_lid=chat_lid,
        sender_lid=sender_lid,
        is_waiting=is_waiting,
    )


async def _revoked(information: Body, revoked: str, library: Library) -> Notified:
    message = _envelope(information, kind="notification")
    (message_id,) = await library.message_ids([revoked])
    return Notified(
        "REVOKE",
        chat=message.chat,
        at=message.at,
        provider_message_id=message.provider_message_id,
        by=message.sender,
        by_name=message.sender_name,
        by_lid=message.sender_lid,
        chat_lid=message.chat_lid,
        from_me=message.from_me,
        refers_to=message_id,
    )


async def _referred(content: Content, library: Library) -> _Referred:
    quoted = content.context.get("stanzaID")
    ids = [provider_id for provider_id in (quoted, content.refers_to) if provider_id]
    known = dict(zip(ids, await library.message_ids(ids), strict=True)) if ids else {}
    return _Referred(known.get(quoted), known.get(content.refers_to))


async def _fields(
    content: Content, event: Body, referred: _Referred, library: Library
) -> dict[str, Any]:
    if content.kind != "pollVote":
        return content.fields
    assert content.refers_to
    chosen = await _chosen(content.refers_to, event, library)
    return {"pollMessageId": referred.refers_to, "options": chosen}


async def _chosen(poll: str, event: Body, library: Library) -> list[Body]:
    """Returns the chosen options by their names in the poll; none if the vote cannot be read."""
    try:
        hashes: list[str] = await library.call("read_poll_vote", event=event)
    except (VerbFailed, NotConnected):
        return []
    names = {_hash_of(name): name for name in await library.poll_options(poll)}
    return [{"name": names[each]} for each in hashes if each in names]


def _hash_of(option: str) -> str:
    return base64.b64encode(hashlib.sha256(option.encode()).digest()).decode()


def _files(content: Content, message: Body) -> tuple[ReceivedFile, ...]:
    if content.file_at is None:
        return ()
    plain = dict(unwrapped(message))
    if round_video := plain.pop("ptvMessage", None):
        plain["videoMessage"] = round_video  # the library knows this name only
    return (
        ReceivedFile(
            ".".join(content.file_at), reference=orjson.dumps(plain), file_name=content.file_name
        ),
    )


def _chat(source: Body) -> tuple[str, str | None]:
    """Returns the chat, by phone if one is known, and the lid of a person."""
    if source.get("IsGroup"):
        return chat_of(text_of(source["Chat"]) or ""), None
    other = source.get("RecipientAlt" if source.get("IsFromMe") else "SenderAlt")
    chat, lid = person_of(source["Chat"], other)
    return chat or chat_of(text_of(source["Chat"]) or ""), lid
