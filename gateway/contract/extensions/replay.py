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
