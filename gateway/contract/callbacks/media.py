"""Pictures, audio, videos, documents and stickers."""

from collections.abc import Mapping
from typing import ClassVar

from gateway.contract.callbacks.base import Example
from gateway.contract.callbacks.received import FILE, MessageCallback
from gateway.contract.wire import Wire


class ImageContent(Wire):
    """`downloadError` if the file could not be downloaded."""

    image_url: str | None = None
    thumbnail_url: str | None = None
    download_error: str | None = None
    mime_type: str | None = None
    caption: str | None = None
    width: int | None = None
    height: int | None = None
    view_once: bool | None = None


class ImageReceived(MessageCallback):
    """A picture."""

    image: ImageContent

    variants: ClassVar[Mapping[str, Example]] = {
        "image": {
            "image": {
                "mimeType": "image/jpeg",
                "imageUrl": FILE,
                "thumbnailUrl": FILE,
                "caption": "",
                "width": 600,
                "height": 315,
                "viewOnce": False,
            }
        }
    }


class AudioContent(Wire):
    """`ptt` marks a voice note."""

    audio_url: str | None = None
    download_error: str | None = None
    mime_type: str | None = None
    ptt: bool | None = None
    seconds: int | None = None
    view_once: bool | None = None


class AudioReceived(MessageCallback):
    """A voice note or another audio file."""

    audio: AudioContent

    variants: ClassVar[Mapping[str, Example]] = {
        "audio": {
            "audio": {
                "ptt": True,
                "seconds": 10,
                "audioUrl": FILE,
                "mimeType": "audio/ogg; codecs=opus",
                "viewOnce": False,
            }
        }
    }


class VideoContent(Wire):
    """A GIF is a video too."""

    video_url: str | None = None
    download_error: str | None = None
    mime_type: str | None = None
    caption: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: int | None = None
    view_once: bool | None = None


_SHORT_VIDEO: Example = {"video": {"videoUrl": FILE, "caption": "", "mimeType": "video/mp4"}}


class VideoReceived(MessageCallback):
    """A video, a GIF or a round video message."""

    video: VideoContent

    variants: ClassVar[Mapping[str, Example]] = {
        "video": {
            "video": {
                "videoUrl": FILE,
                "caption": "",
                "mimeType": "video/mp4",
                "seconds": 13,
                "viewOnce": False,
            }
        },
        "ptv": {"fromMe": True, "messageExpirationSeconds": 0, **_SHORT_VIDEO},
        "gif": _SHORT_VIDEO,
    }


class DocumentContent(Wire):
    """A file with a name."""

    document_url: str | None = None
    thumbnail_url: str | None = None
    download_error: str | None = None
    mime_type: str | None = None
    caption: str | None = None
    title: str | None = None
    page_count: int | None = None
    file_name: str | None = None


class DocumentReceived(MessageCallback):
    """A document."""

    document: DocumentContent

    variants: ClassVar[Mapping[str, Example]] = {
        "document": {
            "document": {
                "documentUrl": FILE,
                "mimeType": "application/pdf",
                "title": "Offer",
                "pageCount": 1,
                "fileName": "offer.pdf",
            }
        }
    }


class StickerContent(Wire):
    """A picture without a frame."""

    sticker_url: str | None = None
    download_error: str | None = None
    mime_type: str | None = None


class StickerReceived(MessageCallback):
    """A sticker."""

    sticker: StickerContent

    variants: ClassVar[Mapping[str, Example]] = {
        "sticker": {"sticker": {"stickerUrl": FILE, "mimeType": "image/webp"}}
    }
