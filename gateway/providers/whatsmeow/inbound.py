"""What the library tells, as the port's events."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import orjson

from gateway.contract.callbacks import WAITING
from gateway.contract.wire import STATUS_BROADCAST
from gateway.errors import NotConnected
from gateway.providers.whatsmeow.child.frames import Json
from gateway.providers.whatsmeow.contents import Content, content_of, revoked_by, unwrapped
from gateway.providers.whatsmeow.event_handlers import HAPPENINGS, Calls, EventScope, moment
from gateway.providers.whatsmeow.history_sync import listed, messages_of, people_of
from gateway.providers.whatsmeow.jids import chat_of, person_of, text_of
from gateway.providers.whatsmeow.process import VerbFailed
from gateway.providers.whatsmeow.store import KeptEvent
from gateway.sessions.provider import (
    Acknowledgement,
    Event,
    HistoryReceived,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    ReceivedFile,
)

Body = Mapping[str, Any]

KEPT: Final = HAPPENINGS.keys() | {"Message", "UndecryptableMessage", "Receipt", "HistorySync"}
"""Told by the library, and kept until callers are told."""

_RECEIPTS: Final[dict[str, Acknowledgement]] = {
    "DELIVERED": "delivered",
    "READ": "read",
    "PLAYED": "played",
    "READ_SELF": "read_by_me",
    "PLAYED_SELF": "read_by_me",
}
"""Others are between devices, or (`INACTIVE`) of devices nobody looks at."""


class Library(Protocol):
    """What reading an event takes of the session."""

    @property
    def own_phone(self) -> str | None: ...

    @property
    def calls(self) -> Calls: ...

    async def call(self, verb: str, **arguments: Json) -> Json: ...

    async def our_ids(self, provider_ids: Sequence[str]) -> list[str]: ...

    async def remember_poll(self, provider_id: str, options: Sequence[str]) -> None: ...

    async def poll_options(self, provider_id: str) -> list[str]: ...


async def events_of(kept: KeptEvent, library: Library) -> list[Event]:
    """The facts behind an event, the same each time; none where it says nothing to callers."""
    match kept.name:
        case "Receipt":
            return _some(await _receipt(kept.body, library))
        case "Message":
            return _some(await _message(kept.body, library))
        case "UndecryptableMessage":
            return _some(_waiting(kept.body))
        case "HistorySync":
            return await _history(kept, library)
        case name:
            scene = EventScope(kept.id, kept.at, library.own_phone, library.calls)
            return [*HAPPENINGS[name](kept.body, scene)]


def _some(event: Event | None) -> list[Event]:
    return [] if event is None else [event]


async def _history(kept: KeptEvent, library: Library) -> list[Event]:
    """Who is who comes first: chats are found by it."""
    events: list[Event] = [*people_of(kept.body, kept.at)]
    for chat in kept.body.get("conversations", ()):
        read = [await _message(message, library) for message in messages_of(chat)]
        found = [
            replace(message, chat_name=chat.get("name") or chat.get("displayName"))
            for message in read
            if isinstance(message, MessageReceived) and not message.is_edit
        ]
        shown = listed(chat)
        if found or shown:
            events.append(HistoryReceived(tuple(found), kept.at, (shown,) if shown else ()))
    return events


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
        provider_message_ids=await library.our_ids(body["MessageIDs"]),
        chat=chat,
        status=status,
        at=moment(body["Timestamp"]),
        by=reader if in_group else None,
        chat_lid=chat_lid,
        by_lid=reader_lid if in_group else None,
        device=source.get("Sender", {}).get("Device", 0) if by_me else 0,
    )


def _waiting(body: Body) -> Event | None:
    """Not to be read yet; it comes again, as a message, once its sender has repeated it."""
    if body.get("DecryptFailMode") == "DECRYPT_FAIL_HIDE":
        return None
    return _envelope(body["Info"], kind=WAITING, is_waiting=True)


@dataclass(frozen=True, slots=True)
class _Referred:
    """Messages an incoming one speaks of: by our id where we sent them."""

    quoted: str | None
    refers_to: str | None


async def _message(body: Body, library: Library) -> Event | None:
    information, message = body["Info"], body.get("Message", {})
    if gone := revoked_by(message):
        return await _revoked(information, gone, library)
    content = content_of(message)
    if content is None:
        return None
    source = information["MessageSource"]
    referred = await _referred(content, library)
    if content.kind == "poll":
        names = [option["name"] for option in content.fields["options"]]
        await library.remember_poll(information["ID"], names)
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
        expiration_seconds=content.context.get("expiration") or None,
        provider_data=orjson.dumps(data),
        files=_files(content, message),
    )


def _envelope(information: Body, *, kind: str, is_waiting: bool = False) -> MessageReceived:
    """Who wrote when and where; what it says is filled in."""
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


async def _revoked(information: Body, gone: str, library: Library) -> Notified:
    said = _envelope(information, kind="notification")
    (ours,) = await library.our_ids([gone])
    return Notified(
        "REVOKE",
        chat=said.chat,
        at=said.at,
        provider_message_id=said.provider_message_id,
        by=said.sender,
        by_name=said.sender_name,
        by_lid=said.sender_lid,
        chat_lid=said.chat_lid,
        from_me=said.from_me,
        refers_to=ours,
    )


async def _referred(content: Content, library: Library) -> _Referred:
    quoted = content.context.get("stanzaID")
    ids = [provider_id for provider_id in (quoted, content.refers_to) if provider_id]
    ours = dict(zip(ids, await library.our_ids(ids), strict=True)) if ids else {}
    return _Referred(ours.get(quoted), ours.get(content.refers_to))


async def _fields(
    content: Content, event: Body, referred: _Referred, library: Library
) -> dict[str, Any]:
    if content.kind != "pollVote":
        return content.fields
    assert content.refers_to
    chosen = await _chosen(content.refers_to, event, library)
    return {"pollMessageId": referred.refers_to, "options": chosen}


async def _chosen(poll: str, event: Body, library: Library) -> list[Body]:
    """The options of a vote by the names the poll gave them; none where it cannot be read."""
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
        plain["videoMessage"] = round_video  # the library looks for no other name
    return (
        ReceivedFile(
            ".".join(content.file_at), reference=orjson.dumps(plain), file_name=content.file_name
        ),
    )


def _chat(source: Body) -> tuple[str, str | None]:
    """The chat, by phone where one is known."""
    if source.get("IsGroup"):
        return chat_of(text_of(source["Chat"]) or ""), None
    other = source.get("RecipientAlt" if source.get("IsFromMe") else "SenderAlt")
    chat, lid = person_of(source["Chat"], other)
    return chat or chat_of(text_of(source["Chat"]) or ""), lid
