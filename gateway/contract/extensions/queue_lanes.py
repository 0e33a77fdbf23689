"""The queue as people watch it: what is sent now, what waits in each lane, what is scheduled."""

from datetime import date, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from gateway.contract.documented import Documented, Example
from gateway.contract.extensions.history import MESSAGE_EXAMPLE
from gateway.contract.extensions.queue_control import QueuedMessage
from gateway.contract.operation import Operation
from gateway.contract.paging import between
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire
from gateway.contract.zapi.instance_queue import QueueFilter, WaitingCode

_MAX_PAGE_SIZE = 200

LaneName = Literal["high", "normal", "bulk"]


class LaneMessage(QueuedMessage):
    """A message that waits or is in flight; `attemptStartedAt` is set while it is in flight.

    `waitingFor` says why it waits, with the words of `WaitingFor` in `GET /queue`, and
    `waitingReason` in a sentence. `waitingUntil` is when that ends, and `messagesBefore` how many
    messages go before it, where they are known; 1,000 of them are 1,000 or more.
    """

    due_at: datetime
    attempt_started_at: datetime | None
    waiting_for: WaitingCode | None
    waiting_reason: str | None
    waiting_until: datetime | None
    messages_before: int | None


_WAITING: Example = {
    **MESSAGE_EXAMPLE,
    "status": "pending",
    "attempts": 0,
    "sentAt": None,
    "deliveredAt": None,
    "readAt": None,
    "recordedAt": "2026-01-31T12:00:00Z",
    "priority": "normal",
    "sequenceNumber": 41,
    "maxAttempts": 3,
    "nextAttemptAt": None,
    "expiresAt": None,
    "dueAt": "2026-01-31T12:00:00Z",
    "attemptStartedAt": None,
    "waitingFor": "turn",
    "waitingReason": "Its turn comes after 2 messages, in about 6 seconds.",
    "waitingUntil": None,
    "messagesBefore": 2,
}
_SCHEDULED: Example = {
    **_WAITING,
    "status": "scheduled",
    "scheduledFor": "2026-02-01T12:00:00Z",
    "dueAt": "2026-02-01T12:00:00Z",
    "waitingFor": "scheduled",
    "waitingReason": "It is scheduled for 2026-02-01 12:00:00 UTC.",
    "waitingUntil": "2026-02-01T12:00:00Z",
    "messagesBefore": None,
}


class QueueLane(Wire):
    """How many messages of a lane wait for their turn."""

    lane: LaneName
    waiting: int


class QueueLanes(Wire):
    """What is being sent now, and how many messages wait in each lane.

    `sending` is the message that is next: its pause runs, or its attempt has started.
    """

    sending: LaneMessage | None
    lanes: tuple[QueueLane, ...]
    scheduled: int
    failed: int
    queue_length: int


class ReadLanes(Operation[QueueLanes], method="GET", path="/queue/lanes"):
    """What is being sent now, and the number of messages in each lane, scheduled and failed."""

    scope = ApiScope.READ
    answer_example: ClassVar[Example] = {
        "sending": {
            **_WAITING,
            "status": "processing",
            "attempts": 1,
            "attemptStartedAt": "2026-01-31T12:00:02Z",
            "waitingFor": None,
            "waitingReason": None,
            "messagesBefore": None,
        },
        "lanes": [
            {"lane": "high", "waiting": 0},
            {"lane": "normal", "waiting": 11},
            {"lane": "bulk", "waiting": 0},
        ],
        "scheduled": 1,
        "failed": 3,
        "queueLength": 13,
    }


class LanePage(Wire):
    """A page of waiting messages and the cursor to the next one."""

    messages: tuple[LaneMessage, ...]
    paging_state: str | None
    has_more: bool
    queue_length: int


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class ListLane(QueueFilter, Operation[LanePage], method="GET", path="/queue/lanes/{lane}"):
    """The messages of a lane that wait for their turn, in the order in which they may leave.

    The filters are those of `DELETE /queue`. With a filter, a page examines a bounded number of
    messages, so that it may hold fewer than `pageSize`, or none, and still have a `pagingState`.
    """

    scope = ApiScope.READ

    lane: Annotated[LaneName, BeforeValidator(_lower)]
    older_than: str | None = None
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
    paging_state: str | None = None

    example_minimal: ClassVar[Example] = {"lane": "normal"}
    example: ClassVar[Example] = {"lane": "normal", "status": "pending", "pageSize": 50}
    answer_example: ClassVar[Example] = {
        "messages": [_WAITING],
        "pagingState": None,
        "hasMore": False,
        "queueLength": 13,
    }


class MatchingCount(Wire):
    """How many messages match."""

    count: int
    queue_length: int


class CountMatching(QueueFilter, Operation[MatchingCount], method="GET", path="/queue/matching"):
    """How many messages `DELETE /queue` would remove now, with the same filters."""

    scope = ApiScope.READ

    older_than: str | None = None

    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"status": "pending", "olderThan": "3600"}
    answer_example: ClassVar[Example] = {"count": 7, "queueLength": 13}


class ScheduledSpan(Documented):
    """A span of time; `to` itself is not included."""

    since: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = Field(None, alias="to")


_SPAN: Example = {"from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}


class ScheduledDay(Wire):
    """A day with scheduled messages."""

    day: date
    count: int


class ScheduledDays(Wire):
    """The days that have scheduled messages, at most 1,000."""

    days: tuple[ScheduledDay, ...]
    queue_length: int


class CountScheduled(
    ScheduledSpan, Operation[ScheduledDays], method="GET", path="/queue/scheduled/days"
):
    """How many messages are scheduled for each day of a time zone, for a calendar."""

    scope = ApiScope.READ

    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"

    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {**_SPAN, "timeZone": "America/Sao_Paulo"}
    answer_example: ClassVar[Example] = {
        "days": [{"day": "2026-02-01", "count": 1}],
        "queueLength": 13,
    }


class ListScheduled(ScheduledSpan, Operation[LanePage], method="GET", path="/queue/scheduled"):
    """Scheduled messages in the order of their times, by cursor."""

    scope = ApiScope.READ

    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
    paging_state: str | None = None

    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {**_SPAN, "pageSize": 50}
    answer_example: ClassVar[Example] = {
        "messages": [_SCHEDULED],
        "pagingState": None,
        "hasMore": False,
        "queueLength": 13,
    }
