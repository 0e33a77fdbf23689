"""Handlers of /webhooks: the log of deliveries, and replay."""

from dataclasses import dataclass
from datetime import datetime

from gateway.contract.extensions.replay import (
    CountReplay,
    DeliveryAttempt,
    DeliveryPage,
    ListDeliveries,
    ReplayCount,
    Replayed,
    ReplayWebhooks,
)
from gateway.contract.handlers import Handlers
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.queries import query
from gateway.errors import InvalidRequest
from gateway.webhooks.operations import WebhookContext

_LIST_DELIVERIES = query("webhooks", "list_deliveries")
_LIST_FAILED_DELIVERIES = query("webhooks", "list_failed_deliveries")
_REPLAY = query("webhooks", "replay")
_COUNT_REPLAY = query("webhooks", "count_replay")

_MAX_REPLAYED = 10_000
_MAX_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class _Replayed:
    replayed: int | None
    found: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class _CountByType:
    type: str
    count: int


handlers = Handlers[WebhookContext]()


@handlers.handles(ListDeliveries)
async def list_deliveries(context: WebhookContext, operation: ListDeliveries) -> DeliveryPage:
    filters = {
        "before": operation.before,
        "type": operation.type,
        "callback_id": operation.event_id,
        "webhook_id": operation.webhook_id,
        "limit": operation.page_size,
    }
    instance_id = context.instance.id
    if operation.success is False:
        rows = await context.database.fetch_all(
            DeliveryAttempt, _LIST_FAILED_DELIVERIES, instance_id=instance_id, **filters
        )
    else:
        rows = await context.database.fetch_all(
            DeliveryAttempt,
            _LIST_DELIVERIES,
            instance_id=instance_id,
            delivered=operation.success,
            **filters,
        )
    return DeliveryPage(
        deliveries=tuple(rows),
        before=rows[-1].number if len(rows) == operation.page_size else None,
    )


@handlers.handles(CountReplay)
async def count_replay(context: WebhookContext, operation: CountReplay) -> ReplayCount:
    rows = await context.database.within(DatabaseDeadline.REPLAY).fetch_all(
        _CountByType,
        _COUNT_REPLAY,
        instance_id=context.instance.id,
        since=operation.since,
        until=_end_of(context, operation),
        limit=_MAX_COUNTED,
    )
    count = sum(row.count for row in rows)
    return ReplayCount(
        count=count,
        by_type={row.type: row.count for row in rows},
        has_more=count == _MAX_COUNTED,
    )


@handlers.handles(ReplayWebhooks)
async def replay(context: WebhookContext, operation: ReplayWebhooks) -> Replayed:
    until = _end_of(context, operation)
    row = await context.database.within(DatabaseDeadline.REPLAY).fetch_one(
        _Replayed,
        _REPLAY,
        instance_id=context.instance.id,
        since=operation.since,
        until=until,
        types=list(operation.types) if operation.types else None,
        webhook_id=operation.webhook_id,
        limit=_MAX_REPLAYED,
    )
    context.notifier.callbacks_written()
    assert row is not None
    return Replayed(
        replayed=row.replayed or 0,
        continue_from=row.last_at if row.found == _MAX_REPLAYED else None,
    )


def _end_of(context: WebhookContext, operation: ReplayWebhooks | CountReplay) -> datetime:
    until = operation.until or context.clock.now()
    if until <= operation.since:
        raise InvalidRequest("to: must be later than from")
    return until
