"""Learns the names of people from the contact cards in messages, for `vname` of contacts."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.spellings import parse_chat
from gateway.database.queries import query
from gateway.sessions.inbound.event_context import EventContext

_STORE_CARD_NAMES = query("directory", "store_card_names")
_MAX_CARDS = 100
_MAX_NAME_LENGTH = 255


async def store_names_on_cards(
    context: EventContext, kind: str, content: Mapping[str, Any]
) -> None:
    """Stores the name that each card of a message gives to each number on it."""
    names = names_on_cards(kind, content)
    if names:
        await context.connection.execute(
            _STORE_CARD_NAMES,
            {
                "instance_id": context.instance.id,
                "phones": list(names),
                "names": list(names.values()),
            },
        )


def names_on_cards(kind: str, content: Mapping[str, Any]) -> dict[str, str]:
    """Returns the names by number; leaves out what is no phone number."""
    own = content.get(kind)
    if kind not in ("contact", "contacts") or not isinstance(own, Mapping):
        return {}
    cards = own.get("contacts", ()) if kind == "contacts" else (own,)
    return {
        phone: card["displayName"][:_MAX_NAME_LENGTH]
        for card in cards[:_MAX_CARDS]
        if card.get("displayName")
        for number in card.get("phones", ())[:_MAX_CARDS]
        if (phone := _phone(number))
    }


def _phone(number: object) -> str | None:
    try:
        phone = parse_chat(number)
    except ValueError:  # PydanticCustomError is one
        return None
    return phone if phone.isdigit() else None
