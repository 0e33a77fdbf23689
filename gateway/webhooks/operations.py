"""Handlers of the routes that set the webhooks of an instance."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.contract.extensions.webhooks import SetInitialDataWebhook
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.webhooks import (
    SetEveryWebhook,
    SetFilters,
    SetNotifySentByMe,
    SetReceivedDeliveryWebhook,
    SetWebhook,
)
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import AddressRefused, InvalidRequest, UnknownInstance
from gateway.instances.store import Instance
from gateway.instances.tokens import TokenVault
from gateway.public_address import AddressPolicy
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.posting import Poster

_SET_ADDRESSES = query("webhooks", "set_addresses")
_SET_INITIAL_DATA_ADDRESS = query("webhooks", "set_initial_data_address")
_SET_CALLBACK_SETTINGS = query("webhooks", "set_callback_settings")
_SETTINGS = ("history_sync", "proxy", "message_filters", "callback_type_filters")
_KINDS = ("received", "delivery", "message_status", "connected", "disconnected", "presence_chat")


@dataclass(frozen=True, slots=True)
class WebhookContext:
    """The dependencies of this package's handlers, and the instance of the request.

    `count_test` counts a test of an account, or raises TooManyRequests.
    """

    database: Database
    policy: AddressPolicy
    poster: Poster
    vault: TokenVault
    clock: Clock
    notifier: CallbackNotifier
    count_test: Callable[[str], None]
    instance: Instance


handlers = Handlers[WebhookContext]()


@handlers.handles(SetWebhook)
async def set_webhook(context: WebhookContext, operation: SetWebhook) -> Value:
    return await _set_webhook(context, operation, notify_sent_by_me=None)


@handlers.handles(SetInitialDataWebhook)
async def set_initial_data(context: WebhookContext, operation: SetInitialDataWebhook) -> Value:
    _check(context, operation.value)
    await context.database.execute(
        _SET_INITIAL_DATA_ADDRESS, instance_id=context.instance.id, url=operation.value
    )
    return Value()


@handlers.handles(SetReceivedDeliveryWebhook)
async def set_received_delivery(
    context: WebhookContext, operation: SetReceivedDeliveryWebhook
) -> Value:
    return await _set_webhook(context, operation, notify_sent_by_me=True)


@handlers.handles(SetEveryWebhook)
async def set_every(context: WebhookContext, operation: SetEveryWebhook) -> Value:
    return await _set_webhook(context, operation, notify_sent_by_me=operation.notify_sent_by_me)


@handlers.handles(SetNotifySentByMe)
async def set_notify_sent_by_me(context: WebhookContext, operation: SetNotifySentByMe) -> Value:
    await _store(context, {}, notify_sent_by_me=operation.notify_sent_by_me)
    return Value()


async def _set_webhook(
    context: WebhookContext, operation: SetWebhook, *, notify_sent_by_me: bool | None
) -> Value:
    _check(context, operation.value)
    addresses = dict.fromkeys(operation.sets, operation.value)
    if not addresses.keys() <= {*_KINDS}:
        return await _store_settings(context, **addresses)
    await _store(context, addresses, notify_sent_by_me=notify_sent_by_me)
    return Value()


def _check(context: WebhookContext, address: str) -> None:
    """Raises InvalidRequest if callbacks may not be posted there; an empty address is allowed."""
    if address:
        try:
            context.policy.check_url(address)
        except AddressRefused as error:
            raise InvalidRequest(f"value: {error}") from None


@handlers.handles(SetFilters)
async def set_filters(context: WebhookContext, operation: SetFilters) -> Value:
    given = operation.model_dump(exclude_none=True)
    return await _store_settings(
        context, **{name: list(dict.fromkeys(values)) for name, values in given.items()}
    )


async def _store_settings(context: WebhookContext, **settings: str | list[str]) -> Value:
    stored = await context.database.execute(
        _SET_CALLBACK_SETTINGS,
        instance_id=context.instance.id,
        **{name: settings.get(name) for name in _SETTINGS},
    )
    if not stored:
        raise UnknownInstance
    context.notifier.callbacks_written()
    return Value()


async def _store(
    context: WebhookContext, addresses: dict[str, str], *, notify_sent_by_me: bool | None
) -> None:
    await context.database.execute(
        _SET_ADDRESSES,
        instance_id=context.instance.id,
        notify_sent_by_me=notify_sent_by_me,
        **{kind: addresses.get(kind) for kind in _KINDS},
    )
    context.notifier.callbacks_written()
