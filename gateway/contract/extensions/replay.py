"""Callbacks after they were written: the log of deliveries, replay, and a test."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field

from gateway.contract.documented import Example
from gateway.contract.operation import Operation
from gateway.contract.paging import between
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire

CallbackType = Literal[
    "ReceivedCallback",
    "DeliveryCallback",
    "MessageStatusCallback",
    "ConnectedCallback",
    "DisconnectedCallback",
    "PresenceChatCallback",
    "HistorySyncCallback",
    "ProxyFailureCallback",
]

_MAX_PAGE_SIZE = 200
_ID = "0b6f6c1e-4f43-4d8e-9a55-0d6c2f5b7a10"


def _without_zeros(value: object) -> object:
    return None if value == UUID(int=0) else value


class DeliveryAttempt(Wire):
    """One POST to a webhook.

    `webhookId` names a further webhook, and is missing for those of Z-API's routes. `target` is the
    address without its query; `status` is missing where there was no answer, and `answer` holds its
    first bytes.
    """

    number: int
    webhook_id: Annotated[UUID | None, BeforeValidator(_without_zeros)]
    event_id: UUID
    type: str
    chat: str
    target: str
    attempt: int
    success: bool
    status: int | None
    error: str | None
    answer: str | None
    duration_ms: int
    posted_at: datetime


class DeliveryPage(Wire):
    """A page of the log; `before` is the cursor of the next one."""

    deliveries: tuple[DeliveryAttempt, ...]
    before: int | None


class ListDeliveries(Operation[DeliveryPage], method="GET", path="/webhooks/deliveries"):
    """Every attempt to post a callback in the last days, the latest first."""

    scope = ApiScope.WEBHOOKS
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"pageSize": 20, "type": "DeliveryCallback", "success": False}
    answer_example: ClassVar[Any] = {
        "deliveries": [
            {
                "number": 41,
                "webhookId": None,
                "eventId": _ID,
                "type": "DeliveryCallback",
                "chat": "5511999999999",
                "target": "https://example.com/webhook",
                "attempt": 1,
                "success": False,
                "status": 500,
                "error": "HTTP 500",
                "answer": "oops",
                "durationMs": 12,
                "postedAt": "2026-01-31T12:00:00Z",
            }
        ],
        "before": None,
    }

    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
    before: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    type: CallbackType | None = None
    success: bool | None = None
    event_id: UUID | None = None
    webhook_id: UUID | None = None


class WaitingDeliveryQueue(Wire):
    """The callbacks of one chat that wait for one webhook, and the first of them.

    `webhookId` names a further webhook, and is missing for those of Z-API's routes. `host` is the
    scheme and the host of its address. `attempts` and `error` are of the first callback.
    """

    chat: str
    webhook_id: Annotated[UUID | None, BeforeValidator(_without_zeros)]
    host: str | None
    waiting: int
    in_flight: bool
    next_attempt_at: datetime | None
    attempts: int
    error: str | None
    failing_since: datetime | None
    event_id: UUID | None
    type: str | None
    created_at: datetime | None


class WaitingPage(Wire):
    """A page of delivery queues and the cursor to the next one."""

    queues: tuple[WaitingDeliveryQueue, ...]
    paging_state: str | None
    has_more: bool


class ListWaitingCallbacks(Operation[WaitingPage], method="GET", path="/webhooks/waiting"):
    """Callbacks that are not delivered yet, one entry for each chat and webhook, by chat."""

    scope = ApiScope.WEBHOOKS
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"pageSize": 50}
    answer_example: ClassVar[Any] = {
        "queues": [
            {
                "chat": "5511999999999",
                "webhookId": None,
                "host": "https://example.com",
                "waiting": 3,
                "inFlight": False,
                "nextAttemptAt": "2026-01-31T12:00:30Z",
                "attempts": 2,
                "error": "HTTP 500",
                "failingSince": "2026-01-31T12:00:00Z",
                "eventId": _ID,
                "type": "DeliveryCallback",
                "createdAt": "2026-01-31T12:00:00Z",
            }
        ],
        "pagingState": None,
        "hasMore": False,
    }

    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
    paging_state: str | None = None
    webhook_id: UUID | None = None


class WebhookState(Wire):
    """What waits for one webhook, and why.

    `webhookId` names a further webhook, and is missing for those of Z-API's routes. `attempts`,
    `nextAttemptAt` and `error` are of the chats that fail: the most attempts of one callback, the
    next one of any, and the error of the chat that has failed the longest. `openCircuits` are the
    hosts that get nothing for the moment, because they did not answer or failed again and again.
    """

    webhook_id: Annotated[UUID | None, BeforeValidator(_without_zeros)]
    waiting: int
    chats: int
    failing_chats: int
    failing_since: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    error: str | None
    open_circuits: tuple[str, ...]


class WebhookStates(Wire):
    """The webhooks for which callbacks wait."""

    states: tuple[WebhookState, ...]


class ListWebhookStates(Operation[WebhookStates], method="GET", path="/webhooks/states"):
    """Each webhook for which callbacks wait: how many, why, and the next attempt."""

    scope = ApiScope.WEBHOOKS
    answer_example: ClassVar[Any] = {
        "states": [
            {
                "webhookId": None,
                "waiting": 34,
                "chats": 5,
                "failingChats": 5,
                "failingSince": "2026-01-31T12:00:00Z",
                "attempts": 12,
                "nextAttemptAt": "2026-01-31T12:30:00Z",
                "error": "HTTP 500",
                "openCircuits": ["example.com"],
            }
        ]
    }


class StoredCallback(Wire):
    """One callback with its body and its latest 100 attempts, the latest first.

    Without `body`, only the attempts are stored, or it was not found among the events before them.
    `error` says why it waits or was given up.
    """

    event_id: UUID
    webhook_id: Annotated[UUID | None, BeforeValidator(_without_zeros)]
    type: str
    chat: str
    status: Literal["waiting", "delivered", "dead", "discarded"]
    error: str | None
    created_at: datetime | None
    body: dict[str, Any] | None
    attempts: tuple[DeliveryAttempt, ...]


class FindCallback(Operation[StoredCallback], method="GET", path="/webhooks/deliveries/{event_id}"):
    """One callback by its id: what is posted, how far it came, and each answer."""

    scope = ApiScope.WEBHOOKS
    example: ClassVar[Example] = {"eventId": _ID}
    answer_example: ClassVar[Any] = {
        "eventId": _ID,
        "webhookId": None,
        "type": "DeliveryCallback",
        "chat": "5511999999999",
        "status": "waiting",
        "error": "HTTP 500",
        "createdAt": "2026-01-31T12:00:00Z",
        "body": {"type": "DeliveryCallback", "phone": "5511999999999"},
        "attempts": ListDeliveries.answer_example["deliveries"],
    }
    failures = (404,)

    event_id: UUID


class Replayed(Wire):
    """How many callbacks are posted again.

    `continue_from` is the next `from`, if one request could not replay all.
    """

    value: bool = True
    replayed: int
    continue_from: datetime | None


class ReplayWebhooks(Operation[Replayed], method="POST", path="/webhooks/replay"):
    """Posts the callbacks between two times again, under the same ids, oldest first.

    It joins the end of each chat. Without `types` it is everything; without `to`, until now. With
    `webhookId` only that webhook gets them, otherwise all; zeros stand for the webhooks of
    Z-API's routes.
    """

    scope = ApiScope.WEBHOOKS
    example_minimal: ClassVar[Example] = {"from": "2026-01-31T12:00:00Z"}
    example: ClassVar[Example] = {
        "from": "2026-01-31T12:00:00Z",
        "to": "2026-01-31T13:00:00Z",
        "types": ["ReceivedCallback"],
    }
    answer_example: ClassVar[Any] = {"value": True, "replayed": 3, "continueFrom": None}

    since: AwareDatetime = Field(alias="from")
    until: AwareDatetime | None = Field(None, alias="to")
    types: Annotated[tuple[CallbackType, ...], Field(min_length=1, max_length=100)] | None = None
    webhook_id: UUID | None = None


class ReplayCount(Wire):
    """How many recorded callbacks a replay would post; `hasMore` says that not all were counted."""

    count: int
    by_type: dict[str, int]
    has_more: bool


class CountReplay(Operation[ReplayCount], method="GET", path="/webhooks/replay"):
    """How many recorded callbacks are between two times, by type: what a replay would post.

    It counts 100,000 at most, the oldest. Each goes to every webhook that gets its type.
    """

    scope = ApiScope.WEBHOOKS
    example_minimal: ClassVar[Example] = {"from": "2026-01-31T12:00:00Z"}
    example: ClassVar[Example] = {"from": "2026-01-31T12:00:00Z", "to": "2026-01-31T13:00:00Z"}
    answer_example: ClassVar[Any] = {
        "count": 3,
        "byType": {"ReceivedCallback": 3},
        "hasMore": False,
    }

    since: AwareDatetime = Field(alias="from")
    until: AwareDatetime | None = Field(None, alias="to")


class TestResult(Wire):
    """The answer of the receiver; no `error` if the callback was delivered."""

    __test__: ClassVar[bool] = False  # pytest looks at names

    value: bool
    event_id: UUID
    target: str
    status: int | None
    error: str | None
    answer: str | None
    duration_ms: int


class TestWebhook(Operation[TestResult], method="POST", path="/webhooks/test"):
    """Posts one test callback, marked `"test": true`, at once, and shows the answer.

    With `webhookId` it goes to that further webhook.
    """

    scope = ApiScope.WEBHOOKS
    __test__: ClassVar[bool] = False

    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"type": "DeliveryCallback"}
    answer_example: ClassVar[Any] = {
        "value": True,
        "eventId": _ID,
        "target": "https://example.com/webhook",
        "status": 200,
        "error": None,
        "answer": "",
        "durationMs": 12,
    }

    type: CallbackType = "ReceivedCallback"
    webhook_id: UUID | None = None
