"""What a ReceivedCallback shows of a message that the API has sent (`notifySentByMe`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile

Content = Mapping[str, Any]
"""The part of a ReceivedCallback that names the kind of the message: one key, such as `text`."""


VOICE_TYPE: Final = "audio/ogg; codecs=opus"
"""The type of every voice note: other sounds are converted to it."""


@dataclass(frozen=True, slots=True)
class EchoContext:
    """What the gateway knows of a sent message beyond the fields of its request.

    Attributes:
        message_id: the id of the sent message.
        at_ms: when the provider accepted it, in milliseconds.
        referred: the earlier messages that it names, by their ids.
        files: the files that were sent, by the texts that name them in the stored message.
        link_to: returns the link to a stored file that such a text names.
    """

    message_id: str
    at_ms: int
    referred: Mapping[str, KnownMessage] = field(default_factory=dict)
    files: Mapping[str, MediaFile] = field(default_factory=dict)
    link_to: Callable[[str], str | None] = lambda _source: None

    def url_of(self, source: str | None) -> str | None:
        """The address of a file: the caller's own, or the link to what the caller uploaded."""
        if not source:
            return None
        is_url = source[:8].lower().startswith(("https://", "http://"))
        return source if is_url else self.link_to(source)

    def file_content(
        self,
        key: str,
        source: str | None,
        *,
        usual_type: str | None = None,
        caption: str | None = None,
        view_once: bool | None = None,
        file_name: str | None = None,
    ) -> Content:
        """The content of a message whose main part is a file.

        Its type and measures are those of the file that was sent, after a conversion. `usual_type`
        counts where that file is not known, as for a forwarded message. The edit of a caption has
        no file.
        """
        sent = self.files.get(source) if source else None
        mime_type = sent.mime_type if sent else usual_type if source else None
        is_voice = key == "audio" and (mime_type or "").startswith("audio/ogg")
        return {
            key: {
                f"{key}Url": self.url_of(source),
                "mimeType": VOICE_TYPE if is_voice else mime_type,
                "caption": caption,
                "viewOnce": view_once,
                "fileName": file_name,
                **(_measures(key, sent) if sent else {}),
            }
        }

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


def _measures(key: str, sent: MediaFile) -> Content:
    """The size in pixels and the length in seconds, where a callback of this kind has them."""
    measures: dict[str, int | None] = {}
    if key in {"image", "video"}:
        measures |= {"width": sent.width, "height": sent.height}
    if key in {"audio", "video"} and sent.duration_seconds is not None:
        measures["seconds"] = round(sent.duration_seconds)
    return measures
