"""The queue as callers see it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.contract.operation import Operation, Value
from gateway.contract.wire import Chat, Incoming, Wire

_LARGEST_PAGE = 30
_LARGEST_OLD_PAGE = 1_000
STATUSES = ("pending", "scheduled", "processing", "retrying")


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _one_of_statuses(value: object) -> object:
    if isinstance(value, str) and value.lower() in STATUSES:
        return value.lower()
    raise PydanticCustomError("status", "must be one of " + ", ".join(STATUSES))


def _between(low: int, high: int) -> Callable[[object], int]:
    def clamp(value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise PydanticCustomError("number", "must be a whole number") from None
        return max(low, min(number, high))

    return clamp


Status = Annotated[str, BeforeValidator(_one_of_statuses)]


class QueueItem(Wire, alias_generator=_pascal):
    """One waiting message; DelayMessage is -1 and DelayTyping 0 when not set."""

    row_id: str = Field(alias="_id")
    zaap_id: str
    message_id: str
    instance_id: str
    phone: str
    message: str | None
    delay_message: int
    delay_typing: int
    created: int
    created_at: datetime
    is_trial: bool
    beta: bool = False
    type: str
    status: str
    attempts: int
    max_attempts: int
    sequence_number: int
    scheduled_for: datetime | None
    next_attempt_at: datetime | None
    error: str | None


class QueueFilter(Incoming):
    """Narrows what is listed or removed."""

    status: Status | None = None
    type: str | None = None
    phone: Chat | None = None


class ListQueueByPage(QueueFilter, Operation[tuple[QueueItem, ...]], method="GET", path="/queue"):
    """A bare array, oldest first."""

    page: Annotated[int, BeforeValidator(_between(1, 1_000_000))] = 1
    page_size: Annotated[int, BeforeValidator(_between(1, _LARGEST_OLD_PAGE))] = 100


class QueuePage(Wire):
    """A page of the queue and the cursor to the next one."""

    messages: tuple[QueueItem, ...]
    paging_state: str | None
    has_more: bool
    queue_length: int


class ListQueue(QueueFilter, Operation[QueuePage], method="POST", path="/queue"):
    """The queue, oldest first, by cursor."""

    page_size: Annotated[int, BeforeValidator(_between(1, _LARGEST_PAGE))] = 20
    paging_state: str | None = None


class QueueCount(Wire):
    """How many messages wait."""

    count: int
    queue_length: int


class CountQueue(Operation[QueueCount], method="GET", path="/queue/count"):
    """How many messages wait."""


class QueueRemoved(Wire):
    """How many messages were removed."""

    value: bool = True
    removed: int
    queue_length: int


class ClearQueue(QueueFilter, Operation[QueueRemoved], method="DELETE", path="/queue"):
    """Removes what waits, never a message whose attempt has started.

    `olderThan` is a time (ISO 8601 with an offset) or an age in seconds.
    """

    older_than: str | None = None


class RemoveFromQueue(Operation[Value], method="DELETE", path="/queue/{zaap_id}"):
    """Removes one waiting message, named by its zaapId or its messageId."""

    zaap_id: str = Field(validation_alias=AliasChoices("zaap_id", "zaapId"))
