"""An earlier message that a reply, an edit or a reaction names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Base64Bytes


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message sent or received on an instance; `sender` is None for its own."""

    message_id: str
    provider_message_id: str
    chat: str
    sender: str | None
    from_me: bool
    type: str
    payload: Mapping[str, Any]
    provider_data: Base64Bytes | None = None
