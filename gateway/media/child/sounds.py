"""Converts sounds to voice notes: OGG/Opus in mono, with the waveform that a phone draws."""

from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from gateway.media.child.opening import duration_of, first_sound, opened_container, too_long
from gateway.media.jobs import Job, JobResult, OnProgress
from gateway.media.spooling import BadFile

_SAMPLES_PER_SECOND = 48_000
_BARS = 64
_LOUDEST = 100
_VOICE_BITS_PER_SECOND = 32_000
_BYTES_PER_SAMPLE = 2
_SAMPLES_PER_PEAK = 480
_VOICE_TYPE = "audio/ogg; codecs=opus"


def convert_sound(job: Job, on_progress: OnProgress) -> JobResult:
    loudness = _Loudness()
    with opened_container(job) as container:
        stream = first_sound(container, job)
        codec = stream.codec_context
        fits = job.mime_type == "audio/ogg" and codec.name == "opus" and codec.channels == 1
        said_seconds = duration_of(container, stream) or float(job.limits.max_duration_seconds)
        with nullcontext() if fits else _opus_file(job.folder / "voice.ogg") as encode:
            for frame in _frames(container, stream):
                loudness.add(frame)
                if loudness.seconds > job.limits.max_duration_seconds:  # whatever the file said
                    raise too_long(job.limits.max_duration_seconds)
                if encode:
                    encode(frame)
                on_progress(min(1.0, loudness.seconds / said_seconds))
    if not loudness.samples:
        raise BadFile("holds no sound")
    return JobResult(
        made=None if fits else "voice.ogg",
        mime_type=_VOICE_TYPE,
        duration_seconds=round(loudness.seconds, 3),
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

    @property
    def seconds(self) -> float:
        return self.samples / _SAMPLES_PER_SECOND

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
