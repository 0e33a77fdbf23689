"""What the library tells, as the port's events."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gateway.providers.whatsmeow.jids import chat_of, person_of, text_of
from gateway.providers.whatsmeow.store import KeptEvent
from gateway.sessions.provider import Acknowledgement, Event, MessageAcknowledged, MessageReceived

Body = dict[str, Any]
OurIds = Callable[[list[str]], Awaitable[list[str]]]

KEPT: Final = frozenset({"Message", "Receipt"})
"""Told by the library, and kept until callers are told."""

_RECEIPTS: Final[dict[str, Acknowledgement]] = {
    "DELIVERED": "delivered",
    "READ": "read",
    "PLAYED": "played",
}
"""Others are between devices, or (`INACTIVE`) of devices nobody looks at."""


async def event_of(kept: KeptEvent, our_ids: OurIds) -> Event | None:
    """The fact behind an event; None where it says nothing to callers."""
    match kept.name:
        case "Receipt":
            return await _receipt(kept.body, our_ids)
        case "Message":
            return await _message(kept.body, our_ids)
        case _:
            return None


async def _receipt(body: Body, our_ids: OurIds) -> Event | None:
    source = body["MessageSource"]
    status = _RECEIPTS.get(body.get("Type", "DELIVERED"))
    if status is None or source.get("IsFromMe") or not body.get("MessageIDs"):
        return None
    chat, chat_lid = _chat(source)
    reader, _ = person_of(source.get("Sender"), source.get("SenderAlt"))
    return MessageAcknowledged(
        provider_message_ids=await our_ids(body["MessageIDs"]),
        chat=chat,
        status=status,
        at=_time(body["Timestamp"], in_seconds=True),
        by=reader if source.get("IsGroup") else None,
        chat_lid=chat_lid,
    )


async def _message(body: Body, our_ids: OurIds) -> Event | None:
    information, message = body["Info"], body.get("Message", {})
    source = information["MessageSource"]
    text = message.get("conversation") or message.get("extendedTextMessage", {}).get("text")
    if not text:
        return None
    context = message.get("extendedTextMessage", {}).get("contextInfo", {})
    chat, chat_lid = _chat(source)
    sender, sender_lid = person_of(source.get("Sender"), source.get("SenderAlt"))
    quoted = await our_ids([context["stanzaID"]]) if context.get("stanzaID") else [None]
    from_me = bool(source.get("IsFromMe"))
    return MessageReceived(
        provider_message_id=information["ID"],
        chat=chat,
        sender=None if from_me else sender,
        sender_name=information.get("Pushname") or None,
        from_me=from_me,
        at=_time(information["Timestamp"]),
        kind="text",
        content={"text": {"message": text}},
        quoted_provider_id=quoted[0],
        chat_lid=chat_lid,
        sender_lid=sender_lid,
        provider_data=orjson.dumps({"message": message, "chat": text_of(source["Chat"])}),
    )


def _chat(source: Body) -> tuple[str, str | None]:
    """The chat, by phone where one is known."""
    if source.get("IsGroup"):
        return chat_of(text_of(source["Chat"]) or ""), None
    other = source.get("RecipientAlt" if source.get("IsFromMe") else "SenderAlt")
    chat, lid = person_of(source["Chat"], other)
    return chat or chat_of(text_of(source["Chat"]) or ""), lid


def _time(stamp: str | int, *, in_seconds: bool = False) -> datetime:
    return datetime.fromtimestamp(int(stamp) / (1 if in_seconds else 1000), UTC)
