"""Handlers of the further webhooks of an instance: /webhooks."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.contract.extensions.webhooks import (
    AddWebhook,
    DeleteWebhook,
    ListWebhooks,
    UpdateWebhook,
    Webhook,
    Webhooks,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.database.pool import Count, fetch_all
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.errors import AddressRefused, Conflict, InvalidRequest, NotFound
from gateway.instances.tokens import TokenVault
from gateway.webhooks.operations import WebhookContext
from gateway.webhooks.secrets import SealedWebhook

_LIST = query("webhooks", "list_webhooks")
_FIND = query("webhooks", "find_webhook")
_LOCK_INSTANCE = query("webhooks", "lock_instance_for_webhooks")
_COUNT = query("webhooks", "count_webhooks")
_ADD = query("webhooks", "add_webhook")
_UPDATE = query("webhooks", "update_webhook")
_DELETE = query("webhooks", "delete_webhook")

_MAX_WEBHOOKS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWebhook(SealedWebhook):
    """A further webhook as a test of it needs it."""

    url: str


handlers = Handlers[WebhookContext]()


@handlers.handles(ListWebhooks)
async def list_webhooks(context: WebhookContext, _operation: ListWebhooks) -> Webhooks:
    return Webhooks(webhooks=tuple(await _list(context)))


@handlers.handles(AddWebhook)
async def add_webhook(context: WebhookContext, operation: AddWebhook) -> Webhook:
    _check_url(context, operation.url)
    webhook_id, instance_id = uuid.uuid4(), context.instance.id
    row = {
        "id": webhook_id,
        "instance_id": instance_id,
        "url": operation.url,
        "types": list(operation.types) or None,
        "enabled": operation.enabled,
        **_sealed_headers(context.vault, operation.sent_headers),
        **_sealed_secret(context.vault, operation.secret),
    }

    async def write(_is_repeated: bool) -> None:  # noqa: FBT001 - see until_answered
        async with context.database.transaction() as connection:
            await connection.execute(_LOCK_INSTANCE, {"instance_id": instance_id})
            (others,) = await fetch_all(
                connection, Count, _COUNT, instance_id=instance_id, id=webhook_id
            )
            if others.count >= _MAX_WEBHOOKS:
                raise Conflict(f"An instance has {_MAX_WEBHOOKS} further webhooks at most")
            await connection.execute(_ADD, row)

    # A caller who repeated it would have two webhooks, and get every callback twice.
    await until_answered(write)
    return await _shown(context, webhook_id)


@handlers.handles(UpdateWebhook)
async def update_webhook(context: WebhookContext, operation: UpdateWebhook) -> Webhook:
    if operation.url is not None:
        _check_url(context, operation.url)
    headers = _sealed_headers(context.vault, operation.sent_headers or {})
    secret = _sealed_secret(context.vault, operation.secret or "")
    await context.database.execute(
        _UPDATE,
        id=operation.webhook_id,
        instance_id=context.instance.id,
        url=operation.url,
        enabled=operation.enabled,
        types=list(operation.types or ()) or None,
        sets_types=operation.types is not None,
        sets_headers=operation.sent_headers is not None,
        sets_secret=operation.secret is not None,
        header_names=headers["header_names"],
        headers_ciphertext=headers["headers_ciphertext"],
        headers_key_id=headers["headers_key_id"],
        secret_ciphertext=secret["secret_ciphertext"],
        secret_key_id=secret["secret_key_id"],
    )
    context.notifier.callbacks_written()
    return await _shown(context, operation.webhook_id)


@handlers.handles(DeleteWebhook)
async def delete_webhook(context: WebhookContext, operation: DeleteWebhook) -> Value:
    if not await context.database.execute(
        _DELETE, instance_id=context.instance.id, id=operation.webhook_id
    ):
        raise NotFound("Webhook not found")
    context.notifier.callbacks_written()
    return Value()


async def find_webhook(context: WebhookContext, webhook_id: uuid.UUID) -> FoundWebhook:
    """Returns a further webhook; raises NotFound if the instance has none with this id."""
    found = await context.database.fetch_one(
        FoundWebhook, _FIND, instance_id=context.instance.id, id=webhook_id
    )
    if found is None:
        raise NotFound("Webhook not found")
    return found


def _check_url(context: WebhookContext, url: str) -> None:
    try:
        context.policy.check_url(url)
    except AddressRefused as error:
        raise InvalidRequest(f"url: {error}") from None


async def _shown(context: WebhookContext, webhook_id: uuid.UUID) -> Webhook:
    found = await _list(context, webhook_id)
    if not found:
        raise NotFound("Webhook not found")
    return found[0]


async def _list(context: WebhookContext, webhook_id: uuid.UUID | None = None) -> list[Webhook]:
    return await context.database.fetch_all(
        Webhook, _LIST, instance_id=context.instance.id, id=webhook_id
    )


def _sealed_headers(vault: TokenVault, headers: Mapping[str, str]) -> dict[str, Any]:
    sealed = vault.seal(orjson.dumps(dict(headers)).decode()) if headers else None
    return {
        "header_names": list(headers),
        "headers_ciphertext": sealed and sealed.ciphertext,
        "headers_key_id": sealed and sealed.key_id,
    }


def _sealed_secret(vault: TokenVault, secret: str) -> dict[str, Any]:
    sealed = vault.seal(secret) if secret else None
    return {
        "secret_ciphertext": sealed and sealed.ciphertext,
        "secret_key_id": sealed and sealed.key_id,
    }
