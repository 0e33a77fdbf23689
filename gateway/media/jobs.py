"""The jobs of a converting process, and its answers: lines of JSON on two pipes.

The answer comes from a process that read the bytes of an unknown sender. So it is JSON, which can
hold values only, and each value is checked.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal, TypeVar

JobKind = Literal[
    "image", "sticker", "gif", "audio", "video", "transcode", "thumbnail", "page", "archive"
]

Value = TypeVar("Value")
OnProgress = Callable[[float], None]
"""Reports the part of a job that is done, from 0 to 1."""

_MIB = 1024 * 1024
_BYTES_FIELDS = ("waveform", "thumbnail")


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What one job may use, and how large the content of its file may be.

    Attributes:
        cpu_seconds: seconds of processor time; the clock may show six times as many, and ten.
        video_cpu_seconds: the same for a video that is transcoded.
        memory_bytes: the address space of the process.
        max_pixels: width times height of a picture or of a frame; a JPEG, which is decoded at a
            fraction of its size, may have four times as many.
        max_frames: frames of a moving picture that is converted.
        max_duration_seconds: length of a sound that is converted.
        max_video_seconds: length of a video that is transcoded.
        max_output_bytes: size of a file that the process writes.
    """

    cpu_seconds: int = 60
    video_cpu_seconds: int = 300
    memory_bytes: int = 1024 * _MIB
    max_pixels: int = 50_000_000
    max_frames: int = 3_000
    max_duration_seconds: int = 4 * 3600
    max_video_seconds: int = 600
    max_output_bytes: int = 128 * _MIB


@dataclass(frozen=True, slots=True)
class Job:
    """One file to read or to convert; the process writes into *folder* only.

    `mime_type` and `size_bytes` are those of the source, for the kinds that are converted.
    """

    kind: JobKind
    source: Path
    mime_type: str
    size_bytes: int
    folder: Path
    limits: JobLimits


@dataclass(frozen=True, slots=True)
class JobResult:
    """The facts of a file, and the name of the file that was made of it, if one was.

    `mime_type`, `size_bytes` and `sha256` are those of the made file; without one they are None.
    `texts` holds what was read from a web page or an archive. With `needs_transcoding` there are
    no facts yet: a job of the kind "transcode" makes the file.
    """

    made: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    waveform: bytes | None = None
    thumbnail: bytes | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    needs_transcoding: bool = False


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The part of a job that is done, from 0 to 1."""

    done: float


@dataclass(frozen=True, slots=True)
class Done:
    """The job succeeded; with *last*, the process ends after this answer."""

    result: JobResult
    last: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """The file is unusable, for a reason that follows the name of a field."""

    reason: str
    last: bool


Reply = JobProgress | Done | Refusal


def packed_job(job: Job) -> bytes:
    given = asdict(job) | {
        "source": str(job.source.absolute()),  # the process has another working directory
        "folder": str(job.folder.absolute()),
    }
    return json.dumps(given).encode() + b"\n"


def read_job(line: bytes) -> Job:
    given = json.loads(line)
    return Job(
        **given
        | {
            "source": Path(given["source"]),
            "folder": Path(given["folder"]),
            "limits": JobLimits(**given["limits"]),
        }
    )


def packed_reply(reply: Reply) -> bytes:
    given = asdict(reply)
    if isinstance(reply, Done):
        for name in _BYTES_FIELDS:
            if content := given["result"][name]:
                given["result"][name] = base64.b64encode(content).decode()
    return json.dumps({type(reply).__name__: given}).encode() + b"\n"


def read_reply(line: bytes) -> Reply:
    """Reads one line of a converting process.

    Raises:
        ValueError: the line is not an answer.
    """
    try:
        ((name, given),) = json.loads(line).items()
        match name:
            case "JobProgress":
                return JobProgress(float(given["done"]))
            case "Refusal":
                return Refusal(str(given["reason"]), bool(given["last"]))
            case "Done":
                return Done(_read_result(given["result"]), bool(given["last"]))
            case _:
                raise ValueError("the answer has an unknown type")
    except (AttributeError, KeyError, TypeError, binascii.Error) as error:
        raise ValueError(f"the answer cannot be read: {type(error).__name__}") from None


def _read_result(given: Mapping[str, Any]) -> JobResult:
    made = given["made"]
    if made is not None and (made != PurePath(made).name or made in {"", ".", ".."}):
        raise ValueError("the made file is not in the folder of its job")
    return JobResult(
        made=made,
        mime_type=_optional(given["mime_type"], str),
        size_bytes=_optional(given["size_bytes"], int),
        sha256=_optional(given["sha256"], str),
        width=_optional(given["width"], int),
        height=_optional(given["height"], int),
        duration_seconds=_optional(given["duration_seconds"], float),
        waveform=_optional(given["waveform"], base64.b64decode),
        thumbnail=_optional(given["thumbnail"], base64.b64decode),
        texts={str(key): _without_surrogates(text) for key, text in given["texts"].items()},
        needs_transcoding=bool(given["needs_transcoding"]),
    )


def _optional(value: Any, read: Callable[[Any], Value]) -> Value | None:  # noqa: ANN401 - JSON may hold anything
    return None if value is None else read(value)


def _without_surrogates(text: str) -> str:
    """Returns the text as UTF-8 can hold it."""
    return text.encode(errors="replace").decode()
