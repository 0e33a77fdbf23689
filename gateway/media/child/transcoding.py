"""Writes the MP4 that phones play: copies the streams that they play, and encodes the others.

Times begin at 0, whatever the file says. Pictures stay as they are turned: the turn of a phone's
camera is a note in the file, and the new file has it too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from gateway.media.child.opening import (
    AnyPacket,
    PacketDecoder,
    duration_of,
    first_frame,
    first_video,
    opened_container,
)
from gateway.media.child.playable import Streams, streams_of, too_long_to_transcode
from gateway.media.jobs import Job, OnProgress
from gateway.media.spooling import BadFile

MAX_SIDE_PIXELS: Final = 1_280
_ENCODER_OPTIONS: Final = {"preset": "veryfast", "crf": "23", "threads": "1", "profile": "high"}
_VIDEO_TIME_BASE: Final = Fraction(1, 90_000)
_MAX_FRAMES_PER_SECOND: Final = 30
_LEAST_SECONDS: Final = 0.9 / _MAX_FRAMES_PER_SECOND
_MAX_BITS_PER_SECOND: Final = 2_500_000
_MAX_BYTES: Final = 56 * 1024 * 1024  # of pictures and sound together, less than the largest video
_SOUND_BITS_PER_SECOND: Final = 128_000
_SAMPLES_PER_SECOND: Final = 48_000
_LONGEST_DRIFT_SECONDS: Final = 0.1


def write_playable(job: Job, path: Path, on_progress: OnProgress, *, copy: bool) -> None:
    """Writes the MP4; with *copy*, streams that phones play are copied.

    Raises:
        BadFile: the file cannot be read, or lasts too long.
    """
    with opened_container(job) as given:
        first = first_frame(given, first_video(given, job))
    with (
        opened_container(job) as given,
        av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as made,
    ):
        streams = streams_of(given, job)
        video, sound = streams.video, streams.sound
        clock = _Clock.of(given, streams, job)
        # All streams are there before the first packet is written.
        writers: dict[int, _Copy | _Pictures | _Sound] = {
            video.index: _Copy(made, video, clock)
            if copy and streams.plays_video
            else _Pictures(made, video, clock, first)
        }
        if sound is not None:
            writers[sound.index] = (
                _Copy(made, sound, clock)
                if copy and streams.plays_sound
                else _Sound(made, sound, clock)
            )
        for packet in given.demux(*filter(None, (video, sound))):
            writers[packet.stream.index].write(packet)
            on_progress(clock.done)
        for writer in writers.values():
            writer.finish()


def within(width: float, height: float, pixels: int) -> tuple[int, int]:
    """Returns the size with its longer side at most *pixels*, in even numbers."""
    factor = min(1.0, pixels / max(width, height))
    return max(2, int(width * factor) & ~1), max(2, int(height * factor) & ~1)


@dataclass(slots=True)
class _Clock:
    """Counts the time of a file from 0, and refuses one that goes on for too long."""

    start_seconds: float
    said_seconds: float | None
    limit_seconds: float | None
    now_seconds: float = 0.0

    @classmethod
    def of(cls, container: InputContainer, streams: Streams, job: Job) -> "_Clock":
        """A file that is only copied may last as long as it likes."""
        start = container.start_time / 1_000_000 if container.start_time else 0.0
        limit = None if streams.fit else float(job.limits.max_video_seconds)
        return cls(start, duration_of(container, streams.video), limit)

    def since_start(self, seconds: float) -> float:
        seconds -= self.start_seconds
        if self.limit_seconds and seconds > self.limit_seconds + 1:  # whatever the file said
            raise too_long_to_transcode(seconds)
        self.now_seconds = max(self.now_seconds, seconds)
        return seconds

    @property
    def done(self) -> float:
        return min(1.0, self.now_seconds / (self.said_seconds or self.now_seconds or 1.0))


class _Copy:
    """Copies the packets of a stream."""

    def __init__(
        self, made: OutputContainer, given: VideoStream | AudioStream, clock: _Clock
    ) -> None:
        self._made, self._given, self._clock = made, given, clock
        self._stream = made.add_stream_from_template(given, opaque=True)
        self._started = False
        self._latest: int | None = None
        self._without_order: list[AnyPacket] = []

    def write(self, packet: AnyPacket) -> None:
        if not packet.size or packet.pts is None:
            return
        if not self._started and not packet.is_keyframe:  # nothing can be shown before one
            return
        self._started = True
        if packet.dts is None:  # Matroska does not say when the first packets are decoded
            self._without_order.append(packet)
            return
        self._write_earlier(packet.dts)
        self._mux(packet, packet.dts)

    def finish(self) -> None:
        if not self._started:
            raise BadFile("holds nothing that can be shown")
        self._write_earlier(0)

    def _write_earlier(self, dts: int) -> None:
        earlier, self._without_order = self._without_order, []
        for n, packet in enumerate(earlier):
            self._mux(packet, dts - (len(earlier) - n) * (packet.duration or 1))

    def _mux(self, packet: AnyPacket, dts: int) -> None:
        assert packet.pts is not None
        self._clock.since_start(float(packet.pts * packet.time_base))
        shift = round(self._clock.start_seconds / packet.time_base)
        dts -= shift
        if self._latest is not None:
            dts = max(dts, self._latest + 1)  # MP4 needs times that grow
        self._latest = dts
        packet.pts, packet.dts = max(packet.pts - shift, dts), dts
        packet.stream = self._stream
        self._made.mux(packet)


class _Pictures:
    """Encodes pictures as H.264, 30 of a second at most."""

    def __init__(
        self, made: OutputContainer, given: VideoStream, clock: _Clock, first: VideoFrame
    ) -> None:
        """*first* is a frame of the stream, of which all are turned and coloured alike."""
        self._made, self._clock, self._decoder = made, clock, PacketDecoder()
        self._rate = given.average_rate or Fraction(25)
        # AVI counts its pictures, and says nothing else about their times.
        self._counted = 0 if given.container.format.name == "avi" else None
        self._latest: float | None = None
        self._stream = self._new_stream(given, first)

    def write(self, packet: AnyPacket) -> None:
        for frame in self._decoder.frames(packet):
            assert isinstance(frame, VideoFrame)
            seconds = self._time_of(frame)
            if self._latest is None or seconds - self._latest > _LEAST_SECONDS:
                self._encode(frame, seconds)

    def finish(self) -> None:
        if self._latest is None:
            raise BadFile("holds no picture")
        self._made.mux(self._stream.encode(None))

    def _encode(self, frame: VideoFrame, seconds: float) -> None:
        self._latest = seconds
        shown = frame.reformat(self._stream.width, self._stream.height, "yuv420p")
        shown.pts, shown.time_base = round(seconds / _VIDEO_TIME_BASE), _VIDEO_TIME_BASE
        self._made.mux(self._stream.encode(shown))

    def _time_of(self, frame: VideoFrame) -> float:
        if self._counted is not None:
            self._counted += 1
            return self._clock.since_start(
                self._clock.start_seconds + float((self._counted - 1) / self._rate)
            )
        if frame.pts is None or not frame.time_base:
            return 0.0 if self._latest is None else self._latest + float(1 / self._rate)
        return max(0.0, self._clock.since_start(float(frame.pts * frame.time_base)))

    def _new_stream(self, given: VideoStream, first: VideoFrame) -> VideoStream:
        bits = str(_bits_per_second(self._clock.said_seconds))
        stream = self._made.add_stream(
            "libx264",
            rate=min(self._rate, Fraction(_MAX_FRAMES_PER_SECOND)),
            options={**_ENCODER_OPTIONS, "maxrate": bits, "bufsize": bits},
        )
        shape = first.width * float(given.sample_aspect_ratio or 1)
        stream.width, stream.height = within(shape, first.height, MAX_SIDE_PIXELS)
        stream.pix_fmt = "yuv420p"
        codec, source = stream.codec_context, given.codec_context
        codec.time_base = _VIDEO_TIME_BASE
        if not first.format.is_rgb:
            codec.color_primaries, codec.color_trc = source.color_primaries, source.color_trc
            codec.colorspace = source.colorspace
        if first.rotation:
            stream.set_display_rotation(first.rotation)
        return stream


class _Sound:
    """Encodes sound as AAC."""

    def __init__(self, made: OutputContainer, given: AudioStream, clock: _Clock) -> None:
        self._made, self._clock, self._decoder = made, clock, PacketDecoder()
        layout = "mono" if given.channels == 1 else "stereo"
        self._stream = made.add_stream("aac", rate=_SAMPLES_PER_SECOND)
        self._stream.layout = layout
        self._stream.bit_rate = _SOUND_BITS_PER_SECOND
        self._resampler = av.AudioResampler("fltp", layout, _SAMPLES_PER_SECOND)
        self._next_sample = 0

    def write(self, packet: AnyPacket) -> None:
        for frame in self._decoder.frames(packet):
            assert isinstance(frame, av.AudioFrame)
            if frame.pts is not None and frame.time_base:
                self._skip_to(self._clock.since_start(float(frame.pts * frame.time_base)))
            self._encode(self._resampler.resample(frame))

    def finish(self) -> None:
        self._encode(self._resampler.resample(None))
        self._made.mux(self._stream.encode(None))

    def _skip_to(self, seconds: float) -> None:
        """Leaves a gap where the file has one, so that sound and pictures stay together."""
        sample = round(seconds * _SAMPLES_PER_SECOND)
        if sample - self._next_sample > _LONGEST_DRIFT_SECONDS * _SAMPLES_PER_SECOND:
            self._next_sample = sample

    def _encode(self, frames: Sequence[av.AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self._next_sample, Fraction(1, _SAMPLES_PER_SECOND)
            self._next_sample += frame.samples
            self._made.mux(self._stream.encode(frame))


def _bits_per_second(seconds: float | None) -> int:
    """Returns the rate of pictures with which the file stays small enough to be sent."""
    if not seconds:
        return _MAX_BITS_PER_SECOND
    fitting = int(_MAX_BYTES * 8 / seconds) - _SOUND_BITS_PER_SECOND
    return max(100_000, min(_MAX_BITS_PER_SECOND, fitting))
