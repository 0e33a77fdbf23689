"""Statuses: posting one, and answering one of a contact."""

from typing import Annotated, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.known import KnownMessage, assumed_message
from gateway.contract.limits import Limit, max_characters
from gateway.contract.media import SOURCE, Gif, Image, MediaField, Sticker
from gateway.contract.send import MessageId, OutgoingMessage
from gateway.contract.spellings import STATUS_BROADCAST
from gateway.contract.whatsapp_limits import MAX_STATUS_TEXT_LENGTH
from gateway.contract.zapi.messages.media import Caption
from gateway.contract.zapi.messages.text import MessageText

_MAX_VIDEO_BYTES = 10 * 1024 * 1024

_Everybody = Annotated[str, BeforeValidator(lambda _named: STATUS_BROADCAST)]


class StatusPost(OutgoingMessage):
    """Shown to all contacts for a day; a chat in the request is ignored."""

    phone: SkipJsonSchema[_Everybody] = STATUS_BROADCAST


class SendTextStatus(StatusPost, path="/send-text-status"):
    """Posts a text as status."""

    message: MessageText = Field(validation_alias=AliasChoices("message", "text"))

    example_minimal: ClassVar[Example] = {"message": "We are open today"}
    example: ClassVar[Example] = {**example_minimal, "priority": "high"}
    limits: ClassVar[tuple[Limit, ...]] = (max_characters("message", MAX_STATUS_TEXT_LENGTH),)

    def readable_text(self) -> str | None:
        return self.message

    def echo(self, _context: EchoContext) -> Content | None:
        return {"text": {"message": self.message}}


class SendImageStatus(StatusPost, path="/send-image-status"):
    """Posts an image as a status."""

    image: Image
    caption: Caption | None = None

    example_minimal: ClassVar[Example] = {"image": "https://example.com/image.png"}
    example: ClassVar[Example] = {**example_minimal, "caption": "caption"}
    limits: ClassVar[tuple[Limit, ...]] = ()

    def readable_text(self) -> str | None:
        return self.caption

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content("image", self.image, caption=self.caption)


class SendVideoStatus(StatusPost, path="/send-video-status"):
    """Posts a video of at most 10 MB as a status."""

    video: Annotated[str, SOURCE, MediaField("video", limit_bytes=_MAX_VIDEO_BYTES)]
    caption: Caption | None = None

    example_minimal: ClassVar[Example] = {"video": "https://example.com/video.mp4"}
    example: ClassVar[Example] = {**example_minimal, "caption": "caption"}
    limits: ClassVar[tuple[Limit, ...]] = ()

    def readable_text(self) -> str | None:
        return self.caption

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content(
            "video", self.video, usual_type="video/mp4", caption=self.caption
        )


class StatusReply(OutgoingMessage):
    """Answers a status in the chat with its author."""

    status_message_id: MessageId
    is_status_reply = True
    limits: ClassVar[tuple[Limit, ...]] = ()

    def referred_ids(self) -> tuple[str, ...]:
        return (self.status_message_id,)

    def replied_id(self) -> str | None:
        return self.status_message_id

    def assumed(self, message_id: str) -> KnownMessage | None:
        return assumed_message(message_id, STATUS_BROADCAST, owner=None, author=self.phone)


class ReplyStatusText(StatusReply, path="/reply-status-text"):
    """Answers a status with a text."""

    message: MessageText

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Congratulations!",
        "statusMessageId": "3EB0577D10A2B4C6D8E9F1",
    }

    def readable_text(self) -> str | None:
        return self.message

    def echo(self, _context: EchoContext) -> Content | None:
        return {"text": {"message": self.message}}


class ReplyStatusGif(StatusReply, path="/reply-status-gif"):
    """Answers a status with a GIF, which is a short MP4."""

    gif: Gif

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "gif": "https://example.com/clip.mp4",
        "statusMessageId": "3EB0577D10A2B4C6D8E9F1",
    }

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content("video", self.gif, usual_type="video/mp4")


class ReplyStatusSticker(StatusReply, path="/reply-status-sticker"):
    """Answers a status with a sticker."""

    sticker: Sticker

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "sticker": "https://example.com/sticker.webp",
        "statusMessageId": "3EB0577D10A2B4C6D8E9F1",
    }

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content("sticker", self.sticker, usual_type="image/webp")
