"""Handlers of /me, renaming and the switches of an instance."""

from dataclasses import dataclass
from datetime import UTC

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.instance_queue import SetQueueSettings
from gateway.contract.zapi.instances import (
    InstanceSwitch,
    Me,
    ReadMe,
    Rename,
    SetCallRejectMessage,
)
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import UnknownInstance
from gateway.instances.connections import connection_of
from gateway.instances.store import Instance
from gateway.instances.terms import due_ms, payment_status
from gateway.instances.tokens import Sealed, TokenVault

_FIND_INSTANCE = query("instances", "find_instance")
_FIND_INITIAL_DATA_ADDRESS = query("instances", "find_initial_data_address")
_RENAME_INSTANCE = query("instances", "rename_instance")
_SET_SWITCHES = query("instances", "set_switches")
_SWITCHES = (
    "auto_read_message",
    "auto_read_status",
    "call_reject_auto",
    "call_reject_message",
    "disable_enqueue_when_disconnected",
)


@dataclass(frozen=True, slots=True)
class InstanceContext:
    """What the handlers need. *instance* comes from a cache and may be a moment old."""

    database: Database
    vault: TokenVault
    instance: Instance


@dataclass(frozen=True, slots=True)
class _InitialData:
    url: str


handlers = Handlers[InstanceContext]()


@handlers.handles(ReadMe)
async def read_me(context: InstanceContext, _operation: ReadMe) -> Me:
    instance = await context.database.fetch_one(Instance, _FIND_INSTANCE, id=context.instance.id)
    if instance is None:
        raise UnknownInstance
    initial_data = await context.database.fetch_one(
        _InitialData, _FIND_INITIAL_DATA_ADDRESS, id=instance.id
    )
    connection = await connection_of(context.database, instance.id)
    return Me(
        id=instance.id,
        token=context.vault.open(Sealed(instance.token_key_id, instance.token_ciphertext)),
        name=instance.name,
        due=due_ms(instance),
        connected=connection.connected,
        payment_status=payment_status(instance),
        created=instance.created_at.astimezone(UTC),
        connected_callback_url=instance.connected_callback_url,
        delivery_callback_url=instance.delivery_callback_url,
        disconnected_callback_url=instance.disconnected_callback_url,
        message_status_callback_url=instance.message_status_callback_url,
        presence_chat_callback_url=instance.presence_chat_callback_url,
        received_callback_url=instance.received_callback_url,
        receive_callback_sent_by_me=instance.notify_sent_by_me,
        call_reject_auto=instance.call_reject_auto,
        call_reject_message=instance.call_reject_message,
        auto_read_message=instance.auto_read_message,
        initial_data_callback_url=initial_data.url if initial_data else None,
        message_filters=instance.message_filters,
        callback_type_filters=instance.callback_type_filters,
    )


@handlers.handles(Rename)
async def rename(context: InstanceContext, operation: Rename) -> Value:
    if not await context.database.execute(
        _RENAME_INSTANCE, id=context.instance.id, name=operation.value
    ):
        raise UnknownInstance
    return Value()


@handlers.handles(InstanceSwitch)
async def set_switch(context: InstanceContext, operation: InstanceSwitch) -> Value:
    return await _set(context, operation.column, operation.value)


@handlers.handles(SetCallRejectMessage)
async def set_call_reject_message(
    context: InstanceContext, operation: SetCallRejectMessage
) -> Value:
    return await _set(context, "call_reject_message", operation.value)


@handlers.handles(SetQueueSettings)
async def set_queue_settings(context: InstanceContext, operation: SetQueueSettings) -> Value:
    column = "disable_enqueue_when_disconnected"
    return await _set(context, column, operation.disable_enqueue_when_disconnected)


async def _set(context: InstanceContext, column: str, value: object) -> Value:
    columns = dict.fromkeys(_SWITCHES) | {column: value}
    if not await context.database.execute(_SET_SWITCHES, id=context.instance.id, **columns):
        raise UnknownInstance
    return Value()
