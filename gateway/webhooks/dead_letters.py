"""Handlers of /dlq: counts, lists, retries, discards and purges dead letters."""

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import orjson

from gateway.contract.extensions.dead_letters import (
    CountDeadLetters,
    DeadLetter,
    DeadLetterDone,
    DeadLetterPage,
    DeadLettersPurged,
    DeadLettersRetried,
    DeadLetterStats,
    DeadLetterStatus,
    DiscardDeadLetter,
    GetDeadLetter,
    ListDeadLetters,
    PurgeDeadLetters,
    RetryAllDeadLetters,
    RetryDeadLetter,
)
from gateway.contract.handlers import Handlers
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Count
from gateway.database.queries import query
from gateway.errors import Conflict, NotFound
from gateway.webhooks.claimed_callback import OWN_WEBHOOKS
from gateway.webhooks.operations import WebhookContext

_COUNT_DEAD_LETTERS = query("webhooks", "count_dead_letters")
_LIST_DEAD_LETTERS = query("webhooks", "list_dead_letters")
_COUNT_BY_ERROR = query("webhooks", "count_dead_letters_by_error")
_RETRY_DEAD_LETTERS = query("webhooks", "retry_dead_letters")
_DISCARD_DEAD_LETTER = query("webhooks", "discard_dead_letter")
_PURGE_DEAD_LETTERS = query("webhooks", "purge_dead_letters")
_OPEN = ("pending", "failed")
"""The states of dead letters that can be posted again."""


@dataclass(frozen=True, slots=True)
class _Row:
    id: uuid.UUID
    webhook_id: uuid.UUID
    chat: str
    type: str
    body: str
    attempts: int
    last_error: str
    created_at: datetime
    died_at: datetime
    status: DeadLetterStatus
    retries: int
    first_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class _CountByError:
    status: str
    type: str
    error: str
    count: int


handlers = Handlers[WebhookContext]()


@handlers.handles(CountDeadLetters)
async def count_dead_letters(
    context: WebhookContext, operation: CountDeadLetters
) -> DeadLetterStats:
    rows = await context.database.fetch_all(
        _CountByError,
        _COUNT_BY_ERROR,
        instance_id=context.instance.id,
        webhook_id=operation.webhook_id,
    )
    by_status, by_type, by_reason = Counter[str](), Counter[str](), Counter[str]()
    open_by_reason = Counter[str]()
    for row in rows:
        by_status[row.status] += row.count
        by_type[row.type] += row.count
        by_reason[row.error] += row.count
        if row.status in _OPEN:
            open_by_reason[row.error] += row.count
    return DeadLetterStats(
        total_events=by_status.total(),
        by_status=by_status,
        by_event_type=by_type,
        by_failure_reason=by_reason,
        open_by_failure_reason=open_by_reason,
    )


@handlers.handles(ListDeadLetters)
async def list_dead_letters(context: WebhookContext, operation: ListDeadLetters) -> DeadLetterPage:
    count = await context.database.fetch_one(
        Count,
        _COUNT_DEAD_LETTERS,
        instance_id=context.instance.id,
        status=operation.status,
        type=operation.event_type,
        webhook_id=operation.webhook_id,
    )
    events = await _list(
        context,
        status=operation.status,
        kind=operation.event_type,
        webhook_id=operation.webhook_id,
        limit=operation.page_size,
        offset=(operation.page - 1) * operation.page_size,
    )
    return DeadLetterPage(
        events=tuple(events),
        total=count.count if count else 0,
        page=operation.page,
        page_size=operation.page_size,
    )


@handlers.handles(GetDeadLetter)
async def get_dead_letter(context: WebhookContext, operation: GetDeadLetter) -> DeadLetter:
    return await _find(context, operation.event_id)


@handlers.handles(RetryDeadLetter)
async def retry_dead_letter(context: WebhookContext, operation: RetryDeadLetter) -> DeadLetterDone:
    if await _retry(context, limit=1, event_id=operation.event_id):
        return DeadLetterDone(event_id=operation.event_id, message="queued again")
    event = await _find(context, operation.event_id)
    if event.reprocess_status in ("pending", "failed"):
        raise Conflict(f"No webhook is set for {event.event_type}")
    raise _cannot_retry(event)


@handlers.handles(DiscardDeadLetter)
async def discard_dead_letter(
    context: WebhookContext, operation: DiscardDeadLetter
) -> DeadLetterDone:
    if not await context.database.execute(
        _DISCARD_DEAD_LETTER, instance_id=context.instance.id, id=operation.event_id
    ):
        raise _cannot_retry(await _find(context, operation.event_id))
    return DeadLetterDone(event_id=operation.event_id, message="discarded")


@handlers.handles(RetryAllDeadLetters)
async def retry_all(context: WebhookContext, operation: RetryAllDeadLetters) -> DeadLettersRetried:
    retried = await _retry(context, limit=operation.limit, webhook_id=operation.webhook_id)
    if retried == operation.limit:
        return DeadLettersRetried(retried_count=retried, failed_count=0)
    rows = await context.database.fetch_all(
        _CountByError,
        _COUNT_BY_ERROR,
        instance_id=context.instance.id,
        webhook_id=operation.webhook_id,
    )
    left = sum(row.count for row in rows if row.status in _OPEN)
    return DeadLettersRetried(retried_count=retried, failed_count=left)


@handlers.handles(PurgeDeadLetters)
async def purge_dead_letters(
    context: WebhookContext, operation: PurgeDeadLetters
) -> DeadLettersPurged:
    deleted = await context.database.within(DatabaseDeadline.PRUNING).execute(
        _PURGE_DEAD_LETTERS, instance_id=context.instance.id, days=operation.older_than_days
    )
    return DeadLettersPurged(deleted_count=deleted)


def _cannot_retry(event: DeadLetter) -> Conflict:
    return Conflict(
        f"The event is {event.reprocess_status}: only pending and failed events can be changed"
    )


async def _retry(
    context: WebhookContext,
    *,
    limit: int,
    event_id: uuid.UUID | None = None,
    webhook_id: uuid.UUID | None = None,
) -> int:
    row = await context.database.within(DatabaseDeadline.REPLAY).fetch_one(
        Count,
        _RETRY_DEAD_LETTERS,
        instance_id=context.instance.id,
        id=event_id,
        webhook_id=webhook_id,
        limit=limit,
    )
    context.notifier.callbacks_written()
    return row.count if row else 0


async def _find(context: WebhookContext, event_id: uuid.UUID) -> DeadLetter:
    found = await _list(context, event_id=event_id)
    if not found:
        raise NotFound("Event not found")
    return found[0]


async def _list(
    context: WebhookContext,
    *,
    event_id: uuid.UUID | None = None,
    status: str | None = None,
    kind: str | None = None,
    webhook_id: uuid.UUID | None = None,
    limit: int = 1,
    offset: int = 0,
) -> list[DeadLetter]:
    rows = await context.database.fetch_all(
        _Row,
        _LIST_DEAD_LETTERS,
        instance_id=context.instance.id,
        id=event_id,
        status=status,
        type=kind,
        webhook_id=webhook_id,
        limit=limit,
        offset=offset,
    )
    return [
        DeadLetter(
            event_id=row.id,
            webhook_id=None if row.webhook_id == OWN_WEBHOOKS else row.webhook_id,
            instance_id=context.instance.id,
            event_type=row.type,
            source_lib=context.instance.provider,
            failure_reason=row.last_error,
            last_error=row.last_error,
            total_attempts=row.attempts,
            reprocess_status=row.status,
            reprocess_attempts=row.retries,
            moved_to_dlq_at=row.died_at,
            first_attempt_at=row.first_attempt_at,
            last_attempt_at=row.died_at,
            created_at=row.created_at,
            original_payload=orjson.loads(str(row.body)),  # orjson refuses an UnopenedText
            original_metadata={"chat": row.chat},
        )
        for row in rows
    ]
