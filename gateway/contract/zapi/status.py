"""Statuses: posting one, and answering somebody else's."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator
from pydantic.json_schema import SkipJsonSchema

from gateway.contract.documented import Example
from gateway.contract.media import SOURCE, Gif, Image, MediaField, Sticker
from gateway.contract.send import MessageId, Send
from gateway.contract.wire import STATUS_BROADCAST
from gateway.contract.zapi.messages.media import Caption
from gateway.contract.zapi.messages.text import Text

_LARGEST_VIDEO_BYTES = 10 * 1024 * 1024

_Everybody = Annotated[str, BeforeValidator(lambda _named: STATUS_BROADCAST)]


class StatusPost(Send):
    """Shown to everybody for a day; whatever chat a caller names is ignored."""

    phone: SkipJsonSchema[_Everybody] = STATUS_BROADCAST


class SendTextStatus(StatusPost, path="/send-text-status"):
    """Posts a text as status."""

    message: Text

    example_minimal: ClassVar[Example] = {"message": "We are open today"}
    example: ClassVar[Example] = {**example_minimal, "priority": "high"}

    def readable_text(self) -> str | None:
        return self.message


class SendImageStatus(StatusPost, path="/send-image-status"):
    """Posts an image as a status."""

    image: Image
    caption: Caption | None = None

    example_minimal: ClassVar[Example] = {"image": "https://example.com/image.png"}
    example: ClassVar[Example] = {**example_minimal, "caption": "caption"}

    def readable_text(self) -> str | None:
        return self.caption


class SendVideoStatus(StatusPost, path="/send-video-status"):
    """Posts a video of at most 10 MB as a status."""

    video: Annotated[str, SOURCE, MediaField("video", limit_bytes=_LARGEST_VIDEO_BYTES)]
    caption: Caption | None = None

    example_minimal: ClassVar[Example] = {"video": "https://example.com/video.mp4"}
    example: ClassVar[Example] = {**example_minimal, "caption": "caption"}

    def readable_text(self) -> str | None:
        return self.caption


class StatusReply(Send):
    """Answers somebody's status in the chat with them."""

    status_message_id: MessageId

    def referred_ids(self) -> tuple[str, ...]:
        return (self.status_message_id,)


class ReplyStatusText(StatusReply, path="/reply-status-text"):
    """Answers a status with a text."""

    message: Text

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Congratulations!",
        "statusMessageId": "3EB0577D10A2B4C6D8E9F1",
    }

    def readable_text(self) -> str | None:
        return self.message


class ReplyStatusGif(StatusReply, path="/reply-status-gif"):
    """Answers a status with a GIF, which is a short MP4."""

    gif: Gif

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "gif": "https://example.com/clip.mp4",
        "statusMessageId": "3EB0577D10A2B4C6D8E9F1",
    }


class ReplyStatusSticker(StatusReply, path="/reply-status-sticker"):
    """Answers a status with a sticker."""

    sticker: Sticker

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "sticker": "https://example.com/sticker.webp",
        "statusMessageId": "3EB0577D10A2B4C6D8E9F1",
    }
