"""Handles the gateway's own operations on /queue: pause, retry, move, statistics, settings."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.contract.extensions.queue_control import (
    ChangeQueueSettings,
    MoveToFront,
    PauseQueue,
    QueueChanged,
    QueuePauseState,
    QueueSettings,
    QueueStats,
    ReadQueued,
    ReadQueueSettings,
    ReadQueueStats,
    ResumeQueue,
    RetryQueued,
    SendAttempt,
    TrackedMessage,
)
from gateway.contract.handlers import Handlers
from gateway.database.pool import Count
from gateway.database.queries import query
from gateway.errors import Conflict, UnknownInstance
from gateway.history.operations import find_message
from gateway.history.states import MessageState, utc
from gateway.instances.store import Instance
from gateway.send_queue.failed_messages import queued_message, retry_messages
from gateway.send_queue.ids import message_id_named
from gateway.send_queue.operations import (
    QueueContext,
    queue_length,
)
from gateway.send_queue.order import QueueOrder
from gateway.send_queue.pacing import SendPolicy
from gateway.send_queue.unknown_messages import UnknownQuote
from gateway.send_queue.waiting_reason import QueueState, WaitingReason, read_queue_state

_PAUSE_QUEUE = query("send_queue", "pause_queue")
_LIST_ATTEMPTS = query("send_queue", "list_attempts")
_MOVE_TO_FRONT = query("send_queue", "move_to_front")
_COUNT_BY_KIND = query("send_queue", "count_by_kind")
_FIND_WAITING = query("send_queue", "find_waiting")
_CHANGE_SETTINGS = query("send_queue", "change_settings")
_END_DAILY_LIMIT_HOLD = query("send_queue", "end_daily_limit_hold")
_QUEUE_ORDER = query("send_queue", "queue_order")
_CHANGE_QUEUE_ORDER = query("send_queue", "change_queue_order")
_FIND_INSTANCE = query("instances", "find_instance")


handlers = Handlers[QueueContext]()


@dataclass(frozen=True, slots=True)
class _Kind:
    status: str
    type: str
    count: int
    oldest_at: datetime
    leaving: int
    delay_seconds: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The columns that say why a message waits."""

    id: int
    priority: int
    payload: dict[str, Any]
    state: str
    parked_for: str | None
    withheld_for: str | None
    deferrals: int
    attempts: int
    due_at: datetime
    is_due: bool
    claimed_at: datetime | None
    attempt_started_at: datetime | None


@dataclass(frozen=True, slots=True)
class _StoredOrder:
    queue_order: QueueOrder | None
    unknown_quote: UnknownQuote | None


@handlers.handles(PauseQueue)
async def pause(context: QueueContext, _operation: PauseQueue) -> QueuePauseState:
    return await _set_paused(context, paused=True)


@handlers.handles(ResumeQueue)
async def resume(context: QueueContext, _operation: ResumeQueue) -> QueuePauseState:
    return await _set_paused(context, paused=False)


async def _set_paused(context: QueueContext, *, paused: bool) -> QueuePauseState:
    await context.database.execute(_PAUSE_QUEUE, instance_id=context.instance.id, paused=paused)
    return QueuePauseState(paused=paused, queue_length=await queue_length(context))


@handlers.handles(ReadQueued)
async def read_queued(context: QueueContext, operation: ReadQueued) -> TrackedMessage:
    state = await _find(context, operation.zaap_id)
    attempts = await context.database.fetch_dicts(
        _LIST_ATTEMPTS, instance_id=context.instance.id, message_id=state.message_id
    )
    if state.attempt_started_at and state.sent_at:  # the table has failed attempts only
        attempts.append(
            {
                "started_at": state.attempt_started_at,
                "ended_at": state.sent_at,
                "outcome": "sent",
                "error": None,
                "duration_seconds": (state.sent_at - state.attempt_started_at).total_seconds(),
            }
        )
    why = await _waiting_reason(context, state)
    return TrackedMessage(
        **queued_message(state).model_dump(),
        tries=tuple(
            SendAttempt(**{**a, "started_at": utc(a["started_at"]), "ended_at": utc(a["ended_at"])})
            for a in attempts
        ),
        waiting_for=why and why.code,
        waiting_reason=why and why.sentence,
        waiting_until=utc(why.until) if why else None,
        messages_before=why and why.before,
        queue_length=await queue_length(context),
    )


async def _waiting_reason(context: QueueContext, state: MessageState) -> WaitingReason | None:
    if not state.in_queue:
        return None
    rows = await context.database.fetch_all(
        _Waiting, _FIND_WAITING, instance_id=context.instance.id, message_id=state.message_id
    )
    reasons = await context.waiting_reasons().of(rows)
    return reasons[0] if reasons else None


@handlers.handles(RetryQueued)
async def retry(context: QueueContext, operation: RetryQueued) -> QueueChanged:
    message_id = message_id_named(operation.zaap_id)
    if not await retry_messages(context, [message_id]):
        state = await _find(context, operation.zaap_id)
        raise Conflict(f"The message is {state.status}: there is nothing to retry")
    return QueueChanged(queue_length=await queue_length(context))


@handlers.handles(MoveToFront)
async def move_to_front(context: QueueContext, operation: MoveToFront) -> QueueChanged:
    moved = await context.database.fetch_one(
        Count,
        _MOVE_TO_FRONT,
        instance_id=context.instance.id,
        message_id=message_id_named(operation.zaap_id),
    )
    if not (moved and moved.count):
        state = await _find(context, operation.zaap_id)
        what = "already the next one" if state.status == "pending" else state.status
        raise Conflict(f"The message is {what} and cannot be moved")
    return QueueChanged(queue_length=await queue_length(context))


@handlers.handles(ReadQueueStats)
async def read_stats(context: QueueContext, _operation: ReadQueueStats) -> QueueStats:
    instance, now = context.instance, context.clock.now()
    kinds = await context.database.fetch_all(_Kind, _COUNT_BY_KIND, instance_id=instance.id)
    queue = await read_queue_state(context.database, instance.id)
    waiting = [kind for kind in kinds if kind.status != "failed"]
    oldest = min((kind.oldest_at for kind in waiting), default=None)
    limit = context.send_policy.limit_of(instance, now)
    day = await context.claimer.sent_today(instance.id, max_count=limit) if limit else None
    moves = queue.connected and not queue.paused and not queue.awaits_confirmation
    return QueueStats(
        queue_length=sum(kind.count for kind in waiting),
        by_status=_sums((kind.status, kind.count) for kind in kinds),
        by_type=_sums((kind.type, kind.count) for kind in waiting),
        oldest_waiting_at=utc(oldest),
        oldest_waiting_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else None,
        seconds_to_empty=_seconds_to_empty(waiting, queue, context.send_policy, instance)
        if moves
        else None,
        connected=queue.connected,
        paused=queue.paused,
        hold_until=utc(queue.hold_until),
        hold_reason=queue.hold_reason,
        hold_kind=queue.hold_kind,
        first_contacts_until=utc(queue.first_contacts_until),
        daily_limit=limit,
        sent_today=day and day.sent,
    )


@handlers.handles(ReadQueueSettings)
async def read_settings(context: QueueContext, _operation: ReadQueueSettings) -> QueueSettings:
    instance = await context.database.fetch_one(Instance, _FIND_INSTANCE, id=context.instance.id)
    if instance is None:
        raise UnknownInstance
    send_policy = context.send_policy
    stored = await context.database.fetch_one(_StoredOrder, _QUEUE_ORDER, instance_id=instance.id)
    pace = send_policy.pace_of(instance)
    return QueueSettings(
        pace_min_seconds=pace.min_seconds,
        pace_max_seconds=pace.max_seconds,
        daily_limit=send_policy.daily_limit_of(instance),
        warm_up_days=send_policy.warm_up_days_of(instance),
        limit_today=send_policy.limit_of(instance, context.clock.now()),
        order=(stored and stored.queue_order) or send_policy.order,
        unknown_quote=(stored and stored.unknown_quote) or send_policy.unknown_quote,
        queue_length=await queue_length(context),
    )


@handlers.handles(ChangeQueueSettings)
async def change_settings(context: QueueContext, operation: ChangeQueueSettings) -> QueueSettings:
    instance_id = context.instance.id
    async with context.database.transaction() as connection:
        await connection.execute(
            _CHANGE_SETTINGS, {"instance_id": instance_id, **operation.model_dump()}
        )
        await connection.execute(
            _CHANGE_QUEUE_ORDER,
            {
                "instance_id": instance_id,
                "queue_order": operation.order,
                "unknown_quote": operation.unknown_quote,
            },
        )
        await connection.execute(_END_DAILY_LIMIT_HOLD, {"instance_id": instance_id})
    return await read_settings(context, ReadQueueSettings())


async def _find(context: QueueContext, name: str) -> MessageState:
    return await find_message(context.database, context.instance.id, message_id_named(name))


def _sums(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    totals = Counter[str]()
    for name, count in counts:
        totals[name] += count
    return dict(sorted(totals.items()))


def _seconds_to_empty(
    waiting: list[_Kind], queue: QueueState, policy: SendPolicy, instance: Instance
) -> float:
    """Estimates from the mean pause, the delays that messages ask for, and the rest of a hold."""
    leaving = sum(kind.leaving for kind in waiting)
    delays = sum(kind.delay_seconds for kind in waiting)
    return leaving * policy.mean_pause_seconds(instance) + delays + (queue.hold_seconds or 0)
