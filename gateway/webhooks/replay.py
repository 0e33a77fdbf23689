"""Handlers of /webhooks: the log of deliveries, replay, and a test delivery."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from gateway.contract.extensions.replay import (
    CallbackType,
    CountReplay,
    DeliveryAttempt,
    DeliveryPage,
    ListDeliveries,
    ReplayCount,
    Replayed,
    ReplayWebhooks,
    TestResult,
    TestWebhook,
)
from gateway.contract.handlers import Handlers
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.queries import query
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.instances.tokens import Sealed
from gateway.webhooks.further_webhooks import find_webhook
from gateway.webhooks.operations import WebhookContext
from gateway.webhooks.posting import WebhookRequest, target_of
from gateway.webhooks.secrets import SealedSecrets

_LIST_DELIVERIES = query("webhooks", "list_deliveries")
_LIST_FAILED_DELIVERIES = query("webhooks", "list_failed_deliveries")
_REPLAY = query("webhooks", "replay")
_COUNT_REPLAY = query("webhooks", "count_replay")
_FIND_SECRETS = query("webhooks", "find_secrets")

_MAX_REPLAYED = 10_000
_MAX_COUNTED = 100_000
_MESSAGE = {"messageId": "3EB00000000000000000"}
_SAMPLES: Final[Mapping[CallbackType, Mapping[str, object]]] = {
    "ReceivedCallback": {
        **_MESSAGE,
        "fromMe": False,
        "isGroup": False,
        "status": "RECEIVED",
        "text": {"message": "A test of this webhook"},
    },
    "DeliveryCallback": {**_MESSAGE, "zaapId": "00000000000000000000000000000000"},
    "MessageStatusCallback": {
        **_MESSAGE,
        "ids": [_MESSAGE["messageId"]],
        "status": "READ",
        "phoneDevice": 0,
        "isGroup": False,
    },
    "ConnectedCallback": {"connected": True},
    "DisconnectedCallback": {"disconnected": True, "error": "A test of this webhook"},
    "PresenceChatCallback": {"status": "AVAILABLE"},
    "HistorySyncCallback": {"event": "history-sync", "isGroup": False, "messages": []},
    "ProxyFailureCallback": {"error": "A test of this webhook"},
}


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


@handlers.handles(TestWebhook)
async def test_webhook(context: WebhookContext, operation: TestWebhook) -> TestResult:
    if operation.webhook_id is None:
        request = await _test_of_own(context, operation.type)
    else:
        request = await _test_of_further(context, operation.type, operation.webhook_id)
    context.count_test(context.instance.account_id)
    result = await context.poster.post(request)
    return TestResult(
        value=result.delivered,
        event_id=request.id,
        target=target_of(request.url),
        status=result.status,
        error=result.error,
        answer=result.answer,
        duration_ms=round(result.seconds * 1000),
    )


async def _test_of_own(context: WebhookContext, kind: CallbackType) -> WebhookRequest:
    url = _url(context.instance, kind)
    if url is None:
        raise InvalidRequest(f"No webhook is set for {kind}")
    sealed = Sealed(context.instance.token_key_id, context.instance.token_ciphertext)
    secrets = await context.database.fetch_one(
        SealedSecrets, _FIND_SECRETS, account_id=context.instance.account_id
    )
    return WebhookRequest(
        uuid.uuid4(),
        url,
        _sample(context, kind),
        context.vault.open(sealed),
        secrets.open(context.vault) if secrets else (),
        owner=context.instance.account_id,
    )


async def _test_of_further(
    context: WebhookContext, kind: CallbackType, webhook_id: uuid.UUID
) -> WebhookRequest:
    webhook = await find_webhook(context, webhook_id)
    return WebhookRequest(
        uuid.uuid4(),
        webhook.url,
        _sample(context, kind),
        None,
        webhook.open_signing(context.vault),
        webhook.open_headers(context.vault),
        owner=context.instance.account_id,
    )


def _url(instance: Instance, kind: CallbackType) -> str | None:
    url: str | None = getattr(instance, _URLS[kind])
    return url


_URLS: Final[Mapping[CallbackType, str]] = {
    "ReceivedCallback": "received_callback_url",
    "DeliveryCallback": "delivery_callback_url",
    "MessageStatusCallback": "message_status_callback_url",
    "ConnectedCallback": "connected_callback_url",
    "DisconnectedCallback": "disconnected_callback_url",
    "PresenceChatCallback": "presence_chat_callback_url",
    "HistorySyncCallback": "history_sync_url",
    "ProxyFailureCallback": "proxy_url",
}


def _sample(context: WebhookContext, kind: CallbackType) -> str:
    body = {
        "type": kind,
        "test": True,
        "instanceId": context.instance.id,
        "phone": "5511999999999",
        "momment": context.clock.now_ms(),
        **_SAMPLES[kind],
    }
    return orjson.dumps(body).decode()
