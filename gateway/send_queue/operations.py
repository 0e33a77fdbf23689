"""Handles Z-API's operations on /queue: list, count, remove."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.clock import Clock, epoch_ms
from gateway.contract.catalogue import catalogue
from gateway.contract.handlers import Handlers
from gateway.contract.zapi.instance_queue import (
    ClearQueue,
    CountQueue,
    ListQueue,
    ListQueueByPage,
    QueueCount,
    QueueFilter,
    QueueItem,
    QueuePage,
    QueueRemoved,
    RemovedFromQueue,
    RemoveFromQueue,
)
from gateway.database.payload_seal import Unopened
from gateway.database.pool import Count, Database
from gateway.database.queries import query
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.identities.people import names_of
from gateway.instances.store import Instance
from gateway.observability.metrics import Metrics
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.claim import Claimer
from gateway.send_queue.ids import message_id_named
from gateway.send_queue.pacing import SendPolicy
from gateway.send_queue.waiting_reason import WaitingReason, WaitingReasons

_COUNT_WAITING = query("send_queue", "count_waiting")
_LIST_WAITING = query("send_queue", "list_waiting")
_CANCEL_WAITING = query("send_queue", "cancel_waiting")
_STATE_OF_MESSAGE = query("send_queue", "state_of_message")

_MAX_SEQUENCE_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class QueueContext:
    """What the handlers of queue operations work with, for one request of one instance.

    *activity_of* returns what the worker of this node does; None if it has none for the instance.
    """

    database: Database
    clock: Clock
    metrics: Metrics
    send_policy: SendPolicy
    claimer: Claimer
    instance: Instance
    activity_of: Callable[[str], WorkerActivity | None] = field(
        default=lambda _instance_id: None, kw_only=True
    )

    def waiting_reasons(self) -> WaitingReasons:
        return WaitingReasons(
            self.database,
            self.clock,
            self.send_policy,
            self.instance,
            activity=self.activity_of(self.instance.id),
        )


@dataclass(frozen=True, slots=True)
class _State:
    state: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    zaap_id: str
    message_id: str
    type: str
    phone: str
    payload: dict[str, Any]
    sequence_number: int
    attempts: int
    max_attempts: int
    due_at: datetime
    expires_at: datetime | None
    created_at: datetime
    last_error: str | None
    status: str
    id: int
    priority: int
    state: str
    parked_for: str | None
    withheld_for: str | None
    deferrals: int
    is_due: bool
    claimed_at: datetime | None
    attempt_started_at: datetime | None


handlers = Handlers[QueueContext]()


@handlers.handles(CountQueue)
async def count_queue(context: QueueContext, _operation: CountQueue) -> QueueCount:
    waiting = await queue_length(context)
    return QueueCount(count=waiting, queue_length=waiting)


@handlers.handles(ListQueueByPage)
async def list_queue_by_page(
    context: QueueContext, operation: ListQueueByPage
) -> tuple[QueueItem, ...]:
    rows = await _list(
        context,
        operation,
        limit=operation.page_size,
        offset=(operation.page - 1) * operation.page_size
        if operation.offset is None
        else operation.offset,
    )
    return await _items(context, rows)


@handlers.handles(ListQueue)
async def list_queue(context: QueueContext, operation: ListQueue) -> QueuePage:
    after = read_cursor(operation.paging_state)
    rows = await _list(context, operation, limit=operation.page_size + 1, after=after)
    page, more = rows[: operation.page_size], len(rows) > operation.page_size
    return QueuePage(
        messages=await _items(context, page),
        paging_state=make_cursor(page[-1].sequence_number) if more else None,
        has_more=more,
        queue_length=await queue_length(context),
    )


@handlers.handles(ClearQueue)
async def clear_queue(context: QueueContext, operation: ClearQueue) -> QueueRemoved:
    removed = await _cancel(context, operation, before=read_age(context, operation.older_than))
    context.metrics.purged.inc(removed)
    return QueueRemoved(removed=removed, queue_length=await queue_length(context))


@handlers.handles(RemoveFromQueue)
async def remove_from_queue(context: QueueContext, operation: RemoveFromQueue) -> RemovedFromQueue:
    message_id = message_id_named(operation.zaap_id)
    if await cancel_message(context, message_id):
        return RemovedFromQueue(queue_length=await queue_length(context))
    state = await message_state(context, message_id)
    if state is None:
        raise NotFound("Message not found in the queue")
    raise Conflict(f"The message is {state} and no longer waits")


async def cancel_message(context: QueueContext, message_id: str) -> bool:
    """Cancels a message that waits; returns False if it does not wait."""
    removed = await _cancel(context, QueueFilter(), message_id=message_id)
    context.metrics.purged.inc(removed)
    return removed > 0


async def message_state(context: QueueContext, message_id: str) -> str | None:
    """Returns the state of a message that this instance sends or sent; None if there is none."""
    found = await context.database.fetch_one(
        _State, _STATE_OF_MESSAGE, instance_id=context.instance.id, message_id=message_id
    )
    return found.state if found else None


async def phones_of(context: QueueContext, phone: str | None) -> list[str] | None:
    """Returns all names of the person that a filter names; None where it names none."""
    if phone is None:
        return None
    return (await names_of(context.database, context.instance.id, phone)).every


async def queue_length(context: QueueContext) -> int:
    """Counts the messages that wait or are in flight; failed ones do not count."""
    row = await context.database.fetch_one(Count, _COUNT_WAITING, instance_id=context.instance.id)
    return row.count if row else 0


async def _list(
    context: QueueContext, filters: QueueFilter, *, limit: int, offset: int = 0, after: int = 0
) -> list[_Waiting]:
    return await context.database.fetch_all(
        _Waiting,
        _LIST_WAITING,
        instance_id=context.instance.id,
        status=filters.status,
        type=filters.type,
        phones=await phones_of(context, filters.phone),
        track_id=filters.track_id,
        limit=limit,
        offset=offset,
        after=after,
    )


async def _cancel(
    context: QueueContext,
    filters: QueueFilter,
    *,
    before: datetime | None = None,
    message_id: str | None = None,
) -> int:
    row = await context.database.fetch_one(
        Count,
        _CANCEL_WAITING,
        instance_id=context.instance.id,
        status=filters.status,
        type=filters.type,
        phones=await phones_of(context, filters.phone),
        track_id=filters.track_id,
        before=before,
        message_id=message_id,
    )
    return row.count if row else 0


async def _items(context: QueueContext, rows: list[_Waiting]) -> tuple[QueueItem, ...]:
    reasons = await context.waiting_reasons().of(rows)
    return tuple(_item(context, row, why) for row, why in zip(rows, reasons, strict=True))


def _item(context: QueueContext, row: _Waiting, why: WaitingReason | None) -> QueueItem:
    kind = None if isinstance(row.payload, Unopened) else catalogue().sends.get(row.type)
    message = kind.model_validate(row.payload) if kind else None
    instance = context.instance
    return QueueItem(
        row_id=row.zaap_id,
        zaap_id=row.zaap_id,
        message_id=row.message_id,
        instance_id=instance.id,
        phone=row.phone,
        message=message.readable_text() if message else None,
        delay_message=(message and message.delay_message) or -1,
        delay_typing=(message and message.delay_typing) or 0,
        created=epoch_ms(row.created_at),
        created_at=row.created_at.astimezone(UTC),
        is_trial=instance.trial_ends_at is not None and not instance.subscribed,
        type=row.type,
        status=row.status,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        sequence_number=row.sequence_number,
        scheduled_for=row.due_at.astimezone(UTC) if row.status == "scheduled" else None,
        expires_at=row.expires_at and row.expires_at.astimezone(UTC),
        next_attempt_at=row.due_at.astimezone(UTC)
        if row.status == "retrying" and row.parked_for != "file"
        else None,
        waiting_for=why and why.code,
        waiting_reason=why and why.sentence,
        track_id=row.payload.get("track_id"),
        error=row.payload.reason if isinstance(row.payload, Unopened) else row.last_error,
    )


def make_cursor(sequence_number: int) -> str:
    return base64.urlsafe_b64encode(str(sequence_number).encode()).decode()


def read_cursor(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        after = int(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error):
        after = -1
    if not 0 <= after <= _MAX_SEQUENCE_NUMBER:
        raise InvalidRequest("pagingState: must be the value that the page before returned")
    return after


def read_age(context: QueueContext, older_than: str | None) -> datetime | None:
    if older_than is None:
        return None
    try:
        return context.clock.now() - timedelta(seconds=float(older_than))
    except (ValueError, OverflowError):
        pass
    try:
        before = datetime.fromisoformat(older_than)
    except ValueError:
        before = None
    if before is None or before.tzinfo is None:
        raise InvalidRequest(
            "olderThan: must be a time with an offset, such as 2026-01-31T12:00:00Z, or seconds"
        )
    return before
