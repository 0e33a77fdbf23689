"""Answers to the routes that set webhook addresses."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.webhooks import (
    SetEveryWebhook,
    SetNotifySentByMe,
    SetReceivedDeliveryWebhook,
    SetWebhook,
)
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import AddressRefused, InvalidRequest
from gateway.instances.store import Instance
from gateway.instances.tokens import TokenVault
from gateway.public_address import AddressPolicy
from gateway.webhooks.posting import Poster

_SET_ADDRESSES = query("webhooks", "set_addresses")
_KINDS = ("received", "delivery", "message_status", "connected", "disconnected", "presence_chat")


@dataclass(frozen=True, slots=True)
class WebhookDesk:
    """What the answers are made from."""

    database: Database
    policy: AddressPolicy
    poster: Poster
    vault: TokenVault
    clock: Clock
    told: Callable[[], None]
    instance: Instance


handlers = Handlers[WebhookDesk]()


@handlers.handles(SetWebhook)
async def set_webhook(desk: WebhookDesk, operation: SetWebhook) -> Value:
    return await _set(desk, operation, notify_sent_by_me=None)


@handlers.handles(SetReceivedDeliveryWebhook)
async def set_received_delivery(desk: WebhookDesk, operation: SetReceivedDeliveryWebhook) -> Value:
    return await _set(desk, operation, notify_sent_by_me=True)


@handlers.handles(SetEveryWebhook)
async def set_every(desk: WebhookDesk, operation: SetEveryWebhook) -> Value:
    return await _set(desk, operation, notify_sent_by_me=operation.notify_sent_by_me)


@handlers.handles(SetNotifySentByMe)
async def set_notify_sent_by_me(desk: WebhookDesk, operation: SetNotifySentByMe) -> Value:
    await _write(desk, {}, notify_sent_by_me=operation.notify_sent_by_me)
    return Value()


async def _set(
    desk: WebhookDesk, operation: SetWebhook, *, notify_sent_by_me: bool | None
) -> Value:
    if operation.value:
        try:
            desk.policy.check_url(operation.value)
        except AddressRefused as error:
            raise InvalidRequest(f"value: {error}") from None
    addresses = dict.fromkeys(operation.sets, operation.value)
    await _write(desk, addresses, notify_sent_by_me=notify_sent_by_me)
    return Value()


async def _write(
    desk: WebhookDesk, addresses: dict[str, str], *, notify_sent_by_me: bool | None
) -> None:
    await desk.database.execute(
        _SET_ADDRESSES,
        instance_id=desk.instance.id,
        notify_sent_by_me=notify_sent_by_me,
        **{kind: addresses.get(kind) for kind in _KINDS},
    )
    desk.told()
