"""Decides what phones need of a video: they play MP4 with H.264 (4:2:0, 8 bit) and AAC, no more.

as it is    MP4 with such streams
copied      such streams in another container (MOV, MKV, FLV, MPEG-TS): seconds at most
transcoded  anything else, which takes a process for minutes
"""

from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from gateway.media.child.opening import duration_of, first_video, sound_of_video
from gateway.media.jobs import Job
from gateway.media.spooling import BadFile

_MP4 = "video/mp4"
_PIXEL_FORMATS = frozenset({"yuv420p", "yuvj420p"})
# AVI and MPEG program streams do not say when each picture is shown, which MP4 must.
_WITH_TIMES = frozenset({"mov", "matroska", "webm", "flv", "mpegts"})


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams of a video that are sent, and which of them phones play as they are."""

    video: VideoStream
    sound: AudioStream | None
    plays_video: bool
    plays_sound: bool
    is_mp4: bool

    @property
    def fit(self) -> bool:
        """Whether no stream must be encoded again."""
        return self.plays_video and self.plays_sound

    @property
    def as_they_are(self) -> bool:
        """Whether the whole file is what phones play."""
        return self.fit and self.is_mp4


def streams_of(container: InputContainer, job: Job) -> Streams:
    """Returns the streams; raises BadFile if they cannot be read, or last too long to transcode."""
    video = first_video(container, job)
    sound = sound_of_video(container)
    form = set(container.format.name.split(","))
    codec = video.codec_context
    plays = codec.name == "h264" and codec.pix_fmt in _PIXEL_FORMATS
    streams = Streams(
        video=video,
        sound=sound,
        plays_video=plays and not form.isdisjoint(_WITH_TIMES),
        plays_sound=sound is None or sound.codec_context.name == "aac",
        is_mp4=job.mime_type == _MP4,
    )
    seconds = duration_of(container, video)
    if not streams.fit and seconds and seconds > job.limits.max_video_seconds:
        raise too_long_to_transcode(seconds)
    return streams


def too_long_to_transcode(seconds: float) -> BadFile:
    minutes = round(seconds / 60)
    return BadFile(
        f"needs to be converted and is too long ({minutes} min); send MP4 with H.264 and AAC"
    )
