"""Dead letters: callbacks whose delivery failed, their retry and removal."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AliasChoices, BeforeValidator, Field

from gateway.contract.documented import Documented, Example
from gateway.contract.operation import AuditedState, Operation
from gateway.contract.paging import MAX_PAGE, between, up_to
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire

_MAX_PAGE_SIZE = 100
_MAX_RETRIED = 500
_MAX_DAYS = 3_650
_NOT_FOUND, _CONFLICT = 404, 409
_WEBHOOK = "00000000-0000-0000-0000-000000000000"
_ID = "0b6f6c1e-4f43-4d8e-9a55-0d6c2f5b7a10"


def _as_written(name: str) -> str:
    return name


class _Answer(Wire, alias_generator=_as_written):
    """These answers are in snake_case, unlike all others."""


DeadLetterStatus = Literal["pending", "processing", "success", "failed", "discarded"]


class DeadLetter(_Answer):
    """A callback whose delivery failed.

    `webhook_id` names a further webhook, and is missing for those of Z-API's routes.
    `reprocess_status` is `pending` until it is retried or discarded, `processing` while it is
    posted again, then `success` or `failed`.
    """

    event_id: UUID
    webhook_id: UUID | None
    instance_id: str
    event_type: str
    source_lib: str
    failure_reason: str
    last_error: str
    total_attempts: int
    reprocess_status: DeadLetterStatus
    reprocess_attempts: int
    moved_to_dlq_at: datetime
    first_attempt_at: datetime | None
    last_attempt_at: datetime
    created_at: datetime
    original_payload: dict[str, Any]
    original_metadata: dict[str, str]


_FAILED_CALLBACK: Example = {
    "event_id": _ID,
    "webhook_id": None,
    "instance_id": "6C1D7A35F0B24E89A1C3D5E7F9B0A2C4",
    "event_type": "DeliveryCallback",
    "source_lib": "example",
    "failure_reason": "HTTP 500",
    "last_error": "HTTP 500",
    "total_attempts": 12,
    "reprocess_status": "pending",
    "reprocess_attempts": 0,
    "moved_to_dlq_at": "2026-02-01T12:00:00Z",
    "first_attempt_at": "2026-01-31T12:00:00Z",
    "last_attempt_at": "2026-02-01T12:00:00Z",
    "created_at": "2026-01-31T12:00:00Z",
    "original_payload": {"type": "DeliveryCallback", "phone": "5511999999999"},
    "original_metadata": {"chat": "5511999999999"},
}


class DeadLetterStats(_Answer):
    """The number of dead letters by status, type and reason.

    `open_by_failure_reason` has those alone that can be posted again: pending and failed ones.
    """

    total_events: int
    by_status: dict[str, int]
    by_event_type: dict[str, int]
    by_failure_reason: dict[str, int]
    open_by_failure_reason: dict[str, int]


class CountDeadLetters(Operation[DeadLetterStats], method="GET", path="/dlq/stats"):
    """The number of dead letters, and the reasons; of all webhooks or of one."""

    scope = ApiScope.WEBHOOKS
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"webhookId": _WEBHOOK}
    answer_example: ClassVar[Any] = {
        "total_events": 1,
        "by_status": {"pending": 1},
        "by_event_type": {"DeliveryCallback": 1},
        "by_failure_reason": {"HTTP 500": 1},
        "open_by_failure_reason": {"HTTP 500": 1},
    }

    webhook_id: UUID | None = None


class DeadLetterPage(_Answer):
    """A page of dead letters, and their number."""

    events: tuple[DeadLetter, ...]
    total: int
    page: int
    page_size: int


class ListDeadLetters(Operation[DeadLetterPage], method="GET", path="/dlq/events"):
    """Dead letters, the latest first."""

    scope = ApiScope.WEBHOOKS
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {
        "page": 1,
        "pageSize": 20,
        "status": "pending",
        "eventType": "DeliveryCallback",
    }
    answer_example: ClassVar[Any] = {
        "events": [_FAILED_CALLBACK],
        "total": 1,
        "page": 1,
        "page_size": 20,
    }

    page: Annotated[int, BeforeValidator(between(1, MAX_PAGE))] = 1
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 20
    status: DeadLetterStatus | None = None
    event_type: str | None = None
    webhook_id: UUID | None = None


class DeadLetterOperation(Documented):
    """Names one dead letter."""

    example: ClassVar[Example] = {"eventId": _ID}
    failures: ClassVar[tuple[int, ...]] = (_NOT_FOUND,)

    event_id: UUID = Field(validation_alias=AliasChoices("eventId", "event_id"))


class GetDeadLetter(
    DeadLetterOperation, Operation[DeadLetter], method="GET", path="/dlq/events/{event_id}"
):
    """One dead letter, with its body."""

    scope = ApiScope.WEBHOOKS
    answer_example: ClassVar[Any] = _FAILED_CALLBACK


class DeadLetterDone(_Answer):
    """The result of an action on a dead letter."""

    success: bool = True
    event_id: UUID
    message: str


class RetryDeadLetter(
    DeadLetterOperation,
    Operation[DeadLetterDone],
    method="POST",
    path="/dlq/events/{event_id}/retry",
):
    """Posts a dead letter again, with its id, after the waiting callbacks of its chat."""

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.DEAD_LETTERS
    failures = (_NOT_FOUND, _CONFLICT)
    answer_example: ClassVar[Any] = {"success": True, "event_id": _ID, "message": "queued again"}


class DiscardDeadLetter(
    DeadLetterOperation,
    Operation[DeadLetterDone],
    method="POST",
    path="/dlq/events/{event_id}/discard",
):
    """Discards a dead letter."""

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.DEAD_LETTERS
    failures = (_NOT_FOUND, _CONFLICT)
    answer_example: ClassVar[Any] = {"success": True, "event_id": _ID, "message": "discarded"}


class DeadLettersRetried(_Answer):
    """How many callbacks are posted again, and how many no longer have a webhook."""

    success: bool = True
    retried_count: int
    failed_count: int


class RetryAllDeadLetters(
    Operation[DeadLettersRetried], method="POST", path="/dlq/retry-all", answer_status=200
):
    """Posts all dead letters again, the oldest first, up to a limit; of all webhooks or of one."""

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.DEAD_LETTERS
    fields_in = "query"
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"limit": 100}
    answer_example: ClassVar[Any] = {"success": True, "retried_count": 1, "failed_count": 0}

    limit: Annotated[int, BeforeValidator(up_to(_MAX_RETRIED))] = 100
    webhook_id: UUID | None = None


class DeadLettersPurged(_Answer):
    """How many were deleted."""

    success: bool = True
    deleted_count: int


class PurgeDeadLetters(Operation[DeadLettersPurged], method="DELETE", path="/dlq/purge"):
    """Deletes dead letters that were delivered or discarded and are older than some days."""

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.DEAD_LETTERS
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"olderThanDays": 7}
    answer_example: ClassVar[Any] = {"success": True, "deleted_count": 0}

    older_than_days: Annotated[int, BeforeValidator(between(1, _MAX_DAYS))] = 7
