"""What the library tells, as the port's events."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson

from gateway.errors import NotConnected
from gateway.providers.whatsmeow.contents import Content, content_of, unwrapped
from gateway.providers.whatsmeow.jids import chat_of, person_of, text_of
from gateway.providers.whatsmeow.process import VerbFailed
from gateway.providers.whatsmeow.store import KeptEvent
from gateway.sessions.provider import (
    Acknowledgement,
    Event,
    MessageAcknowledged,
    MessageReceived,
    ReceivedFile,
)
from gateway.whatsmeow_child.frames import Json

Body = dict[str, Any]

KEPT: Final = frozenset({"Message", "Receipt"})
"""Told by the library, and kept until callers are told."""

_RECEIPTS: Final[dict[str, Acknowledgement]] = {
    "DELIVERED": "delivered",
    "READ": "read",
    "PLAYED": "played",
}
"""Others are between devices, or (`INACTIVE`) of devices nobody looks at."""


class Library(Protocol):
    """What reading an event takes of the session."""

    async def call(self, verb: str, **arguments: Json) -> Json: ...

    async def our_ids(self, provider_ids: Sequence[str]) -> list[str]: ...

    async def remember_poll(self, provider_id: str, options: Sequence[str]) -> None: ...

    async def poll_options(self, provider_id: str) -> list[str]: ...


async def event_of(kept: KeptEvent, library: Library) -> Event | None:
    """The fact behind an event; None where it says nothing to callers."""
    match kept.name:
        case "Receipt":
            return await _receipt(kept.body, library)
        case "Message":
            return await _message(kept.body, library)
        case _:
            return None


async def _receipt(body: Body, library: Library) -> Event | None:
    source = body["MessageSource"]
    status = _RECEIPTS.get(body.get("Type", "DELIVERED"))
    if status is None or source.get("IsFromMe") or not body.get("MessageIDs"):
        return None
    chat, chat_lid = _chat(source)
    reader, _ = person_of(source.get("Sender"), source.get("SenderAlt"))
    return MessageAcknowledged(
        provider_message_ids=await library.our_ids(body["MessageIDs"]),
        chat=chat,
        status=status,
        at=datetime.fromtimestamp(int(body["Timestamp"]), UTC),
        by=reader if source.get("IsGroup") else None,
        chat_lid=chat_lid,
    )


@dataclass(frozen=True, slots=True)
class _Referred:
    """Messages an incoming one speaks of: by our id where we sent them."""

    quoted: str | None
    refers_to: str | None


async def _message(body: Body, library: Library) -> Event | None:
    information, message = body["Info"], body.get("Message", {})
    content = content_of(message)
    if content is None:
        return None
    source = information["MessageSource"]
    chat, chat_lid = _chat(source)
    sender, sender_lid = person_of(source.get("Sender"), source.get("SenderAlt"))
    from_me = bool(source.get("IsFromMe"))
    referred = await _referred(content, library)
    if content.kind == "poll":
        names = [option["name"] for option in content.fields["options"]]
        await library.remember_poll(information["ID"], names)
    return MessageReceived(
        provider_message_id=information["ID"],
        chat=chat,
        sender=None if from_me else sender,
        sender_name=information.get("Pushname") or None,
        from_me=from_me,
        at=datetime.fromtimestamp(int(information["Timestamp"]) / 1000, UTC),
        kind=content.kind,
        content={content.kind: await _fields(content, body, referred, library)},
        quoted_provider_id=referred.quoted,
        refers_to=referred.refers_to,
        is_edit=content.is_edit,
        chat_lid=chat_lid,
        sender_lid=sender_lid,
        provider_data=orjson.dumps(
            {
                "message": message,
                "chat": text_of(source["Chat"]),
                "sender": text_of(source.get("Sender")),
            }
        ),
        files=_files(content, message),
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
