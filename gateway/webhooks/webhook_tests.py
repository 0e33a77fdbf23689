"""Handler of /webhooks/test, which waits for a receiver."""

import uuid
from collections.abc import Mapping
from typing import Final

import orjson

from gateway.contract.extensions.replay import CallbackType, TestResult, TestWebhook
from gateway.contract.handlers import Handlers
from gateway.database.queries import query
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.instances.tokens import Sealed
from gateway.webhooks.further_webhooks import find_webhook
from gateway.webhooks.operations import WebhookContext
from gateway.webhooks.posting import WebhookRequest, target_of
from gateway.webhooks.secrets import SealedSecrets

_FIND_SECRETS = query("webhooks", "find_secrets")

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

handlers = Handlers[WebhookContext]()


@handlers.handles(TestWebhook)
async def test_webhook(context: WebhookContext, operation: TestWebhook) -> TestResult:
    context.count_test(context.instance.account_id)  # before it costs a statement
    if operation.webhook_id is None:
        request = await _test_of_own(context, operation.type)
    else:
        request = await _test_of_further(context, operation.type, operation.webhook_id)
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
