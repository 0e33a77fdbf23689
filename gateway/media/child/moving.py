"""Reads the facts of a video, and converts a GIF to the MP4 that phones play."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame
from PIL import Image

from gateway.media.child.opening import duration_of, first_video, opened_container
from gateway.media.child.pictures import THUMBNAIL_PIXELS, thumbnail
from gateway.media.jobs import Job, JobResult, OnProgress
from gateway.media.spooling import BadFile

_MAX_SIDE_PIXELS = 1_280
_ENCODER_OPTIONS = {"preset": "fast", "threads": "1"}


def convert_moving(job: Job, on_progress: OnProgress) -> JobResult:
    """Converts a GIF, and leaves any other file as it is; returns the facts of what is sent."""
    if job.mime_type != "image/gif":
        return _facts(job)
    path = job.folder / "gif.mp4"
    _write_mp4(job, path, on_progress)
    made = replace(job, source=path, mime_type="video/mp4")
    return replace(_facts(made), made=path.name, mime_type=made.mime_type)


def _facts(job: Job) -> JobResult:
    with opened_container(job) as container:
        stream = first_video(container, job)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise BadFile("holds no picture")
        return JobResult(
            width=frame.width,
            height=frame.height,
            duration_seconds=duration_of(container, stream),
            thumbnail=thumbnail(_small_picture(frame)),
        )


def _small_picture(frame: VideoFrame) -> Image.Image:
    width, height = _within(frame.width, frame.height, 2 * THUMBNAIL_PIXELS)
    small = frame.reformat(width, height, "rgb24")
    picture = small.to_image()  # type: ignore[no-untyped-call]  # PyAV has no type for it
    assert isinstance(picture, Image.Image)
    return picture


def _within(width: int, height: int, pixels: int) -> tuple[int, int]:
    """Returns the size with its longer side at most *pixels*, in even numbers."""
    factor = min(1.0, pixels / max(width, height))
    return max(2, int(width * factor) & ~1), max(2, int(height * factor) & ~1)


def _write_mp4(job: Job, path: Path, on_progress: OnProgress) -> None:
    frames = _count_frames(job)
    with (
        opened_container(job) as moving,
        av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as made,
    ):
        shown = first_video(moving, job)
        rate = shown.average_rate or Fraction(10)
        stream = made.add_stream("libx264", rate=rate, options=_ENCODER_OPTIONS)
        stream.width, stream.height = _within(
            shown.codec_context.width, shown.codec_context.height, _MAX_SIDE_PIXELS
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
