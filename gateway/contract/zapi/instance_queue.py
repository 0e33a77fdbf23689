"""The queue of an instance: listing, counting and removing waiting messages."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.operation import AuditedState, Operation, Value
from gateway.contract.paging import MAX_PAGE, between, up_to
from gateway.contract.scopes import ApiScope
from gateway.contract.send import TrackId
from gateway.contract.wire import WHOLE_SENTENCE, Chat, Incoming, Wire

_MAX_PAGE_SIZE = 30
_MAX_OLD_PAGE_SIZE = 1_000
_MAX_OFFSET = 10_000_000
STATUSES = ("pending", "scheduled", "processing", "retrying")


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _one_of_statuses(value: object) -> object:
    if isinstance(value, str) and value.lower() in STATUSES:
        return value.lower()
    raise PydanticCustomError("status", "must be one of " + ", ".join(STATUSES))


_STATUS_SCHEMA = {"type": "string", "enum": list(STATUSES)}
QueueStatus = Annotated[str, BeforeValidator(_one_of_statuses), WithJsonSchema(_STATUS_SCHEMA)]


WaitingCode = Literal[
    "scheduled",
    "paused",
    "disconnected",
    "held",
    "daily_limit",
    "first_contact",
    "file",
    "retry",
    "chat",
    "pacing",
    "lane",
    "turn",
]


class QueueItem(Wire, alias_generator=_pascal):
    """One waiting message; DelayMessage is -1 and DelayTyping 0 when not set.

    WaitingFor says why it waits: it is `scheduled`; the queue is `paused`, the instance
    `disconnected`, `held` by WhatsApp, or at its `daily_limit`; it is a
    `first_contact`, for which WhatsApp makes the number wait; it waits for its `file`, for a
    `retry` at NextAttemptAt, or behind such a message of its `chat`; it is the next one, after the
    pause (`pacing`); a `lane` with a higher priority goes first; or messages before it (`turn`).
    WaitingReason says the same in a sentence. Both are null while it is being sent.
    """

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
    expires_at: datetime | None
    next_attempt_at: datetime | None
    waiting_for: WaitingCode | None
    waiting_reason: str | None
    track_id: str | None
    error: str | None


_ITEM: Example = {
    "_id": "4A6F0B3D92C1E8577D10A2B4C6D8E9F1",
    "ZaapId": "4A6F0B3D92C1E8577D10A2B4C6D8E9F1",
    "MessageId": "3EB0577D10A2B4C6D8E9F1",
    "InstanceId": "6C1D7A35F0B24E89A1C3D5E7F9B0A2C4",
    "Phone": "5511999999999",
    "Message": "Hello",
    "DelayMessage": -1,
    "DelayTyping": 0,
    "Created": 1769860800000,
    "CreatedAt": "2026-01-31T12:00:00Z",
    "IsTrial": False,
    "Beta": False,
    "Type": "send-text",
    "Status": "scheduled",
    "Attempts": 0,
    "MaxAttempts": 3,
    "SequenceNumber": 41,
    "ScheduledFor": "2026-02-01T12:00:00Z",
    "ExpiresAt": "2026-02-01T18:00:00Z",
    "NextAttemptAt": None,
    "WaitingFor": "scheduled",
    "WaitingReason": "It is scheduled for 2026-02-01 12:00:00 UTC.",
    "TrackId": "order 1042",
    "Error": None,
}


class QueueFilter(Incoming):
    """Selects waiting messages."""

    status: QueueStatus | None = None
    type: str | None = None
    phone: Chat | None = None
    track_id: TrackId | None = None


class ListQueueByPage(QueueFilter, Operation[tuple[QueueItem, ...]], method="GET", path="/queue"):
    """A bare array, oldest first.

    `limit` is another name of `pageSize`; `offset` skips so many messages instead of whole pages.
    """

    scope = ApiScope.READ

    page: Annotated[int, BeforeValidator(between(1, MAX_PAGE))] = 1
    page_size: Annotated[
        int,
        BeforeValidator(up_to(_MAX_OLD_PAGE_SIZE)),
        Field(validation_alias=AliasChoices("pageSize", "limit")),
    ] = 100
    offset: Annotated[int | None, Field(ge=0, le=_MAX_OFFSET)] = None

    example_minimal: ClassVar[Example] = {"page": 1, "pageSize": 20}
    example: ClassVar[Example] = {**example_minimal, "status": "scheduled", "type": "send-text"}
    answer_example = (_ITEM,)


class QueuePage(Wire):
    """A page of the queue and the cursor to the next one."""

    messages: tuple[QueueItem, ...]
    paging_state: str | None
    has_more: bool
    queue_length: int


class ListQueue(QueueFilter, Operation[QueuePage], method="POST", path="/queue"):
    """The queue, oldest first, by cursor."""

    scope = ApiScope.READ
    audited = False  # reads, like its GET
    page_size: Annotated[int, BeforeValidator(up_to(_MAX_PAGE_SIZE))] = 20
    paging_state: str | None = None

    example: ClassVar[Example] = {"pageSize": 20, "phone": "5511999999999"}
    answer_example: ClassVar[Example] = {
        "messages": [_ITEM],
        "pagingState": None,
        "hasMore": False,
        "queueLength": 1,
    }


class QueueCount(Wire):
    """How many messages wait."""

    count: int
    queue_length: int


class CountQueue(Operation[QueueCount], method="GET", path="/queue/count"):
    """How many messages wait."""

    scope = ApiScope.READ
    answer_example: ClassVar[Example] = {"count": 1, "queueLength": 1}


class QueueRemoved(Wire):
    """How many messages were removed."""

    value: bool = True
    removed: int
    queue_length: int


class ClearQueue(QueueFilter, Operation[QueueRemoved], method="DELETE", path="/queue"):
    """Removes waiting messages, never one whose attempt has started.

    `olderThan` is a time (ISO 8601 with an offset) or an age in seconds.
    """

    scope = ApiScope.MANAGE
    audited_state = AuditedState.QUEUE
    refuses_unknown = True  # a filter that is ignored would clear the whole queue
    older_than: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_filter_is_empty(cls, given: object) -> object:
        if isinstance(given, dict) and (empty := [n for n in given if given[n] == ""]):
            raise PydanticCustomError(
                WHOLE_SENTENCE,
                "{name}: must not be empty; leave it out to remove all that waits",
                {"name": empty[0]},
            )
        return given

    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"status": "pending", "olderThan": "3600"}
    answer_example: ClassVar[Example] = {"value": True, "removed": 1, "queueLength": 0}


class RemovedFromQueue(Value):
    """One message was removed."""

    queue_length: int


class RemoveFromQueue(Operation[RemovedFromQueue], method="DELETE", path="/queue/{zaap_id}"):
    """Removes one waiting message, named by its zaapId or its messageId."""

    scope = ApiScope.SEND
    audited_state = AuditedState.QUEUE
    zaap_id: str = Field(validation_alias=AliasChoices("zaapId", "zaap_id"))

    example: ClassVar[Example] = {"zaapId": _ITEM["ZaapId"]}
    answer_example: ClassVar[Example] = {"value": True, "queueLength": 0}
    failures = (409,)


class SetQueueSettings(Operation[Value], method="PUT", path="/update-queue-settings"):
    """Whether a message is refused while the instance is not connected, instead of queued."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    unconfirmed = ("/update-queue-settings",)
    example: ClassVar[Example] = {"disableEnqueueWhenDisconnected": True}
    answer_example: ClassVar[Example] = {"value": True}

    disable_enqueue_when_disconnected: bool = Field(
        validation_alias=AliasChoices("disableEnqueueWhenDisconnected", "value")
    )
