"""How an event is kept until it was told, and read back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    ConnectionChanged,
    Event,
    MessageAcknowledged,
    MessageReceived,
    ReceivedFile,
)

Body = Mapping[str, Any]


def connection_version(body: Body) -> int | None:
    """Which change of the phone it tells; None when it tells something else."""
    return int(body["version"]) if body["kind"] == "connection" else None


def received(
    *,
    message_id: str,
    chat: str,
    sender: str | None,
    sender_name: str | None,
    kind: str,
    content: Mapping[str, Any],
    file: Mapping[str, Any] | None = None,
) -> Body:
    """A message to be told; without a sender it was written on the phone itself."""
    return {
        "kind": "message",
        "messageId": message_id,
        "chat": chat,
        "sender": sender,
        "senderName": sender_name,
        "type": kind,
        "content": {kind: content},
        "file": file,
    }


def told(event: MessageReceived) -> Body:
    """A message to be told; its time is that of the telling."""
    return {
        "kind": "message",
        "messageId": event.provider_message_id,
        "chat": event.chat,
        "sender": event.sender,
        "senderName": event.sender_name,
        "type": event.kind,
        "content": event.content,
        "quoted": event.quoted_provider_id,
        "refersTo": event.refers_to,
    }


def notification(
    name: str,
    *,
    notification_id: str,
    chat: str,
    by: str | None,
    parameters: Sequence[str] = (),
    **further: str,
) -> Body:
    """Something WhatsApp says of a chat by itself, such as GROUP_PARTICIPANT_ADD."""
    return {
        "kind": "message",
        "messageId": notification_id,
        "chat": chat,
        "sender": by or "",
        "senderName": None,
        "type": "notification",
        "content": {
            "notification": name,
            "notificationParameters": list(parameters),
            **further,
        },
    }


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
        case "message":
            return MessageReceived(
                provider_message_id=body["messageId"],
                chat=body["chat"],
                sender=body["sender"] or None,
                sender_name=body["senderName"],
                from_me=body["sender"] is None,
                at=at,
                kind=body["type"],
                content=body["content"],
                quoted_provider_id=body.get("quoted"),
                refers_to=body.get("refersTo"),
                files=_files(body),
            )
        case kind:
            raise ValueError(f"an event of kind {kind!r} was kept")


def _files(body: Body) -> tuple[ReceivedFile, ...]:
    kind, file = body["type"], body.get("file")
    if file is None:
        return ()
    return (ReceivedFile(file["source"], (kind, f"{kind}Url"), file["name"]),)


def connection(state: ConnectionState, at: datetime, phone: str) -> ConnectionChanged:
    """A state, with the number where one is linked."""
    linked = state in {ConnectionState.CONNECTED, ConnectionState.DISCONNECTED}
    return ConnectionChanged(
        state=state,
        at=at,
        phone=phone if linked else None,
        reason=None if state is ConnectionState.CONNECTED else state.sentence,
    )
