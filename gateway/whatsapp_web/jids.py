"""Translates addresses between WhatsApp's form (JID) and the gateway's."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.spellings import STATUS_BROADCAST

PERSON, HIDDEN, GROUP, CHANNEL, LIST = "s.whatsapp.net", "lid", "g.us", "newsletter", "broadcast"

Jid = Mapping[str, Any]
"""A JID in an event of the library."""


def jid_of(chat: str) -> str:
    """Returns the JID of a phone, `...-group`, `...@lid`, `...@newsletter` or `...-broadcast`."""
    if chat == STATUS_BROADCAST or "@" in chat:
        return chat
    if chat.endswith("-group"):
        return f"{chat.removesuffix('-group')}@{GROUP}"
    if chat.endswith("-broadcast"):
        return f"{chat.removesuffix('-broadcast')}@{LIST}"
    return f"{chat}@{GROUP if '-' in chat else PERSON}"


def chat_of(jid: str) -> str:
    """Returns the address for callers; the reverse of `jid_of`."""
    user, _, server = jid.partition("@")
    user = user.partition(":")[0]
    match server:
        case "g.us":
            return user if "-" in user else f"{user}-group"
        case "s.whatsapp.net" | "c.us":
            return user
        case "broadcast" if user != "status":
            return f"{user}-broadcast"
        case _:
            return f"{user}@{server}"


def text_of(jid: Jid | None) -> str | None:
    """Returns `user@server`, without the device; None if the event leaves it empty."""
    if not jid or not jid.get("User") or jid.get("IsEmpty"):
        return None
    return f"{jid['User']}@{jid['Server']}"


def person_of(*jids: Jid | None) -> tuple[str | None, str | None]:
    """Returns the person, by phone if an address has one, and their lid."""
    texts = [text for jid in jids if (text := text_of(jid))]
    phone = next((t for t in texts if t.endswith(f"@{PERSON}")), None)
    lid = next((t for t in texts if t.endswith(f"@{HIDDEN}")), None)
    return (chat_of(phone) if phone else lid), lid
