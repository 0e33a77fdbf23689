"""What the other side gets to read of a message."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.send import OutgoingMessage
from gateway.providers.sandbox.telling import WHEN_TOLD, Body, told
from gateway.sessions.provider import MessageReceived

_ENVELOPE = frozenset(OutgoingMessage.model_json_schema()["properties"])


def arrival(message: OutgoingMessage, payload: Mapping[str, Any], message_id: str) -> Body:
    """The event that tells of it; who wrote it, and in which chat, is added where it is known."""
    kind, content = content_of(message, payload)
    return told(
        MessageReceived(
            provider_message_id=message_id,
            chat="",
            sender=None,
            sender_name=None,
            from_me=False,
            at=WHEN_TOLD,
            kind=kind,
            content={kind: content},
        )
    )


def content_of(
    message: OutgoingMessage, payload: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """The key of a ReceivedCallback that names the kind, and what is below it.

    A file named like its kind becomes an address: `image` is read as `imageUrl`.
    """
    kind = type(message).kind().removeprefix("send-")
    fields = {name: value for name, value in payload.items() if name not in _ENVELOPE}
    if kind == "text":
        return kind, {"message": fields["message"]}
    if isinstance(source := fields.pop(kind, None), str):
        fields[f"{kind}Url"] = source
    return kind, fields
