"""Runs in a converting process: reads the facts of a file and converts it to WhatsApp's form.

The gateway process imports nothing of this module: decoders read bytes from unknown senders, so
they run in a process that can be ended.
"""

import hashlib
import io
import os
import signal
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from fractions import Fraction
from multiprocessing import parent_process
from pathlib import Path
from types import FrameType

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from gateway.contract.media import MediaFile, MediaKind
from gateway.media.spooling import BadFile

_MAX_PIXELS = 50_000_000
_STICKER_PIXELS = 512
_MAX_STICKER_BYTES = {False: 100 * 1024, True: 500 * 1024}  # moving or not
_MAX_FRAMES = 300
_THUMBNAIL_PIXELS = 100
_LINK_IMAGE_PIXELS = 640
_QUALITY = 85
_SAMPLES_PER_SECOND = 48_000
_BARS = 64
_LOUDEST = 100
_VOICE_BITS_PER_SECOND = 32_000
_BYTES_PER_SAMPLE = 2
_SAMPLES_PER_PEAK = 480
_VOICE_TYPE = "audio/ogg; codecs=opus"
_SHOWN_AS_IS = frozenset({"JPEG", "PNG"})
_GRACE_SECONDS = 5


def begin_process() -> None:
    """Prepares a converting process: it ignores Ctrl-C and ends when the gateway ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Image.MAX_IMAGE_PIXELS = _MAX_PIXELS


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(0)


def convert(file: MediaFile, kind: MediaKind, folder: Path, limit_seconds: int) -> MediaFile:
    """Returns the file in WhatsApp's form, with its facts; a converted file is in *folder*.

    Raises:
        BadFile: the file cannot be read as a file of this kind.
    """
    _set_alarm(limit_seconds)
    try:
        return _CONVERSIONS[kind](file, folder)
    except (FFmpegError, UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise BadFile(f"cannot be read: {type(error).__name__}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadFile("has too many pixels") from None
    except _TooSlow:
        raise BadFile(f"could not be converted within {limit_seconds} seconds") from None
    finally:
        _set_alarm(0)


class _TooSlow(BaseException):
    """The time is over. Not an Exception, so that no decoder's error handling catches it."""


def _set_alarm(seconds: int) -> None:
    if not hasattr(signal, "SIGALRM"):
        return
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.alarm(seconds)


def _on_alarm(_number: int, _frame: FrameType | None) -> None:
    # A decoder that does not return to Python never sees the exception: the second alarm has its
    # default effect and ends the process.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_GRACE_SECONDS)
    raise _TooSlow


def _rewritten(file: MediaFile, path: Path, mime_type: str) -> MediaFile:
    with path.open("rb") as made:
        digest = hashlib.file_digest(made, "sha256").hexdigest()
    return replace(
        file, path=path, mime_type=mime_type, size_bytes=path.stat().st_size, sha256=digest
    )


def _image(file: MediaFile, folder: Path) -> MediaFile:
    with Image.open(file.path) as image:
        if image.format not in _SHOWN_AS_IS:
            path = folder / "image.jpg"
            _flat(image).save(path, "JPEG", quality=_QUALITY)
            file = _rewritten(file, path, "image/jpeg")
        upright = ImageOps.exif_transpose(image)
        return replace(
            file,
            width=upright.width,
            height=upright.height,
            thumbnail=_thumbnail(upright, _THUMBNAIL_PIXELS),
        )


def _link_image(file: MediaFile, folder: Path) -> MediaFile:
    with Image.open(file.path) as image:
        small = _flat(image)
        small.thumbnail((_LINK_IMAGE_PIXELS, _LINK_IMAGE_PIXELS))
        path = folder / "thumbnail.jpg"
        small.save(path, "JPEG", quality=_QUALITY)
        return replace(
            _rewritten(file, path, "image/jpeg"),
            width=small.width,
            height=small.height,
            thumbnail=_thumbnail(small, _THUMBNAIL_PIXELS),
        )


def _flat(image: Image.Image) -> Image.Image:
    """Returns the image upright, with white where it is transparent."""
    upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    layer = upright.convert("RGBA")
    background = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(background, layer).convert("RGB")


def _thumbnail(image: Image.Image, pixels: int) -> bytes:
    small = image.copy()
    small.thumbnail((pixels, pixels))
    written = io.BytesIO()
    _flat(small).save(written, "JPEG", quality=70)
    return written.getvalue()


def _sticker(file: MediaFile, folder: Path) -> MediaFile:
    with Image.open(file.path) as image:
        moving = getattr(image, "n_frames", 1) > 1
        thumbnail = _thumbnail(image, _THUMBNAIL_PIXELS)
        fits = (
            image.format == "WEBP"
            and image.size == (_STICKER_PIXELS, _STICKER_PIXELS)
            and file.size_bytes <= _MAX_STICKER_BYTES[moving]
        )
        if not fits:
            path = folder / "sticker.webp"
            _write_sticker(image, path, moving=moving)
            file = _rewritten(file, path, "image/webp")
    return replace(file, width=_STICKER_PIXELS, height=_STICKER_PIXELS, thumbnail=thumbnail)


def _write_sticker(image: Image.Image, path: Path, *, moving: bool) -> None:
    frames, milliseconds = [], []
    for frame in ImageSequence.Iterator(image):
        frames.append(_squared(frame))
        milliseconds.append(int(frame.info.get("duration", 100)) or 100)
        if not moving or len(frames) == _MAX_FRAMES:
            break
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
    inner = ImageOps.contain(
        ImageOps.exif_transpose(frame).convert("RGBA"), (_STICKER_PIXELS, _STICKER_PIXELS)
    )
    square = Image.new("RGBA", (_STICKER_PIXELS, _STICKER_PIXELS))
    square.paste(
        inner, ((_STICKER_PIXELS - inner.width) // 2, (_STICKER_PIXELS - inner.height) // 2)
    )
    return square


def _video(file: MediaFile, _folder: Path) -> MediaFile:
    with av.open(str(file.path)) as container:
        if not container.streams.video:
            raise BadFile("holds no video")
        stream = container.streams.video[0]
        frame = next(container.decode(stream), None)
        if frame is None:
            raise BadFile("holds no picture")
        duration = _duration(container.duration, stream)
        return replace(
            file,
            width=frame.width,
            height=frame.height,
            duration_seconds=duration,
            thumbnail=_thumbnail(_picture(frame), _THUMBNAIL_PIXELS),
        )


def _picture(frame: VideoFrame) -> Image.Image:
    picture = frame.to_image()  # type: ignore[no-untyped-call]  # PyAV has no type for it
    assert isinstance(picture, Image.Image)
    return picture


def _duration(microseconds: int | None, stream: VideoStream | AudioStream) -> float | None:
    if microseconds:
        return round(microseconds / 1_000_000, 3)
    if stream.duration and stream.time_base:
        return round(float(stream.duration * stream.time_base), 3)
    return None


def _gif(file: MediaFile, folder: Path) -> MediaFile:
    """Converts a GIF to the MP4 that phones play; an MP4 stays as it is."""
    if file.mime_type == "image/gif":
        path = folder / "gif.mp4"
        _write_mp4(file.path, path)
        file = _rewritten(file, path, "video/mp4")
    return _video(file, folder)


def _write_mp4(source: Path, path: Path) -> None:
    with (
        av.open(str(source)) as moving,
        av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as made,
    ):
        shown = moving.streams.video[0]
        stream = made.add_stream("libx264", rate=shown.average_rate or Fraction(10))
        stream.width, stream.height = shown.width & ~1 or 2, shown.height & ~1 or 2
        stream.pix_fmt = "yuv420p"
        for frame in moving.decode(shown):
            even = frame.reformat(stream.width, stream.height, "yuv420p")
            even.pts, even.time_base = frame.pts, frame.time_base
            made.mux(stream.encode(even))
        made.mux(stream.encode(None))


def _voice(file: MediaFile, folder: Path) -> MediaFile:
    """Converts to OGG/Opus in mono, and adds the waveform that a phone draws."""
    path = folder / "voice.ogg"
    loudness = _Loudness()
    with av.open(str(file.path)) as container:
        if not container.streams.audio:
            raise BadFile("holds no sound")
        stream = container.streams.audio[0]
        codec = stream.codec_context
        fits = file.mime_type == "audio/ogg" and codec.name == "opus" and codec.channels == 1
        with nullcontext() if fits else _opus_file(path) as encode:
            for frame in _frames(container, stream):
                loudness.add(frame)
                if encode:
                    encode(frame)
    if not loudness.samples:
        raise BadFile("holds no sound")
    return replace(
        file if fits else _rewritten(file, path, _VOICE_TYPE),
        mime_type=_VOICE_TYPE,
        duration_seconds=round(loudness.samples / _SAMPLES_PER_SECOND, 3),
        waveform=loudness.waveform(),
    )


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_SAMPLES_PER_SECOND)
    for frame in container.decode(stream):
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


@contextmanager
def _opus_file(path: Path) -> Iterator[Callable[[AudioFrame], None]]:
    with av.open(str(path), "w", format="ogg") as made:
        voice = made.add_stream(
            "libopus", rate=_SAMPLES_PER_SECOND, options={"application": "voip"}
        )
        voice.layout = "mono"
        voice.bit_rate = _VOICE_BITS_PER_SECOND

        def encode(frame: AudioFrame) -> None:
            frame.pts = None
            made.mux(voice.encode(frame))

        yield encode
        made.mux(voice.encode(None))


class _Loudness:
    """Counts the samples of a sound and collects its peaks."""

    def __init__(self) -> None:
        self.samples = 0
        self._peaks: list[int] = []

    def add(self, frame: AudioFrame) -> None:
        sound = array("h", bytes(frame.planes[0])[: frame.samples * _BYTES_PER_SAMPLE])
        self.samples += frame.samples
        for at in range(0, len(sound), _SAMPLES_PER_PEAK):
            part = sound[at : at + _SAMPLES_PER_PEAK]
            highest, lowest = max(part), min(part)
            self._peaks.append(max(highest, -lowest))

    def waveform(self) -> bytes:
        """Returns the mean peak of each of 64 equal parts; the loudest part is 100."""
        bars = []
        for n in range(_BARS):
            begin = n * len(self._peaks) // _BARS
            part = self._peaks[begin : max((n + 1) * len(self._peaks) // _BARS, begin + 1)]
            bars.append(sum(part) / len(part))
        loudest = max(bars) or 1
        return bytes(round(bar / loudest * _LOUDEST) for bar in bars)


_CONVERSIONS: Mapping[MediaKind, Callable[[MediaFile, Path], MediaFile]] = {
    "image": _image,
    "sticker": _sticker,
    "gif": _gif,
    "audio": _voice,
    "video": _video,
    "ptv": _video,
    "thumbnail": _link_image,
}
