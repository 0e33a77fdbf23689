"""Opens pictures and containers: only formats of a list, only sizes within the limits.

A format that is not in the list is never tried, because each decoder is code that the bytes of an
unknown sender reach. Some of FFmpeg's formats are playlists, which name other files and hosts
(concat, HLS, DASH, SDP).
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import av
import pi_heif
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from gateway.media.jobs import Job
from gateway.media.spooling import BadFile

# Pillow finds a format of a list only if its plugin was imported before.
_PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
AnyPacket: TypeAlias = "Packet[Any]"
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF")
# libheif puts the tiles of a phone's photo together, and turns it; further pictures in the file,
# such as its map of depths, are not needed.
pi_heif.register_heif_opener(
    decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
)
# A picture without its last bytes is shown as far as it goes, as phones show it.
ImageFile.LOAD_TRUNCATED_IMAGES = True
_JPEG_TYPE = "image/jpeg"
_JPEG_FACTOR = 4
_MAX_STREAMS = 32
_MAX_BROKEN_PACKETS = 100
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,mpegvideo,gif,"
    "ogg,wav,w64,mp3,aac,flac,amr,amrnb,amrwb,aiff,caf,au"
)
_VIDEO_CODECS = frozenset(
    """
    h264 hevc vp8 vp9 libvpx libvpx-vp9 av1 libdav1d mpeg4 msmpeg4v1 msmpeg4v2 msmpeg4 h263
    mpeg1video mpeg2video mjpeg png gif flv theora wmv1 wmv2 wmv3 vc1 prores vp6 vp6a vp6f
    h263p dvvideo
    """.split()  # noqa: SIM905 - a list of fifty names is read as a text
)
_SOUND_CODECS = frozenset(
    """
    aac aac_fixed aac_latm mp3 mp3float mp2 mp2float mp1 mp1float opus libopus vorbis flac
    alac amrnb amrwb libopencore_amrnb libopencore_amrwb ac3 eac3 wmav1 wmav2 wmapro
    pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be
    pcm_f64le pcm_u8 pcm_s8 pcm_alaw pcm_mulaw adpcm_ms adpcm_ima_wav adpcm_ima_qt gsm
    gsm_ms speex libspeex nellymoser wmavoice adpcm_swf
    """.split()  # noqa: SIM905 - a list of fifty names is read as a text
)


@contextmanager
def opened_picture(job: Job) -> Iterator[Image.Image]:
    """Opens a picture without decoding it; no frame of it may exceed the limit of pixels."""
    factor = _JPEG_FACTOR if job.mime_type == _JPEG_TYPE else 1
    with (
        _pixels_limited(job.limits.max_pixels * factor),
        Image.open(job.source, formats=_formats_of(job.mime_type)) as image,
    ):
        yield image


@contextmanager
def _pixels_limited(limit: int) -> Iterator[None]:
    """Turns Pillow's warning, which it gives above its limit, into a refusal."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limit
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels(limit) from None
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _formats_of(mime_type: str) -> tuple[str, ...]:
    """A JPEG may have more pixels than others, so a file that is counted as one must be one."""
    return ("JPEG",) if mime_type == _JPEG_TYPE else tuple(f for f in _FORMATS if f != "JPEG")


@contextmanager
def opened_container(job: Job) -> Iterator[InputContainer]:
    """Opens a file with sound or moving pictures; it cannot name another file or host."""
    limits = {
        "protocol_whitelist": "file",
        "format_whitelist": _CONTAINERS,
        "codec_whitelist": ",".join(sorted(_VIDEO_CODECS | _SOUND_CODECS)),
        "max_streams": str(_MAX_STREAMS),
        "max_pixels": str(job.limits.max_pixels),
        "threads": "1",
    }
    try:
        with av.open(f"file:{job.source}", "r", options=limits) as container:
            yield container
    except MemoryError:
        raise
    except FFmpegError as error:
        raise BadFile(f"cannot be read: {type(error).__name__}") from None


def first_video(container: InputContainer, job: Job) -> VideoStream:
    """Returns the first stream of pictures, ready to be decoded within the limits."""
    streams = container.streams.video
    stream = next((s for s in streams if not s.disposition & Disposition.attached_pic), None)
    if stream is None:
        raise BadFile("holds no video")
    codec = stream.codec_context
    _check_codec(codec, _VIDEO_CODECS)
    if not codec.width or not codec.height:  # FFmpeg, too, obeys `max_pixels`, and says no size
        million = job.limits.max_pixels // 1_000_000
        raise BadFile(f"has frames without a size, or of more than {million} million pixels")
    if codec.width * codec.height > job.limits.max_pixels:
        raise too_many_pixels(job.limits.max_pixels)
    codec.options = {"max_pixels": str(job.limits.max_pixels)}
    return stream


class PacketDecoder:
    """Decodes the packets of a stream, of which some may be broken."""

    def __init__(self) -> None:
        self._broken = 0

    def frames(self, packet: AnyPacket) -> Sequence[object]:
        """Returns the frames of a packet; a broken one has none, and too many are an error."""
        try:
            return packet.decode()
        except MemoryError:
            raise
        except FFmpegError:
            self._broken += 1
            if self._broken > _MAX_BROKEN_PACKETS:
                raise
            return ()


def first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    """Returns the first frame that can be decoded, however many broken ones are before it."""
    decoder = PacketDecoder()
    for packet in container.demux(stream):
        for frame in decoder.frames(packet):
            assert isinstance(frame, VideoFrame)
            return frame
    raise BadFile("holds no picture")


def first_sound(container: InputContainer, job: Job) -> AudioStream:
    """Returns the first stream of sound, ready to be decoded."""
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        raise BadFile("holds no sound")
    _check_codec(stream.codec_context, _SOUND_CODECS)
    if (duration := duration_of(container, stream)) and duration > job.limits.max_duration_seconds:
        raise too_long(job.limits.max_duration_seconds)
    return stream


def sound_of_video(container: InputContainer) -> AudioStream | None:
    """Returns the first stream of sound, if the video has one."""
    stream = next(iter(container.streams.audio), None)
    if stream is not None:
        _check_codec(stream.codec_context, _SOUND_CODECS)
    return stream


def _check_codec(codec: CodecContext | None, allowed: frozenset[str]) -> None:
    if codec is None:
        raise BadFile("has an unknown codec")
    if codec.codec.name not in allowed:
        raise BadFile(f"has the codec {codec.codec.name}, which is not read")
    codec.thread_count = 1


def duration_of(container: InputContainer, stream: VideoStream | AudioStream) -> float | None:
    """Returns the seconds that the file says it lasts."""
    if container.duration:
        return round(container.duration / 1_000_000, 3)
    if stream.duration and stream.time_base:
        return round(float(stream.duration * stream.time_base), 3)
    return None


def too_long(limit_seconds: int) -> BadFile:
    return BadFile(f"lasts longer than {limit_seconds / 3600:g} hours")


def too_many_pixels(limit: int) -> BadFile:
    return BadFile(f"has more than {limit // 1_000_000} million pixels")
