"""The states of messages, for callers without a webhook."""

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.operation import Operation
from gateway.contract.scopes import ApiScope
from gateway.contract.spellings import parse_chat
from gateway.contract.wire import Chat, Wire

_MAX_ITEMS, _DEFAULT_ITEMS = 1_000, 100
_MAX_ID_LENGTH = 255

MAX_EXAMINED: Final = 50_000
"""How many of the newest messages, sent and received, are read to find those that were sent."""
COUNTED_BEYOND_PAGE: Final = 10_000
"""How many messages `total` counts beyond the page: a reader of all pages comes to their end."""

ReceiptState = Literal["sent", "delivered", "read", "played"]


def _group(value: object) -> str:
    """Reads digits alone as a group id."""
    text = str(value)
    return parse_chat(f"{text}-group" if text.isdigit() else text)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _item_count(value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        raise PydanticCustomError("number", "must be a whole number") from None
    if not 1 <= number <= _MAX_ITEMS:
        raise PydanticCustomError("limit", f"must be between 1 and {_MAX_ITEMS}")
    return number


class ParticipantStatus(Wire):
    """How far a message came with one person; times in milliseconds."""

    phone: str
    status: ReceiptState
    timestamp: int
    device: int = 0


class MessageCounts(Wire):
    """How many people a message reached in each state."""

    sent: int
    delivered: int
    read: int
    played: int


class AggregatedStatus(Wire):
    """One message; of a group, the participants that reported a state."""

    message_id: str
    instance_id: str
    group_id: str | None = None
    phone: str
    is_group: bool
    total_participants: int
    status: MessageCounts
    participants: tuple[ParticipantStatus, ...] | None = None
    created_at: int
    updated_at: int


class RawStatus(Wire):
    """One state of one message, as its callback shows it."""

    message_id: str
    instance_id: str
    payload: dict[str, Any]
    cached_at: int


class StatusMeta(Wire):
    """`total` counts the messages that are searched, at most 10,000 beyond this page."""

    total: int
    limit: int
    offset: int


class MessagesStatus(Wire):
    """Newest first."""

    data: tuple[AggregatedStatus, ...] | tuple[RawStatus, ...]
    meta: StatusMeta


class ReadMessagesStatus(Operation[MessagesStatus], method="GET", path="/messages-status"):
    """The states of sent messages, by message, group or phone, newest first.

    `aggregated` counts people for each message; `raw` lists each state it reached, as the
    webhook reports it. Only the newest 50,000 messages of the instance, or of the chat, are
    searched; `messageId` finds any message.
    """

    scope = ApiScope.READ

    message_id: Annotated[str, Field(min_length=1, max_length=_MAX_ID_LENGTH)] | None = None
    group_id: Annotated[str, BeforeValidator(_group)] | None = None
    phone: Chat | None = None
    format: Annotated[Literal["aggregated", "raw"], BeforeValidator(_lower)] = "aggregated"
    limit: Annotated[int, BeforeValidator(_item_count)] = _DEFAULT_ITEMS
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    include_participants: bool = False

    example_minimal: ClassVar[Example] = {"phone": "5511999999999"}
    example: ClassVar[Example] = {
        "groupId": "120363182823169824",
        "format": "aggregated",
        "limit": 100,
        "offset": 0,
        "includeParticipants": True,
    }
    answer_example: ClassVar[dict[str, Any]] = {
        "data": [
            {
                "messageId": "3EB0577D10A2B4C6D8E9F1",
                "instanceId": "6C1D7A35F0B24E89A1C3D5E7F9B0A2C4",
                "groupId": "120363182823169824",
                "phone": "120363182823169824-group",
                "isGroup": True,
                "totalParticipants": 1,
                "status": {"sent": 1, "delivered": 1, "read": 1, "played": 0},
                "participants": [
                    {
                        "phone": "5511988888888",
                        "status": "read",
                        "timestamp": 1769860860000,
                        "device": 0,
                    }
                ],
                "createdAt": 1769860800000,
                "updatedAt": 1769860860000,
            }
        ],
        "meta": {"total": 1, "limit": 100, "offset": 0},
    }
