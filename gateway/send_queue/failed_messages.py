"""Handles operations on failed messages: list, retry, delete."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from gateway.contract.extensions.queue_control import (
    DeleteFailed,
    FailedFilter,
    FailedPage,
    ListFailed,
    QueuedMessage,
    QueueRetried,
    RetryFailed,
)
from gateway.contract.handlers import Handlers
from gateway.contract.send import Priority
from gateway.contract.zapi.instance_queue import QueueRemoved
from gateway.database.cursors import read_places, write_cursor
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Count
from gateway.database.queries import query
from gateway.history.states import MessageState, utc
from gateway.send_queue.operations import (
    QueueContext,
    make_cursor,
    phones_of,
    queue_length,
    read_cursor,
)

_LIST_FAILED = query("send_queue", "list_failed")
_LIST_LATEST_FAILED = query("send_queue", "list_latest_failed")
_RETRY_MESSAGES = query("send_queue", "retry_messages")
_ARCHIVE_FAILED = query("send_queue", "archive_failed")

_BATCH_SIZE: Final = 500
_LAST_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)

handlers = Handlers[QueueContext]()


@handlers.handles(ListFailed)
async def list_failed(context: QueueContext, operation: ListFailed) -> FailedPage:
    if operation.latest_first:
        return await _latest_failed(context, operation)
    rows = await _failed(
        context, operation, after=read_cursor(operation.paging_state), limit=operation.page_size + 1
    )
    page, more = rows[: operation.page_size], len(rows) > operation.page_size
    return FailedPage(
        messages=tuple(queued_message(row) for row in page),
        paging_state=make_cursor(page[-1].sequence_number or 0) if more else None,
        has_more=more,
        queue_length=await queue_length(context),
    )


async def _latest_failed(context: QueueContext, operation: ListFailed) -> FailedPage:
    before: tuple[object, ...] = (_LAST_TIME, "")
    if operation.paging_state:
        before = read_places(operation.paging_state, datetime, str)
    rows = await context.database.fetch_all(
        MessageState,
        _LIST_LATEST_FAILED,
        instance_id=context.instance.id,
        type=operation.type,
        phones=await phones_of(context, operation.phone),
        before=before[0],
        before_id=before[1],
        limit=operation.page_size + 1,
    )
    page, more = rows[: operation.page_size], len(rows) > operation.page_size
    return FailedPage(
        messages=tuple(queued_message(row) for row in page),
        paging_state=write_cursor(page[-1].recorded_at, page[-1].message_id) if more else None,
        has_more=more,
        queue_length=await queue_length(context),
    )


@handlers.handles(RetryFailed)
async def retry_failed(context: QueueContext, operation: RetryFailed) -> QueueRetried:
    context = replace(context, database=context.database.within(DatabaseDeadline.REPLAY))
    retried = after = 0
    while rows := await _failed(context, operation, after=after, limit=_BATCH_SIZE):
        retried += await retry_messages(context, [row.message_id for row in rows])
        after = rows[-1].sequence_number or 0
    return QueueRetried(retried=retried, queue_length=await queue_length(context))


@handlers.handles(DeleteFailed)
async def delete_failed(context: QueueContext, operation: DeleteFailed) -> QueueRemoved:
    removed, phones = 0, await phones_of(context, operation.phone)
    while archived := await context.database.within(DatabaseDeadline.PRUNING).fetch_one(
        Count,
        _ARCHIVE_FAILED,
        instance_id=context.instance.id,
        type=operation.type,
        phones=phones,
        days=None,
        max_count=_BATCH_SIZE,
    ):
        removed += archived.count
        if archived.count < _BATCH_SIZE:
            break
    context.metrics.purged.inc(removed)
    return QueueRemoved(removed=removed, queue_length=await queue_length(context))


async def retry_messages(context: QueueContext, message_ids: list[str]) -> int:
    """Puts failed messages back into the queue; returns how many there were."""
    row = await context.database.fetch_one(
        Count, _RETRY_MESSAGES, instance_id=context.instance.id, message_ids=message_ids
    )
    return row.count if row else 0


async def _failed(
    context: QueueContext, filters: FailedFilter, *, after: int, limit: int
) -> list[MessageState]:
    return await context.database.fetch_all(
        MessageState,
        _LIST_FAILED,
        instance_id=context.instance.id,
        type=filters.type,
        phones=await phones_of(context, filters.phone),
        after=after,
        limit=limit,
    )


def queued_message(state: MessageState) -> QueuedMessage:
    """Returns a message with its place in the queue."""
    retrying = state.status == "retrying"
    return QueuedMessage(
        **state.shown(),
        priority=None if state.priority is None else Priority(state.priority).name.lower(),
        sequence_number=state.sequence_number,
        max_attempts=state.max_attempts,
        next_attempt_at=utc(state.due_at) if retrying else None,
        expires_at=utc(state.expires_at),
    )
