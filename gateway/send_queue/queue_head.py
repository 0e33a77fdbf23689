"""Handles the operation that reads the head of a queue, for pages that refresh themselves."""

from dataclasses import dataclass
from typing import Final

from gateway.contract.extensions.queue_head import QueueHead, ReadQueueHead
from gateway.contract.extensions.queue_lanes import LaneMessage, LaneName
from gateway.contract.handlers import Handlers
from gateway.contract.send import Priority
from gateway.database.queries import query
from gateway.history.states import utc
from gateway.send_queue.lanes import describe, find_sending, first_ids, lane_name
from gateway.send_queue.operations import QueueContext
from gateway.send_queue.waiting_reason import read_queue_state

_MEAN_DELAY = query("queue_lanes", "mean_delay")
_DELAYS_OF_LANE: Final = 100

handlers = Handlers[QueueContext]()


@dataclass(frozen=True, slots=True)
class _Delay:
    seconds: float


@handlers.handles(ReadQueueHead)
async def read_head(context: QueueContext, operation: ReadQueueHead) -> QueueHead:
    instance = context.instance
    queue = await read_queue_state(context.database, instance.id)
    limit = context.send_policy.limit_of(instance, context.clock.now())
    day = await context.claimer.sent_today(instance.id, max_count=limit) if limit else None
    delay = await context.database.fetch_one(
        _Delay, _MEAN_DELAY, instance_id=instance.id, max_count=_DELAYS_OF_LANE
    )
    pause_seconds = context.send_policy.mean_pause_seconds(instance)
    return QueueHead(
        connected=queue.connected,
        paused=queue.paused,
        hold_until=utc(queue.hold_until),
        hold_reason=queue.hold_reason,
        hold_kind=queue.hold_kind,
        hold_seconds=queue.hold_seconds or 0.0,
        daily_limit=limit,
        sent_today=day and day.sent,
        seconds_per_message=pause_seconds + (delay.seconds if delay else 0.0),
        sending=await find_sending(context),
        first=await _first_of_lanes(context, operation.first),
    )


async def _first_of_lanes(
    context: QueueContext, count: int
) -> dict[LaneName, tuple[LaneMessage, ...]]:
    if not count:
        return {}
    ids = [each for lane in Priority for each in await first_ids(context, lane, count)]
    messages = await describe(context, ids)
    return {
        name: tuple(each for each in messages if each.priority == name)
        for name in (lane_name(lane.value) for lane in Priority)
    }
