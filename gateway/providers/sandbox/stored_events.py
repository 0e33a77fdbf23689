"""Writes an event as JSON for `sandbox.events`, and reads it back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.contract.callbacks import NotificationCode
from gateway.providers.sandbox.numbers import lid_of
from gateway.sessions.connection import ConnectionState
from gateway.sessions.events import event_from, stored_event
from gateway.sessions.provider import ConnectionChanged, Event, MessageAcknowledged, Notified

Body = Mapping[str, Any]

WHEN_DUE = datetime.fromtimestamp(0, UTC)
"""A placeholder: the time of an event is the time at which it is due."""


def connection_version(body: Body) -> int | None:
    """Returns the version of the phone in a connection event; None for other events."""
    return int(body["version"]) if body["kind"] == "connection" else None


def event_body(event: Event) -> Body:
    """Returns the JSON of an event; its time becomes the time at which it is due."""
    return {"kind": "event", "event": stored_event(event)}


def notification(
    code: NotificationCode,
    *,
    notification_id: str,
    chat: str,
    by: str,
    parameters: Sequence[str] = (),
    **details: str,
) -> Body:
    """Returns the JSON of a notification of a chat, such as GROUP_PARTICIPANT_ADD."""
    return event_body(
        Notified(
            code=code,
            chat=chat,
            at=WHEN_DUE,
            provider_message_id=notification_id,
            parameters=tuple(parameters),
            details=details or None,
            by=by,
            from_me=by == chat,
        )
    )


def event_of(body: Body, at: datetime) -> Event:
    match body["kind"]:
        case "connection":
            return connection(ConnectionState(body["state"]), at, body["phone"])
        case "receipt":
            return MessageAcknowledged(
                provider_message_ids=(body["messageId"],),
                chat=body["chat"],
                status=body["status"],
                at=at,
            )
        case "event":
            return replace(event_from(body["event"]), at=at)
        case kind:
            raise ValueError(f"an event of kind {kind!r} is stored")


def connection(state: ConnectionState, at: datetime, phone: str) -> ConnectionChanged:
    """Returns the event of a state, with the number if one is linked."""
    linked = state in {ConnectionState.CONNECTED, ConnectionState.DISCONNECTED}
    return ConnectionChanged(
        state=state,
        at=at,
        phone=phone if linked else None,
        reason=None if state is ConnectionState.CONNECTED else state.sentence,
        lid=lid_of(phone) if linked else None,
    )
