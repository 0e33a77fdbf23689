"""Reads the history that a phone sends to a device it has just linked: chats and identities."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from gateway.contract.spellings import STATUS_BROADCAST
from gateway.sessions.provider import HistoryChat, IdentityLearned
from gateway.whatsapp_web.event_handlers import moment
from gateway.whatsapp_web.jids import GROUP, HIDDEN, chat_of, person_of

Body = Mapping[str, Any]
_MS = 1000


def people_of(body: Body, at: datetime) -> Iterator[IdentityLearned]:
    """Yields the phone that belongs to each lid, with the name that the person chose."""
    names = {each["ID"]: each.get("pushname") for each in body.get("pushnames", ()) if "ID" in each}
    for pair in _pairs(body):
        lid, phone = pair["lidJID"], pair["pnJID"]
        name = names.get(phone) or names.get(lid)
        yield IdentityLearned(lid, at, phone.partition("@")[0], name)


def _pairs(body: Body) -> list[Body]:
    chats = [*body.get("phoneNumberToLidMappings", ()), *body.get("conversations", ())]
    known = {c["lidJID"]: c for c in chats if c.get("lidJID") and c.get("pnJID")}
    return [each for lid, each in known.items() if lid.endswith(f"@{HIDDEN}")]


def listed(conversation: Body) -> HistoryChat | None:
    """Returns the chat as a list shows it; None for a chat without messages."""
    at = conversation.get("conversationTimestamp") or conversation.get("lastMsgTimestamp")
    address = conversation["ID"]
    if not at or address == STATUS_BROADCAST:
        return None
    chat, lid = person_of(_jid(address), _other(conversation))
    return HistoryChat(
        chat or chat_of(address),
        moment(at),
        lid,
        conversation.get("name") or conversation.get("displayName"),
        conversation.get("unreadCount"),
    )


def messages_of(chat: Body) -> Iterator[Body]:
    """Yields the messages of one chat, oldest first, in the form of the library's event."""
    address, other = chat["ID"], _other(chat)
    for entry in reversed(chat.get("messages", ())):
        message = entry.get("message", {})
        key = message.get("key", {})
        if "message" not in message or not key.get("ID"):
            continue
        in_group = address.endswith(f"@{GROUP}")
        sender = message.get("participant") or key.get("participant") if in_group else address
        source = {
            "Chat": _jid(address),
            "Sender": _jid(sender) if sender else None,
            "SenderAlt": None if in_group else other,
            "RecipientAlt": None if in_group else other,
            "IsFromMe": key.get("fromMe", False),
            "IsGroup": in_group,
        }
        information = {
            "ID": key["ID"],
            "Timestamp": int(message.get("messageTimestamp", 0)) * _MS,
            "Pushname": message.get("pushName"),
            "MessageSource": source,
        }
        yield {"Info": information, "Message": message["message"]}


def _other(chat: Body) -> dict[str, str] | None:
    """Returns the second address of the chat: its phone or its lid."""
    others = (chat.get("pnJID"), chat.get("lidJID"))
    return next((_jid(jid) for jid in others if jid and jid != chat["ID"]), None)


def _jid(text: str) -> dict[str, str]:
    user, _, server = text.partition("@")
    return {"User": user.partition(":")[0], "Server": server}
