"""Control of the queue: pause, retry, move to the front, pace and daily limits."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.extensions.history import MESSAGE_EXAMPLE, MessageRecord
from gateway.contract.operation import AuditedState, Operation
from gateway.contract.paging import between
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Chat, Incoming, Wire
from gateway.contract.zapi.instance_queue import QueueRemoved, WaitingCode

_MAX_PAGE_SIZE = 200
_MAX_PACE_SECONDS = 86_400.0


class QueuePauseState(Wire):
    """Whether the queue is paused now."""

    value: bool = True
    paused: bool
    queue_length: int


class PauseQueue(Operation[QueuePauseState], method="POST", path="/queue/pause"):
    """Stops sending until the queue is resumed; a message in flight is still sent."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.QUEUE
    answer_example: ClassVar[Example] = {"value": True, "paused": True, "queueLength": 12}


class ResumeQueue(Operation[QueuePauseState], method="POST", path="/queue/resume"):
    """Sending continues."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.QUEUE
    answer_example: ClassVar[Example] = {"value": True, "paused": False, "queueLength": 12}


class SendAttempt(Wire):
    """One attempt to send the message."""

    started_at: datetime
    ended_at: datetime
    outcome: str
    error: str | None
    duration_seconds: float


class QueuedMessage(MessageRecord):
    """A message with its place in the queue and its attempts; the place is null once it left."""

    priority: str | None
    sequence_number: int | None
    max_attempts: int | None
    next_attempt_at: datetime | None
    expires_at: datetime | None


class TrackedMessage(QueuedMessage):
    """A queued message with its attempts, oldest first.

    `waitingFor` says why it waits, with the words of `WaitingFor` in `GET /queue`, and
    `waitingReason` in a sentence; both are null if it does not wait. `waitingUntil` is when that
    ends, and `messagesBefore` how many messages go before it, where they are known.
    """

    waiting_for: WaitingCode | None
    waiting_reason: str | None
    waiting_until: datetime | None
    messages_before: int | None
    tries: tuple[SendAttempt, ...]
    queue_length: int


_QUEUED: Example = {
    **MESSAGE_EXAMPLE,
    "status": "failed",
    "error": "WhatsApp is busy.",
    "attempts": 3,
    "sentAt": None,
    "deliveredAt": None,
    "readAt": None,
    "failedAt": "2026-01-31T12:01:10Z",
    "recordedAt": "2026-01-31T12:01:10Z",
    "priority": "normal",
    "sequenceNumber": 41,
    "maxAttempts": 3,
    "nextAttemptAt": None,
    "expiresAt": None,
}
_NAMED: Example = {"zaapId": MESSAGE_EXAMPLE["zaapId"]}


class QueuedMessageId(Incoming):
    """Names one message by its zaapId or its messageId."""

    zaap_id: str = Field(validation_alias=AliasChoices("zaapId", "zaap_id"))


class ReadQueued(QueuedMessageId, Operation[TrackedMessage], method="GET", path="/queue/{zaap_id}"):
    """One message, with every attempt to send it."""

    scope = ApiScope.READ
    example: ClassVar[Example] = _NAMED
    answer_example: ClassVar[Example] = {
        **_QUEUED,
        "waitingFor": None,
        "waitingReason": None,
        "waitingUntil": None,
        "messagesBefore": None,
        "tries": [
            {
                "startedAt": "2026-01-31T12:01:09Z",
                "endedAt": "2026-01-31T12:01:10Z",
                "outcome": "transient",
                "error": "WhatsApp is busy.",
                "durationSeconds": 1.0,
            }
        ],
        "queueLength": 12,
    }
    failures = (404,)


class QueueChanged(Wire):
    """The change is made; how many messages wait now."""

    value: bool = True
    queue_length: int


class RetryQueued(
    QueuedMessageId, Operation[QueueChanged], method="POST", path="/queue/{zaap_id}/retry"
):
    """Puts a failed message back in its place in the queue, with a new set of attempts.

    A message that waits for its next attempt is sent at once.
    """

    scope = ApiScope.SEND
    audited_state = AuditedState.QUEUE
    example: ClassVar[Example] = _NAMED
    answer_example: ClassVar[Example] = {"value": True, "queueLength": 12}
    failures = (404, 409)


class MoveToFront(
    QueuedMessageId, Operation[QueueChanged], method="POST", path="/queue/{zaap_id}/move-to-front"
):
    """Moves a waiting message to the front of its priority; a scheduled one becomes due."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.QUEUE
    example: ClassVar[Example] = _NAMED
    answer_example: ClassVar[Example] = {"value": True, "queueLength": 12}
    failures = (404, 409)


class FailedFilter(Incoming):
    """Selects failed messages."""

    type: str | None = None
    phone: Chat | None = None


class FailedPage(Wire):
    """A page of failed messages and the cursor to the next one."""

    messages: tuple[QueuedMessage, ...]
    paging_state: str | None
    has_more: bool
    queue_length: int


class ListFailed(FailedFilter, Operation[FailedPage], method="GET", path="/queue/failed"):
    """Failed messages that can be retried, by cursor: the first accepted ones first.

    With `latestFirst`, those that failed last come first.
    """

    scope = ApiScope.READ

    latest_first: bool = False
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
    paging_state: str | None = None

    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"type": "send-text", "latestFirst": True, "pageSize": 50}
    answer_example: ClassVar[Example] = {
        "messages": [_QUEUED],
        "pagingState": None,
        "hasMore": False,
        "queueLength": 12,
    }


class QueueRetried(Wire):
    """How many failed messages wait again."""

    value: bool = True
    retried: int
    queue_length: int


class RetryFailed(
    FailedFilter, Operation[QueueRetried], method="POST", path="/queue/failed/retry-all"
):
    """Puts every failed message back in its place in the queue."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.QUEUE
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"type": "send-text"}
    answer_example: ClassVar[Example] = {"value": True, "retried": 3, "queueLength": 15}


class DeleteFailed(FailedFilter, Operation[QueueRemoved], method="DELETE", path="/queue/failed"):
    """Deletes failed messages from the queue; the history still has them."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.QUEUE
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"phone": "5511999999999"}
    answer_example: ClassVar[Example] = {"value": True, "removed": 3, "queueLength": 12}


class QueueStats(Wire):
    """The queue at a glance.

    `secondsToEmpty` is the time to send all due messages at the present pace, with the rest of
    a hold; null while nothing can be sent. `holdKind` is `restricted` by WhatsApp, the
    `daily_limit`, or a `linking` that waits for `POST /link/confirm` and has no end. Until
    `firstContactsUntil` messages to people without a conversation wait, and replies go on.
    """

    queue_length: int
    by_status: dict[str, int]
    by_type: dict[str, int]
    oldest_waiting_at: datetime | None
    oldest_waiting_seconds: float | None
    seconds_to_empty: float | None
    connected: bool
    paused: bool
    hold_until: datetime | None
    hold_reason: str | None
    hold_kind: Literal["restricted", "daily_limit", "linking"] | None
    first_contacts_until: datetime | None
    daily_limit: int
    sent_today: int | None


class ReadQueueStats(Operation[QueueStats], method="GET", path="/queue/stats"):
    """Counts by state and type, the oldest waiting message, and the time to empty the queue.

    `dailyLimit` is today's, warm-up included; 0 is no limit, and then `sentToday` is null.
    """

    scope = ApiScope.READ
    answer_example: ClassVar[Example] = {
        "queueLength": 12,
        "byStatus": {"pending": 11, "scheduled": 1, "failed": 3},
        "byType": {"send-text": 14, "send-image": 1},
        "oldestWaitingAt": "2026-01-31T12:00:00Z",
        "oldestWaitingSeconds": 21.5,
        "secondsToEmpty": 22.0,
        "connected": True,
        "paused": False,
        "holdUntil": None,
        "holdReason": None,
        "holdKind": None,
        "firstContactsUntil": None,
        "dailyLimit": 0,
        "sentToday": None,
    }


class QueueSettings(Wire):
    """The settings of the instance; the defaults of the service where it has none."""

    pace_min_seconds: float
    pace_max_seconds: float
    daily_limit: int
    warm_up_days: int
    limit_today: int
    order: Literal["chat", "strict"]
    unknown_quote: Literal["quote", "omit"]
    queue_length: int


_SETTINGS: Example = {
    "paceMinSeconds": 1.0,
    "paceMaxSeconds": 3.0,
    "dailyLimit": 500,
    "warmUpDays": 10,
    "limitToday": 50,
    "order": "chat",
    "unknownQuote": "quote",
    "queueLength": 12,
}


class ReadQueueSettings(Operation[QueueSettings], method="GET", path="/queue/settings"):
    """The pace, the daily limit, the order and the unknown quotes of the instance."""

    scope = ApiScope.READ
    answer_example: ClassVar[Example] = _SETTINGS


class ChangeQueueSettings(Operation[QueueSettings], method="PUT", path="/queue/settings"):
    """Changes the given settings; 0 messages per day is no limit.

    With `warmUpDays` the daily limit grows from today, in equal steps, to its full value. With the
    `order` `chat`, a message whose file is awaited, or that waits for its next attempt, lets other
    chats pass; with `strict`, the queue or its lane waits for it. With the `unknownQuote` `omit`, a
    reply to a message that the gateway does not know is sent without a quote.
    """

    scope = ApiScope.MANAGE
    audited_state = AuditedState.QUEUE
    pace_min_seconds: float | None = Field(None, ge=0, le=_MAX_PACE_SECONDS)
    pace_max_seconds: float | None = Field(None, ge=0, le=_MAX_PACE_SECONDS)
    daily_limit: int | None = Field(None, ge=0, le=2**31 - 1)
    warm_up_days: int | None = Field(None, ge=0, le=3_650)
    order: Literal["chat", "strict"] | None = None
    unknown_quote: Literal["quote", "omit"] | None = None

    example: ClassVar[Example] = {
        "paceMinSeconds": 1,
        "paceMaxSeconds": 3,
        "dailyLimit": 500,
        "warmUpDays": 10,
        "order": "chat",
        "unknownQuote": "quote",
    }
    answer_example: ClassVar[Example] = _SETTINGS

    @model_validator(mode="after")
    def _pace_is_a_range(self) -> Self:
        minimum, maximum = self.pace_min_seconds, self.pace_max_seconds
        if (minimum is None) is not (maximum is None):
            raise PydanticCustomError("pace", "must be given with the other end of the pace")
        if minimum is not None and maximum is not None and minimum > maximum:
            raise PydanticCustomError("pace", "the shortest pause exceeds the longest")
        return self
