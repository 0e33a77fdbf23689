"""Messages whose main content is a file, given as URL, `data:` URI or bare base64."""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, AliasChoices, Field, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.echo import VOICE_TYPE, Content, EchoContext
from gateway.contract.known import KnownMessage, assumed_own
from gateway.contract.limits import Limit
from gateway.contract.media import Audio, Document, Gif, Image, Ptv, Sticker, Video
from gateway.contract.send import NoMessageId, Reply
from gateway.contract.whatsapp_limits import MAX_TEXT_LENGTH
from gateway.contract.wire import Matching

_PHONE = "5511999999999"

Caption = Annotated[str, Field(max_length=MAX_TEXT_LENGTH)]
Extension = Annotated[
    str,
    Field(min_length=1, max_length=20),
    StringConstraints(strip_whitespace=True),
    Matching(r"^\.?[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*$", "must be a file extension such as pdf"),
]
ViewOnce = Annotated[bool, Field(description="can be seen once")]
Async = Annotated[
    bool,
    Field(alias="async", description="accepted, without effect: sending is asynchronous"),
]


def voice_content(context: EchoContext, audio: str, *, view_once: bool | None = None) -> Content:
    """The content of a voice note."""
    content = context.file_content("audio", audio, usual_type=VOICE_TYPE, view_once=view_once)
    return {"audio": {**content["audio"], "ptt": True}}


class MediaMessage(Reply):
    """A message whose main content is a file."""

    limits: ClassVar[tuple[Limit, ...]] = ()


class CaptionedMessage(MediaMessage):
    """A file with a caption."""

    caption: Caption | None = None

    def readable_text(self) -> str | None:
        return self.caption


EditedId = Annotated[NoMessageId, Field(description="id of the sent one whose caption it replaces")]


_EDIT_FIELDS = ("edit_image_message_id", "edit_video_message_id", "edit_document_message_id")


def _required_unless_edit(value: str | None, info: ValidationInfo) -> str | None:
    if value is None and not _is_edit(info):
        raise PydanticCustomError("missing", "is required")
    return value


def _is_edit(info: ValidationInfo) -> bool:
    return any(info.data.get(name) for name in _EDIT_FIELDS)


def _without_file_of_edit(value: str | None, info: ValidationInfo) -> str | None:
    return None if _is_edit(info) else _required_unless_edit(value, info)


_FILE_OR_EDIT = AfterValidator(_without_file_of_edit)
_OF_EDIT = "required without {}, and without effect beside it"


class SendImage(CaptionedMessage, path="/send-image"):
    """Sends an image; a format that phones cannot show is converted to JPEG.

    With `editImageMessageId` it replaces the caption of a sent image, which stays as it is.
    """

    edit_image_message_id: EditedId = None
    image: Annotated[Image | None, _FILE_OR_EDIT] = Field(
        None, description=_OF_EDIT.format("editImageMessageId"), validate_default=True
    )
    unconfirmed = ("editImageMessageId",)
    view_once: ViewOnce = False

    example_minimal: ClassVar[Example] = {
        "phone": _PHONE,
        "image": "https://example.com/image.png",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "caption": "Logo",
        "messageId": "3EB0A1B2C3D4E5F60718",
        "delayMessage": 3,
        "viewOnce": False,
    }

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content(
            "image", self.image, caption=self.caption, view_once=self.view_once
        )

    def referred_ids(self) -> tuple[str, ...]:
        return (*super().referred_ids(), *filter(None, (self.edit_image_message_id,)))

    def edited_id(self) -> str | None:
        return self.edit_image_message_id

    def assumed(self, message_id: str) -> KnownMessage | None:
        if message_id == self.edit_image_message_id:
            return assumed_own(message_id, self.phone, kind=self.kind())
        return super().assumed(message_id)


class SendSticker(MediaMessage, path="/send-sticker"):
    """Sends a sticker; any image, moving or not, is converted to WebP of 512x512."""

    sticker: Sticker
    sticker_author: str | None = Field(None, description="shown with the sticker")

    example_minimal: ClassVar[Example] = {
        "phone": _PHONE,
        "sticker": "https://example.com/sticker.webp",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "messageId": "3EB0A1B2C3D4E5F60718",
        "delayMessage": 3,
        "stickerAuthor": "Ana",
    }

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content("sticker", self.sticker, usual_type="image/webp")


class SendGif(CaptionedMessage, path="/send-gif"):
    """Sends a short video that plays by itself: an MP4, or a real GIF, which is converted."""

    gif: Gif

    example_minimal: ClassVar[Example] = {"phone": _PHONE, "gif": "https://example.com/clip.mp4"}
    example: ClassVar[Example] = {
        **example_minimal,
        "caption": "Well done!",
        "messageId": "3EB0A1B2C3D4E5F60718",
        "delayMessage": 3,
    }

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content("video", self.gif, usual_type="video/mp4", caption=self.caption)


class SendAudio(MediaMessage, path="/send-audio"):
    """Sends a voice note; any audio is converted to OGG/Opus.

    `delayTyping` shows "recording audio..." before it.
    """

    audio: Audio
    view_once: ViewOnce = False
    waveform: bool = Field(default=True, description="shows the sound waves")
    asynchronous: Async = False

    example_minimal: ClassVar[Example] = {
        "phone": _PHONE,
        "audio": "https://example.com/audio.mp3",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "delayMessage": 3,
        "delayTyping": 3,
        "viewOnce": False,
        "async": False,
        "waveform": True,
    }

    def echo(self, context: EchoContext) -> Content | None:
        return voice_content(context, self.audio, view_once=self.view_once)


class SendVideo(CaptionedMessage, path="/send-video"):
    """Sends a video.

    With `editVideoMessageId` it replaces the caption of a sent video, which stays as it is.
    """

    edit_video_message_id: EditedId = None
    video: Annotated[Video | None, _FILE_OR_EDIT] = Field(
        None, description=_OF_EDIT.format("editVideoMessageId"), validate_default=True
    )
    unconfirmed = ("editVideoMessageId",)
    view_once: ViewOnce = False
    asynchronous: Async = False

    example_minimal: ClassVar[Example] = {
        "phone": _PHONE,
        "video": "https://example.com/video.mp4",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "caption": "Test",
        "messageId": "3EB0A1B2C3D4E5F60718",
        "delayMessage": 3,
        "viewOnce": False,
        "async": False,
    }

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content(
            "video",
            self.video,
            usual_type="video/mp4",
            caption=self.caption,
            view_once=self.view_once,
        )

    def referred_ids(self) -> tuple[str, ...]:
        return (*super().referred_ids(), *filter(None, (self.edit_video_message_id,)))

    def edited_id(self) -> str | None:
        return self.edit_video_message_id

    def assumed(self, message_id: str) -> KnownMessage | None:
        if message_id == self.edit_video_message_id:
            return assumed_own(message_id, self.phone, kind=self.kind())
        return super().assumed(message_id)


class SendPtv(MediaMessage, path="/send-ptv"):
    """Sends a round video note."""

    ptv: Ptv = Field(validation_alias=AliasChoices("ptv", "video"))

    example_minimal: ClassVar[Example] = {"phone": _PHONE, "ptv": "https://example.com/video.mp4"}
    example: ClassVar[Example] = {
        **example_minimal,
        "messageId": "3EB0A1B2C3D4E5F60718",
        "delayMessage": 3,
    }

    def echo(self, context: EchoContext) -> Content | None:
        return context.file_content("video", self.ptv, usual_type="video/mp4")


class SendDocument(CaptionedMessage, path="/send-document/{extension}", also=("/send-document",)):
    """Sends a file as it is; with `editDocumentMessageId` only the caption of a sent one changes.

    Without an extension in the path, the name of the file or its bytes decide. Without a `fileName`
    the file keeps its own name: that of its `data:` URI or of its server's Content-Disposition.
    """

    edit_document_message_id: EditedId = None
    document: Annotated[Document | None, AfterValidator(_required_unless_edit)] = Field(
        None, description=_OF_EDIT.format("editDocumentMessageId"), validate_default=True
    )
    extension: Extension | None = None
    file_name: Annotated[str, Field(max_length=255)] | None = None

    example_minimal: ClassVar[Example] = {
        "phone": _PHONE,
        "extension": "pdf",
        "document": "https://example.com/file.pdf",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "fileName": "My PDF",
        "caption": "Report",
        "messageId": "3EB0A1B2C3D4E5F60718",
        "delayMessage": 3,
    }

    def document_name(self, _own_name: str | None = None) -> str | None:
        end = f".{self.extension.lstrip('.')}" if self.extension else ""
        name = self.file_name or _own_name
        if not name:
            return f"document{end}" if end else None
        return name if name.lower().endswith(end.lower()) else name + end

    def with_document_name(self, _own_name: str) -> Self:
        return self if self.file_name else self.model_copy(update={"file_name": _own_name})

    def referred_ids(self) -> tuple[str, ...]:
        edited = self.edit_document_message_id
        return (*super().referred_ids(), *((edited,) if edited else ()))

    def echo(self, context: EchoContext) -> Content | None:
        if self.edit_document_message_id:  # a file beside it is not sent
            return context.file_content("document", None, caption=self.caption)
        sent = context.files.get(self.document) if self.document else None
        return context.file_content(
            "document",
            self.document,
            caption=self.caption,
            file_name=(sent and sent.file_name) or self.document_name(),
        )

    def edited_id(self) -> str | None:
        return self.edit_document_message_id

    def assumed(self, message_id: str) -> KnownMessage | None:
        if message_id == self.edit_document_message_id:
            return assumed_own(message_id, self.phone, kind=self.kind())
        return super().assumed(message_id)
