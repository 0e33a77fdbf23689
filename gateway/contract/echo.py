"""What a ReceivedCallback shows of a message that the API has sent (`notifySentByMe`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.contract.known import KnownMessage

Content = Mapping[str, Any]
"""The part of a ReceivedCallback that names the kind of the message: one key, such as `text`."""


@dataclass(frozen=True, slots=True)
class EchoContext:
    """What the gateway knows of a sent message beyond the fields of its request.

    Attributes:
        message_id: the id of the sent message.
        at_ms: when the provider accepted it, in milliseconds.
        referred: the earlier messages that it names, by their ids.
    """

    message_id: str
    at_ms: int
    referred: Mapping[str, KnownMessage] = field(default_factory=dict)

    def reference_to(self, message_id: str, chat: str) -> Content:
        """The value of `referencedMessage`; *chat* counts where the message is not known."""
        known = self.referred.get(message_id)
        if known is None:
            return {"messageId": message_id, "phone": chat}
        return {
            "messageId": message_id,
            "fromMe": known.from_me,
            "phone": known.chat,
            "participant": known.sender if known.sender != known.chat else None,
        }


def public_url(source: str | None) -> str | None:
    """The address of a file; None where the message carried the file itself."""
    return source if source and source.startswith(("https:", "http:")) else None


def file_content(
    key: str,
    source: str | None,
    *,
    mime_type: str | None = None,
    caption: str | None = None,
    view_once: bool | None = None,
    file_name: str | None = None,
) -> Content:
    """The content of a message whose main part is a file."""
    return {
        key: {
            f"{key}Url": public_url(source),
            "mimeType": mime_type,
            "caption": caption,
            "viewOnce": view_once,
            "fileName": file_name,
        }
    }
