"""Files inside a message: where they come from, and what they are meant to be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

MediaKind = Literal["image", "sticker", "gif", "audio", "video", "ptv", "document", "thumbnail"]


@dataclass(frozen=True, slots=True)
class MediaField:
    """Marks a text field, however deep in a message, that names a file.

    Callers give a URL, a `data:` URI or bare base64; a stored message holds a URL or a reference
    to a file we keep, never the bytes. A session finds the file in `Attempt.media`, under the
    stored text of the field.
    """

    kind: MediaKind


_LONGEST_SOURCE = 200_000_000
_SOURCE = Field(min_length=1, max_length=_LONGEST_SOURCE)

Image = Annotated[str, _SOURCE, MediaField("image")]
Sticker = Annotated[str, _SOURCE, MediaField("sticker")]
Gif = Annotated[str, _SOURCE, MediaField("gif")]
Audio = Annotated[str, _SOURCE, MediaField("audio")]
Video = Annotated[str, _SOURCE, MediaField("video")]
Ptv = Annotated[str, _SOURCE, MediaField("ptv")]
Document = Annotated[str, _SOURCE, MediaField("document")]
Thumbnail = Annotated[str, _SOURCE, MediaField("thumbnail")]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file ready to be sent: fetched, checked and converted; present while the attempt lasts."""

    path: Path
    mime_type: str
    size_bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    waveform: bytes | None = None
    """64 loudness samples, 0 to 100, of a voice note."""
    thumbnail: bytes | None = None
    """A small JPEG."""
