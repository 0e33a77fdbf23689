"""Reads a message as the queue stores it, and hides its recipient in logs."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from pydantic import ValidationError

from gateway.contract.catalogue import catalogue
from gateway.contract.send import STORED_VERSION, OutgoingMessage
from gateway.database.payload_seal import Unopened

_VISIBLE_DIGITS: Final = 4


class StoredMessage(Protocol):
    """The columns that hold a message as it was accepted."""

    @property
    def type(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def payload(self) -> Mapping[str, Any] | Unopened: ...


def decode(row: StoredMessage) -> OutgoingMessage | str:
    """Returns the message as it was accepted, or why this version cannot read it."""
    if isinstance(row.payload, Unopened):
        return row.payload.reason
    kind = catalogue().sends.get(row.type)
    if kind is None:
        return f"the type {row.type} is not known to this version"
    if row.version > STORED_VERSION:
        return f"stored form {row.version} is newer than this version's {STORED_VERSION}"
    try:
        return kind.model_validate(row.payload)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['type']}"


def masked(chat: str) -> str:
    """Hides all digits of a chat but the last four, for logs."""
    digits, mark, rest = chat.partition("-") if "-" in chat else chat.partition("@")
    return "*" * max(0, len(digits) - _VISIBLE_DIGITS) + digits[-_VISIBLE_DIGITS:] + mark + rest
