"""Processes states: of the connection and of people (presence)."""

from typing import Final, cast

from gateway.clock import epoch_ms
from gateway.contract.callbacks import (
    CONNECTION_CHAT,
    Callback,
    ConnectedCallback,
    DisconnectedCallback,
    Presence,
    PresenceChatCallback,
    ProxyFailureCallback,
)
from gateway.contract.spellings import is_group
from gateway.database.pool import fetch_all
from gateway.database.queries import query
from gateway.identities.people import person, resolve_people
from gateway.instances.connections import Connection
from gateway.sessions.connection import ConnectionState
from gateway.sessions.events import (
    ConnectionChanged,
    PresenceChanged,
)
from gateway.sessions.inbound.event_context import EventContext
from gateway.sessions.reachability import NetworkFault

_FIND_CONNECTION = query("instances", "find_connection")
_RECORD_CONNECTION = query("sessions", "record_connection")
_ORDINARY: Final = frozenset(
    {ConnectionState.CONNECTED, ConnectionState.CONNECTING, ConnectionState.UNPAIRED}
)


async def process_connection(context: EventContext, event: ConnectionChanged) -> None:
    await _report_proxy(context, event)
    instance_id, momment = context.instance.id, epoch_ms(event.at)
    phone = event.phone or context.own_phone
    if event.lid and event.phone:  # the gateway's own messages name it
        own = person(event.phone, event.lid)
        await resolve_people(context.connection, instance_id, [own])
    callback: Callback
    if event.state is ConnectionState.CONNECTED:
        kind = "ConnectedCallback"
        callback = ConnectedCallback(instance_id=instance_id, momment=momment, phone=phone)
    else:
        kind = "DisconnectedCallback"
        callback = DisconnectedCallback(
            instance_id=instance_id,
            momment=momment,
            error=event.reason or event.state.sentence,
            phone=phone,
        )
    await context.connection.execute(
        _RECORD_CONNECTION,
        {
            "instance_id": instance_id,
            "epoch": context.epoch,
            "state": event.state.value,
            "phone": event.phone,
            "reason": event.reason,
            "error": _error_of(event),
            "at": event.at,
            "chat": CONNECTION_CHAT,
            "type": kind,
            "callback_id": context.outbox.new_id(),
            "callback": callback.body(),
        },
    )


def _error_of(event: ConnectionChanged) -> str | None:
    """Returns what went wrong; a state such as that no phone is linked is no error."""
    if event.state in _ORDINARY and event.reason in (None, event.state.sentence):
        return None
    return event.reason or event.state.sentence


async def _report_proxy(context: EventContext, event: ConnectionChanged) -> None:
    """Reports a proxy that fails, unless the state before has the same reason."""
    if not NetworkFault.PROXY.is_in(event.reason):
        return
    instance_id = context.instance.id
    known = await fetch_all(
        context.connection, Connection, _FIND_CONNECTION, instance_id=instance_id
    )
    if any(before.reason == event.reason for before in known):
        return
    callback = ProxyFailureCallback(
        instance_id=instance_id, momment=epoch_ms(event.at), error=event.reason or ""
    )
    await context.outbox.enqueue_within(
        context.connection, instance_id, CONNECTION_CHAT, callback.type, callback.body()
    )


async def process_presence(context: EventContext, event: PresenceChanged) -> None:
    chat, chat_lid = event.chat, event.chat_lid
    if not is_group(chat):
        (person_of_chat,) = await resolve_people(
            context.connection, context.instance.id, [person(event.chat, event.chat_lid)]
        )
        chat, chat_lid = person_of_chat.chat or chat, person_of_chat.lid
    callback = PresenceChatCallback(
        instance_id=context.instance.id,
        phone=chat,
        status=cast("Presence", event.status.upper()),
        last_seen=epoch_ms(event.last_seen) if event.last_seen else None,
        chat_lid=chat_lid,
    )
    await context.outbox.enqueue_within(
        context.connection, context.instance.id, chat, callback.type, callback.body()
    )
