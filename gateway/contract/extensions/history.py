"""The history: sent, received, failed and canceled messages, with the times of each.

The search and the line of time look into the queue too.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.operation import Operation
from gateway.contract.paging import between
from gateway.contract.scopes import ApiScope
from gateway.contract.send import TrackId
from gateway.contract.wire import Chat, Wire

_MAX_PAGE_SIZE = 200
STATUSES = ("sent", "delivered", "read", "played", "failed", "canceled", "received")


def _one_of_statuses(value: object) -> object:
    if isinstance(value, str) and value.lower() in STATUSES:
        return value.lower()
    raise PydanticCustomError("status", "must be one of " + ", ".join(STATUSES))


_SPOKEN_STATUS = {"type": "string", "enum": list(STATUSES)}


class MessageRecord(Wire):
    """One message; `message` is its text or caption, `recordedAt` when it was stored.

    `trackId` is the reference that its sender gave it.
    """

    message_id: str
    zaap_id: str | None
    phone: str
    sender: str | None
    from_me: bool
    type: str
    message: str | None
    status: str
    error: str | None
    track_id: str | None
    attempts: int
    created_at: datetime
    scheduled_for: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    played_at: datetime | None
    failed_at: datetime | None
    recorded_at: datetime


MESSAGE_EXAMPLE: Example = {
    "messageId": "3EB0577D10A2B4C6D8E9F1",
    "zaapId": "4A6F0B3D92C1E8577D10A2B4C6D8E9F1",
    "phone": "5511999999999",
    "sender": None,
    "fromMe": True,
    "type": "send-text",
    "message": "Hello",
    "status": "read",
    "error": None,
    "trackId": "order 1042",
    "attempts": 1,
    "createdAt": "2026-01-31T12:00:00Z",
    "scheduledFor": None,
    "sentAt": "2026-01-31T12:00:02Z",
    "deliveredAt": "2026-01-31T12:00:03Z",
    "readAt": "2026-01-31T12:04:00Z",
    "playedAt": None,
    "failedAt": None,
    "recordedAt": "2026-01-31T12:00:02Z",
}


class FindMessage(Operation[MessageRecord], method="GET", path="/messages/{message_id}"):
    """One message, by its messageId or zaapId, in the queue or in the history."""

    scope = ApiScope.READ

    message_id: str

    example: ClassVar[Example] = {"messageId": MESSAGE_EXAMPLE["messageId"]}
    answer_example: ClassVar[Example] = MESSAGE_EXAMPLE
    failures = (404,)


class MessagePage(Wire):
    """A page of history and the cursor to the next one."""

    messages: tuple[MessageRecord, ...]
    paging_state: str | None
    has_more: bool


class ListHistory(Operation[MessagePage], method="GET", path="/messages"):
    """The history of an instance, newest first, by cursor.

    `from` and `to` are times with an offset; `to` itself is not included.
    """

    scope = ApiScope.READ

    phone: Chat | None = None
    track_id: TrackId | None = None
    status: (
        Annotated[str, BeforeValidator(_one_of_statuses), WithJsonSchema(_SPOKEN_STATUS)] | None
    ) = None
    since: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = Field(None, alias="to")
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
    paging_state: str | None = None

    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "status": "read",
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-02-01T00:00:00Z",
        "pageSize": 50,
    }
    answer_example: ClassVar[Example] = {
        "messages": [MESSAGE_EXAMPLE],
        "pagingState": None,
        "hasMore": False,
    }


WAITING_STATUSES = ("pending", "scheduled", "processing", "retrying")
_SEARCHED = ("waiting", *WAITING_STATUSES, *STATUSES)


def _one_of_searched(value: object) -> object:
    if isinstance(value, str) and value.lower() in _SEARCHED:
        return value.lower()
    raise PydanticCustomError("status", "must be one of " + ", ".join(_SEARCHED))


class SearchMessages(Operation[MessagePage], method="GET", path="/messages/search"):
    """Messages of the queue and the history, newest first, by cursor.

    A message that waits has its place by `createdAt`, every other one by `recordedAt`; `from` and
    `to` mean the same times. `id` is a messageId or a zaapId and needs no other filter. The status
    `waiting` stands for the four of the queue. A page examines a bounded number of messages, so
    that it may hold fewer than `pageSize`, or none, and still have a `pagingState`.
    """

    scope = ApiScope.READ

    id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    phone: Chat | None = None
    status: (
        Annotated[
            str,
            BeforeValidator(_one_of_searched),
            WithJsonSchema({"type": "string", "enum": list(_SEARCHED)}),
        ]
        | None
    ) = None
    since: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = Field(None, alias="to")
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
    paging_state: str | None = None

    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "status": "waiting",
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-02-01T00:00:00Z",
        "pageSize": 50,
    }
    answer_example: ClassVar[Example] = {
        "messages": [MESSAGE_EXAMPLE],
        "pagingState": None,
        "hasMore": False,
    }


class CallbackTrace(Wire):
    """What became of one callback at one webhook.

    `webhookId` names a further webhook, and is missing for those of Z-API's routes. `host` is the
    scheme and the host of its address. `error` says why it waits or was given up. `attempts`,
    `deliveredAt` and `httpStatus` are known as long as the log of deliveries is stored.
    """

    event_id: UUID
    webhook_id: UUID | None
    type: str
    host: str | None
    status: Literal["waiting", "delivered", "dead", "discarded"]
    attempts: int
    delivered_at: datetime | None
    http_status: int | None
    error: str | None
    next_attempt_at: datetime | None


class TimelineEntry(Wire):
    """One thing that happened to a message.

    An `attempt` begins at `at`; without `endedAt` it is in flight. `participant` is who reported a
    receipt in a group. A `callback` was written at `at`.
    """

    at: datetime
    type: Literal[
        "accepted",
        "scheduled",
        "attempt",
        "sent",
        "delivered",
        "read",
        "played",
        "received",
        "failed",
        "canceled",
        "callback",
    ]
    ended_at: datetime | None = None
    outcome: str | None = None
    error: str | None = None
    participant: str | None = None
    callback: CallbackTrace | None = None


class MessageTimeline(Wire):
    """A message, and what happened to it, oldest first."""

    message: MessageRecord
    entries: tuple[TimelineEntry, ...]


_NOTHING_ELSE: Example = dict.fromkeys(("endedAt", "outcome", "error", "participant", "callback"))


class ReadTimeline(
    Operation[MessageTimeline], method="GET", path="/messages/{message_id}/timeline"
):
    """One message on a line of time: attempts, receipts and callbacks, by its messageId or zaapId.

    Callbacks are shown as long as their events are stored. The time of an edit or a deletion is not
    stored. In a group each participant has entries, of the first 1,000 that reported a receipt.
    """

    scope = ApiScope.READ

    message_id: str

    example: ClassVar[Example] = {"messageId": MESSAGE_EXAMPLE["messageId"]}
    answer_example: ClassVar[Example] = {
        "message": MESSAGE_EXAMPLE,
        "entries": [
            {**_NOTHING_ELSE, "at": "2026-01-31T12:00:00Z", "type": "accepted"},
            {
                **_NOTHING_ELSE,
                "at": "2026-01-31T12:00:01Z",
                "type": "attempt",
                "endedAt": "2026-01-31T12:00:02Z",
                "outcome": "sent",
            },
            {**_NOTHING_ELSE, "at": "2026-01-31T12:00:02Z", "type": "sent"},
            {
                **_NOTHING_ELSE,
                "at": "2026-01-31T12:00:02Z",
                "type": "callback",
                "callback": {
                    "eventId": "0b6f6c1e-4f43-4d8e-9a55-0d6c2f5b7a10",
                    "webhookId": None,
                    "type": "DeliveryCallback",
                    "host": "https://example.com",
                    "status": "delivered",
                    "attempts": 1,
                    "deliveredAt": "2026-01-31T12:00:02Z",
                    "httpStatus": 200,
                    "error": None,
                    "nextAttemptAt": None,
                },
            },
            {**_NOTHING_ELSE, "at": "2026-01-31T12:00:03Z", "type": "delivered"},
            {**_NOTHING_ELSE, "at": "2026-01-31T12:04:00Z", "type": "read"},
        ],
    }
    failures = (404,)
