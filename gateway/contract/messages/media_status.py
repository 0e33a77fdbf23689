"""Statuses whose content is a file: seen by the contacts of the number for a day."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from gateway.contract.documented import Example
from gateway.contract.media import SOURCE, Audio, Image, MediaField
from gateway.contract.messages.media import Caption
from gateway.contract.send import Send
from gateway.contract.wire import STATUS_BROADCAST

_LARGEST_VIDEO_BYTES = 10 * 1024 * 1024


class MediaStatus(Send):
    """A file posted as a status; no chat is named."""

    phone: Annotated[str, BeforeValidator(lambda _given: STATUS_BROADCAST)] = STATUS_BROADCAST


class SendImageStatus(MediaStatus, path="/send-image-status"):
    """Posts an image as a status."""

    image: Image
    caption: Caption | None = None

    example_minimal: ClassVar[Example] = {"image": "https://example.com/image.png"}
    example: ClassVar[Example] = {**example_minimal, "caption": "caption"}

    def readable_text(self) -> str | None:
        return self.caption


class SendVideoStatus(MediaStatus, path="/send-video-status"):
    """Posts a video of at most 10 MB as a status."""

    video: Annotated[str, SOURCE, MediaField("video", limit_bytes=_LARGEST_VIDEO_BYTES)]
    caption: Caption | None = None

    example_minimal: ClassVar[Example] = {"video": "https://example.com/video.mp4"}
    example: ClassVar[Example] = {**example_minimal, "caption": "caption"}

    def readable_text(self) -> str | None:
        return self.caption


class SendAudioStatus(MediaStatus, path="/send-audio-status"):
    """Posts a voice note as a status."""

    audio: Audio
    waveform: bool = Field(default=True, description="shows the sound waves")

    example_minimal: ClassVar[Example] = {"audio": "https://example.com/audio.mp3"}
    example: ClassVar[Example] = {**example_minimal, "waveform": True}
