"""Converts pictures and stickers, and makes thumbnails.

Pillow needs 4 bytes for a pixel. So a picture of the largest size may be in memory twice, not five
times: it is reduced before it is turned, and each step drops what the step before it made.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from PIL import ExifTags, Image, ImageSequence

from gateway.media.child.opening import opened_picture
from gateway.media.jobs import Job, JobResult, OnProgress
from gateway.media.spooling import BadFile

_STICKER_PIXELS = 512
_MAX_STICKER_BYTES = {False: 100 * 1024, True: 500 * 1024}  # moving or not
_MAX_STICKER_FRAMES = 300
THUMBNAIL_PIXELS = 100
_LINK_IMAGE_PIXELS = 640
_QUALITY, _THUMBNAIL_QUALITY = 85, 70
_SHOWN_AS_IS = frozenset({"JPEG", "MPO", "PNG"})  # MPO: a JPEG with further pictures behind it
_DIRECT_MODES = frozenset({"L", "RGB", "RGBA", "CMYK"})
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})


def convert_picture(job: Job, on_progress: OnProgress) -> JobResult:
    with opened_picture(job) as image:
        match job.kind:
            case "sticker":
                return _sticker(image, job, on_progress)
            case "thumbnail":
                return _link_image(image, job)
            case _:
                return _image(image, job)


def _image(image: Image.Image, job: Job) -> JobResult:
    if image.format in _SHOWN_AS_IS:
        width, height = image.size  # before `draft` changes it
        small = thumbnail_or_none(lambda: _reduced(image, THUMBNAIL_PIXELS))
        if _orientation(image) in _SIDEWAYS:
            width, height = height, width
        return JobResult(width=width, height=height, thumbnail=small)
    image.load()
    flat = _turned(_flat(image), _orientation(image))
    image.close()
    flat.save(job.folder / "image.jpg", "JPEG", quality=_QUALITY)
    return JobResult(
        made="image.jpg",
        mime_type="image/jpeg",
        width=flat.width,
        height=flat.height,
        thumbnail=thumbnail_or_none(lambda: _reduced(flat, THUMBNAIL_PIXELS)),
    )


def _link_image(image: Image.Image, job: Job) -> JobResult:
    small = _flat(_reduced(image, _LINK_IMAGE_PIXELS))
    small.save(job.folder / "thumbnail.jpg", "JPEG", quality=_QUALITY)
    return JobResult(
        made="thumbnail.jpg",
        mime_type="image/jpeg",
        width=small.width,
        height=small.height,
        thumbnail=thumbnail(small),
    )


def thumbnail_or_none(picture: Callable[[], Image.Image]) -> bytes | None:
    """Returns a small JPEG; None if it cannot be made, which is no reason not to send a file."""
    try:
        return thumbnail(picture())
    except Exception:  # noqa: BLE001 - decoders raise what a broken file makes them raise
        return None


def thumbnail(image: Image.Image) -> bytes:
    """Returns a small JPEG."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    written = io.BytesIO()
    _flat(small).save(written, "JPEG", quality=_THUMBNAIL_QUALITY)
    return written.getvalue()


def _reduced(image: Image.Image, pixels: int, *, enlarge: bool = False) -> Image.Image:
    """Returns the image upright, its longer side *pixels*, or its own size if that is smaller.

    A JPEG is decoded at an eighth, a quarter or half of its size where that is enough.
    """
    if image.format in {"JPEG", "MPO"}:
        image.draft(None, (2 * pixels, 2 * pixels))
    image.load()
    factor = pixels / max(image.size)
    if not enlarge:
        factor = min(1.0, factor)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    orientation = _orientation(image)
    small = _colored(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _turned(small, orientation)


def _colored(image: Image.Image) -> Image.Image:
    """Returns the image in a mode whose pixels can be mixed."""
    if image.mode in _DIRECT_MODES and "transparency" not in image.info:
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _orientation(image: Image.Image) -> int:
    """Returns how the picture is to be turned; 1, not at all, if its notes cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - the notes of a broken file raise anything
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _flat(image: Image.Image) -> Image.Image:
    """Returns the image as RGB, with white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    background = Image.new("RGB", layer.size, "white")
    background.paste(layer, mask=layer.getchannel("A"))
    return background


def _sticker(image: Image.Image, job: Job, on_progress: OnProgress) -> JobResult:
    moving = bool(getattr(image, "is_animated", False))
    fits = (
        image.format == "WEBP"
        and image.size == (_STICKER_PIXELS, _STICKER_PIXELS)
        and job.size_bytes <= _MAX_STICKER_BYTES[moving]
    )
    facts = JobResult(width=_STICKER_PIXELS, height=_STICKER_PIXELS)
    if fits:
        return replace(facts, thumbnail=thumbnail(_reduced(image, THUMBNAIL_PIXELS)))
    frames, milliseconds = [], []
    for frame, duration in _frames(image, moving=moving):
        frames.append(frame)
        milliseconds.append(duration)
        on_progress(len(frames) / _MAX_STICKER_FRAMES)
    _write_sticker(frames, milliseconds, job.folder / "sticker.webp")
    return replace(
        facts, made="sticker.webp", mime_type="image/webp", thumbnail=thumbnail(frames[0])
    )


def _frames(image: Image.Image, *, moving: bool) -> Iterator[tuple[Image.Image, int]]:
    """Yields the frames as squares with their milliseconds; of a long sticker, the first ones."""
    for n, frame in enumerate(ImageSequence.Iterator(image), 1):
        yield _squared(frame), int(frame.info.get("duration", 100)) or 100
        if not moving or n == _MAX_STICKER_FRAMES:
            return


def _write_sticker(frames: list[Image.Image], milliseconds: list[int], path: Path) -> None:
    moving = len(frames) > 1
    for quality in (80, 60, 40, 20):
        options = (
            {"save_all": True, "append_images": frames[1:], "duration": milliseconds, "loop": 0}
            if moving
            else {}
        )
        frames[0].save(path, "WEBP", quality=quality, method=4, **options)
        if path.stat().st_size <= _MAX_STICKER_BYTES[moving]:
            return
    if moving:
        raise BadFile("is too long for a moving sticker")


def _squared(frame: Image.Image) -> Image.Image:
    inner = _reduced(frame, _STICKER_PIXELS, enlarge=True).convert("RGBA")
    square = Image.new("RGBA", (_STICKER_PIXELS, _STICKER_PIXELS))
    square.paste(
        inner, ((_STICKER_PIXELS - inner.width) // 2, (_STICKER_PIXELS - inner.height) // 2)
    )
    return square
