"""Reads the facts of a video, and has videos and GIFs made into the MP4 that phones play."""

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from gateway.media.child.opening import duration_of, first_frame, first_video, opened_container
from gateway.media.child.pictures import THUMBNAIL_PIXELS, thumbnail_or_none
from gateway.media.child.playable import streams_of
from gateway.media.child.transcoding import MAX_SIDE_PIXELS, within, write_playable
from gateway.media.jobs import Job, JobResult, OnProgress
from gateway.media.spooling import BadFile

_ENCODER_OPTIONS = {"preset": "fast", "threads": "1"}


def convert_moving(job: Job, on_progress: OnProgress) -> JobResult:
    """Converts a GIF, leaves or copies what phones play, and says so if a video needs more.

    Returns the facts of what is sent; `needs_transcoding` if another job must encode the video.
    """
    if job.mime_type == "image/gif":
        path = job.folder / "gif.mp4"
        _write_mp4(job, path, on_progress)
        return _made(job, path)
    with opened_container(job) as container:
        streams = streams_of(container, job)
        if streams.as_they_are:
            return _facts(container, streams.video)
    if not streams.fit:
        return JobResult(needs_transcoding=True)
    path = job.folder / "copied.mp4"
    try:
        write_playable(job, path, on_progress, copy=True)
    except BadFile:  # its streams do not fit into MP4 as they are
        return JobResult(needs_transcoding=True)
    return _made(job, path)


def transcode(job: Job, on_progress: OnProgress) -> JobResult:
    """Encodes the streams that phones do not play; all of them, if a copied one does not fit."""
    path = job.folder / "transcoded.mp4"
    with opened_container(job) as container:
        streams = streams_of(container, job)
    if streams.plays_video and not streams.fit:
        with suppress(BadFile):
            write_playable(job, path, on_progress, copy=True)
            return _made(job, path)
    write_playable(job, path, on_progress, copy=False)
    return _made(job, path)


def _made(job: Job, path: Path) -> JobResult:
    made = replace(job, source=path, mime_type="video/mp4")
    with opened_container(made) as container:
        facts = _facts(container, first_video(container, made))
    return replace(facts, made=path.name, mime_type=made.mime_type)


def _facts(container: InputContainer, stream: VideoStream) -> JobResult:
    frame = first_frame(container, stream)
    width, height = frame.width, frame.height
    if frame.rotation % 180:
        width, height = height, width
    return JobResult(
        width=width,
        height=height,
        duration_seconds=duration_of(container, stream),
        thumbnail=thumbnail_or_none(lambda: _small_picture(frame)),
    )


def _small_picture(frame: VideoFrame) -> Image.Image:
    width, height = within(frame.width, frame.height, 2 * THUMBNAIL_PIXELS)
    small = frame.reformat(width, height, "rgb24")
    picture = small.to_image()  # type: ignore[no-untyped-call]  # PyAV has no type for it
    assert isinstance(picture, Image.Image)
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def _write_mp4(job: Job, path: Path, on_progress: OnProgress) -> None:
    frames = _count_frames(job)
    with (
        opened_container(job) as moving,
        av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as made,
    ):
        shown = first_video(moving, job)
        rate = shown.average_rate or Fraction(10)
        stream = made.add_stream("libx264", rate=rate, options=_ENCODER_OPTIONS)
        stream.width, stream.height = within(
            shown.codec_context.width, shown.codec_context.height, MAX_SIDE_PIXELS
        )
        stream.pix_fmt = "yuv420p"
        for n, frame in enumerate(moving.decode(shown), 1):
            even = frame.reformat(stream.width, stream.height, "yuv420p")
            even.pts, even.time_base = frame.pts, frame.time_base
            made.mux(stream.encode(even))
            on_progress(n / frames)
        made.mux(stream.encode(None))


def _count_frames(job: Job) -> int:
    """Counts the frames without decoding them."""
    count = 0
    with opened_container(job) as container:
        for packet in container.demux(first_video(container, job)):
            count += packet.size > 0
            if count > job.limits.max_frames:
                raise BadFile(f"has more than {job.limits.max_frames} frames")
    if not count:
        raise BadFile("holds no picture")
    return count
