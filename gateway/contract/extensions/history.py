"""The history: sent, received, failed and canceled messages, with the times of each."""

from datetime import datetime
from typing import Annotated, ClassVar

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
