"""The event that the recipient of a message gets."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.send import OutgoingMessage
from gateway.providers.sandbox.simulated_events import expiration_of
from gateway.providers.sandbox.stored_events import WHEN_DUE, Body, event_body
from gateway.sessions.provider import MessageReceived

_ENVELOPE = frozenset(OutgoingMessage.model_json_schema()["properties"])


def remote_message_of(
    message: OutgoingMessage, payload: Mapping[str, Any], message_id: str
) -> Body:
    """Returns the event of a message; `accept_message` in sandbox.sql adds its sender and chat."""
    kind, content = content_of(message, payload)
    return event_body(
        MessageReceived(
            provider_message_id=message_id,
            chat="",
            sender=None,
            sender_name=None,
            from_me=False,
            at=WHEN_DUE,
            kind=kind,
            content={kind: content},
            expiration_seconds=expiration_of(kind),
        )
    )


def content_of(
    message: OutgoingMessage, payload: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Returns the key of a ReceivedCallback that names the kind, and its value.

    The file of a message becomes a URL: `image` is read as `imageUrl`.
    """
    kind = type(message).kind().removeprefix("send-")
    fields = {name: value for name, value in payload.items() if name not in _ENVELOPE}
    if kind == "text":
        return kind, {"message": fields["message"]}
    if isinstance(source := fields.pop(kind, None), str):
        fields[f"{kind}Url"] = source
    return kind, fields
