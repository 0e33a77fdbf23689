"""How an event is kept until it was told, and read back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.contract.callbacks import NotificationCode
from gateway.sessions.connection import ConnectionState
from gateway.sessions.events import event_from, stored_event
from gateway.sessions.provider import ConnectionChanged, Event, MessageAcknowledged, Notified

Body = Mapping[str, Any]

WHEN_TOLD = datetime.fromtimestamp(0, UTC)  # the time of an event is that of its telling


def connection_version(body: Body) -> int | None:
    """Which change of the phone it tells; None when it tells something else."""
    return int(body["version"]) if body["kind"] == "connection" else None


def told(event: Event) -> Body:
    """An event to be told; its time is that of the telling."""
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
    """Something WhatsApp says of a chat by itself, such as GROUP_PARTICIPANT_ADD."""
    return told(
        Notified(
            code=code,
            chat=chat,
            at=WHEN_TOLD,
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
            raise ValueError(f"an event of kind {kind!r} was kept")


def connection(state: ConnectionState, at: datetime, phone: str) -> ConnectionChanged:
    """A state, with the number where one is linked."""
    linked = state in {ConnectionState.CONNECTED, ConnectionState.DISCONNECTED}
    return ConnectionChanged(
        state=state,
        at=at,
        phone=phone if linked else None,
        reason=None if state is ConnectionState.CONNECTED else state.sentence,
    )
