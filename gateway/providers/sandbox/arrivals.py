"""What the other side gets to read of a message."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.send import Send
from gateway.providers.sandbox.telling import Body

_ENVELOPE = frozenset(Send.model_json_schema()["properties"])


def arrival(message: Send, payload: Mapping[str, Any], message_id: str) -> Body:
    """The event that tells of it; who wrote it, and in which chat, is added where it is known."""
    kind, content = content_of(message, payload)
    return {
        "kind": "message",
        "messageId": message_id,
        "senderName": None,
        "type": kind,
        "content": {kind: content},
    }


def content_of(message: Send, payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
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
