"""Handles operations that show the queue as people watch it: its lanes, and what is scheduled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, cast

from psycopg.errors import InvalidParameterValue

from gateway.contract.extensions.queue_lanes import (
    CountMatching,
    CountScheduled,
    LaneMessage,
    LaneName,
    LanePage,
    ListLane,
    ListScheduled,
    MatchingCount,
    QueueLane,
    QueueLanes,
    ReadLanes,
    ScheduledDay,
    ScheduledDays,
)
from gateway.contract.handlers import Handlers
from gateway.contract.send import Priority
from gateway.database.cursors import read_places, write_cursor
from gateway.database.pool import Count
from gateway.database.queries import query
from gateway.errors import InvalidRequest
from gateway.history.states import MessageState, utc
from gateway.send_queue.operations import QueueContext, phones_of, queue_length, read_age
from gateway.send_queue.waiting_reason import WaitingReason

_FIND_SENDING = query("queue_lanes", "find_sending")
_LIST_LANE = query("queue_lanes", "list_lane")
_DESCRIBE_WAITING = query("queue_lanes", "describe_waiting")
_COUNT_LANES = query("queue_lanes", "count_lanes")
_COUNT_APART = query("queue_lanes", "count_apart")
_COUNT_SCHEDULED_BY_DAY = query("queue_lanes", "count_scheduled_by_day")
_COUNT_MATCHING = query("send_queue", "count_matching")
_LIST_SCHEDULED = query("queue_lanes", "list_scheduled")

_MAX_EXAMINED: Final = 5_000
_MAX_DAYS: Final = 1_000
_FIRST_POSITION: Final = -(2**63) + 1
_FIRST_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)

handlers = Handlers[QueueContext]()


@dataclass(frozen=True, slots=True)
class _SendingId:
    id: int


@dataclass(frozen=True, slots=True)
class _Examined:
    id: int
    position: int
    is_end: bool
    is_match: bool


@dataclass(frozen=True, slots=True)
class _ScheduledId:
    id: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class _LaneCount:
    priority: int
    waiting: int


@dataclass(frozen=True, slots=True)
class _Apart:
    scheduled: int
    failed: int


@dataclass(frozen=True, slots=True)
class _Day:
    day: date
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _QueuedRow(MessageState):
    """A queued message, with the columns that say why it waits."""

    payload: dict[str, Any]
    priority: int
    due_at: datetime
    id: int
    state: str
    parked_for: str | None
    withheld_for: str | None
    deferrals: int
    is_due: bool
    claimed_at: datetime | None


@handlers.handles(ReadLanes)
async def read_lanes(context: QueueContext, _operation: ReadLanes) -> QueueLanes:
    instance_id = context.instance.id
    sending = await find_sending(context)
    counts = await context.database.fetch_all(_LaneCount, _COUNT_LANES, instance_id=instance_id)
    apart = await context.database.fetch_one(_Apart, _COUNT_APART, instance_id=instance_id)
    assert apart is not None
    return QueueLanes(
        sending=sending,
        lanes=tuple(QueueLane(lane=lane_name(row.priority), waiting=row.waiting) for row in counts),
        scheduled=apart.scheduled,
        failed=apart.failed,
        queue_length=bool(sending) + sum(row.waiting for row in counts) + apart.scheduled,
    )


async def find_sending(context: QueueContext) -> LaneMessage | None:
    """Returns the message that the worker has claimed."""
    rows = await context.database.fetch_all(
        _SendingId, _FIND_SENDING, instance_id=context.instance.id
    )
    described = await describe(context, [row.id for row in rows])
    return described[0] if described else None


async def first_ids(context: QueueContext, lane: Priority, count: int) -> list[int]:
    """Returns the ids of the next messages of a lane."""
    rows = await context.database.fetch_all(
        _Examined,
        _LIST_LANE,
        instance_id=context.instance.id,
        lane=lane.value,
        after=_FIRST_POSITION,
        max_examined=count,
        limit=count,
        **dict.fromkeys(("status", "type", "phones", "track_id", "before")),
    )
    return [row.id for row in rows]


@handlers.handles(ListLane)
async def list_lane(context: QueueContext, operation: ListLane) -> LanePage:
    before = read_age(context, operation.older_than)
    filters: Mapping[str, Any] = {
        "status": operation.status,
        "type": operation.type,
        "phones": await phones_of(context, operation.phone),
        "track_id": operation.track_id,
        "before": before,
    }
    is_filtered = any(value is not None for value in filters.values())
    size = operation.page_size
    (after,) = read_places(operation.paging_state or write_cursor(_FIRST_POSITION), int)
    rows = await context.database.fetch_all(
        _Examined,
        _LIST_LANE,
        instance_id=context.instance.id,
        lane=Priority[operation.lane.upper()].value,
        after=after,
        max_examined=_MAX_EXAMINED if is_filtered else size + 1,
        limit=size + 1,
        **filters,
    )
    page = [row for row in rows if row.is_match][:size]
    return LanePage(
        messages=tuple(await describe(context, [row.id for row in page])),
        paging_state=_next_place(rows, size),
        has_more=_next_place(rows, size) is not None,
        queue_length=await queue_length(context),
    )


def _next_place(rows: Sequence[_Examined], size: int) -> str | None:
    """Returns the cursor of the next page, if there may be one."""
    matches = [row for row in rows if row.is_match]
    if len(matches) > size:
        return write_cursor(matches[size - 1].position)
    return write_cursor(rows[-1].position) if rows and rows[-1].is_end else None


@handlers.handles(CountMatching)
async def count_matching(context: QueueContext, operation: CountMatching) -> MatchingCount:
    found = await context.database.fetch_one(
        Count,
        _COUNT_MATCHING,
        instance_id=context.instance.id,
        status=operation.status,
        type=operation.type,
        phones=await phones_of(context, operation.phone),
        track_id=operation.track_id,
        before=read_age(context, operation.older_than),
    )
    return MatchingCount(
        count=found.count if found else 0, queue_length=await queue_length(context)
    )


@handlers.handles(CountScheduled)
async def count_scheduled(context: QueueContext, operation: CountScheduled) -> ScheduledDays:
    span = {"from": operation.since, "to": operation.until}
    try:
        rows = await context.database.fetch_all(
            _Day,
            _COUNT_SCHEDULED_BY_DAY,
            instance_id=context.instance.id,
            time_zone=operation.time_zone,
            max_days=_MAX_DAYS,
            **span,
        )
    except InvalidParameterValue:
        raise InvalidRequest("timeZone: must be a name such as America/Sao_Paulo") from None
    return ScheduledDays(
        days=tuple(ScheduledDay(day=row.day, count=row.count) for row in rows),
        queue_length=await queue_length(context),
    )


@handlers.handles(ListScheduled)
async def list_scheduled(context: QueueContext, operation: ListScheduled) -> LanePage:
    after: tuple[object, ...] = (_FIRST_TIME, 0)
    if operation.paging_state:
        after = read_places(operation.paging_state, datetime, int)
    rows = await context.database.fetch_all(
        _ScheduledId,
        _LIST_SCHEDULED,
        instance_id=context.instance.id,
        after=after[0],
        after_id=after[1],
        limit=operation.page_size + 1,
        **{"from": operation.since, "to": operation.until},
    )
    page, more = rows[: operation.page_size], len(rows) > operation.page_size
    return LanePage(
        messages=tuple(await describe(context, [row.id for row in page])),
        paging_state=write_cursor(page[-1].due_at, page[-1].id) if more else None,
        has_more=more,
        queue_length=await queue_length(context),
    )


async def describe(context: QueueContext, ids: Sequence[int]) -> list[LaneMessage]:
    """Returns the messages in this order, without those that have left the queue meanwhile."""
    if not ids:
        return []
    rows = await context.database.fetch_all(
        _QueuedRow, _DESCRIBE_WAITING, instance_id=context.instance.id, ids=list(ids)
    )
    reasons = await context.waiting_reasons().of(rows)
    return [_shown(row, why) for row, why in zip(rows, reasons, strict=True)]


def _shown(row: _QueuedRow, why: WaitingReason | None) -> LaneMessage:
    is_retrying = row.status == "retrying" and row.parked_for != "file"
    return LaneMessage(
        **row.shown(),
        priority=lane_name(row.priority),
        sequence_number=row.sequence_number,
        max_attempts=row.max_attempts,
        next_attempt_at=utc(row.due_at) if is_retrying else None,
        expires_at=utc(row.expires_at),
        due_at=row.due_at.astimezone(UTC),
        attempt_started_at=utc(row.attempt_started_at),
        waiting_for=why and why.code,
        waiting_reason=why and why.sentence,
        waiting_until=utc(why.until) if why else None,
        messages_before=why and why.before,
    )


def lane_name(priority: int) -> LaneName:
    """Returns the name of a stored priority."""
    return cast("LaneName", Priority(priority).name.lower())
