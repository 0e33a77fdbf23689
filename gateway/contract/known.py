"""An earlier message that a reply, an edit or a reaction names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Base64Bytes

from gateway.contract.spellings import STATUS_BROADCAST


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message sent or received on an instance; `sender` is None for its own.

    With `is_assumed` the gateway has no such message: chat and author come from the request, and
    nothing is known of the content.
    """

    message_id: str
    provider_message_id: str
    chat: str
    sender: str | None
    from_me: bool
    type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    provider_data: Base64Bytes | None = None
    is_assumed: bool = False


def assumed_own(message_id: str, chat: str, *, kind: str = "") -> KnownMessage:
    """Returns a message that the gateway does not know and that this number must have sent."""
    return KnownMessage(
        message_id, message_id, chat, None, from_me=True, type=kind, is_assumed=True
    )


def assumed_message(
    message_id: str, chat: str, *, owner: bool | None, author: str | None
) -> KnownMessage | None:
    """Returns what a request says of a message that the gateway does not know.

    In the chat with a person it is taken to be the person's, unless *owner* says that this number
    sent it: programs answer what they received. The form of an id is no proof: WhatsApp Web gives
    the same form to everybody.

    Returns:
        None in a group, and for a status, if neither *owner* nor *author* says who wrote it.
    """
    if owner or chat.endswith("-broadcast"):
        return assumed_own(message_id, chat)
    is_of_one = chat.isdigit() or ("@" in chat and chat != STATUS_BROADCAST)
    sender = author or (chat if is_of_one else None)
    if sender is None:
        return None
    return KnownMessage(
        message_id, message_id, chat, sender, from_me=False, type="", is_assumed=True
    )
