"""Does one job: chooses the function for its kind, and names what is wrong with a file."""

import hashlib
from dataclasses import replace
from pathlib import Path

from gateway.media.jobs import Job, JobResult, OnProgress
from gateway.media.spooling import BadFile

_PICTURES = frozenset({"image", "sticker", "thumbnail"})


def work(job: Job, on_progress: OnProgress = lambda _done: None) -> JobResult:
    """Returns the facts of the job's file; a file that was made is in the job's folder.

    Raises:
        BadFile: the file cannot be read as a file of this kind, or exceeds a limit.
        MemoryError: there is not enough memory for it.
    """
    try:
        result = _do(job, on_progress)
        return _with_digest(result, job.folder) if result.made else result
    except (BadFile, MemoryError):
        raise
    except RecursionError:
        raise BadFile("is nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - decoders raise what a broken file makes them raise
        raise BadFile(f"cannot be read: {type(error).__name__}") from None


def _do(job: Job, on_progress: OnProgress) -> JobResult:
    """Each kind imports only the decoders that it needs."""
    if job.kind in _PICTURES:
        from gateway.media.child.pictures import convert_picture  # noqa: PLC0415

        return convert_picture(job, on_progress)
    if job.kind in {"video", "gif"}:
        from gateway.media.child.moving import convert_moving  # noqa: PLC0415

        return convert_moving(job, on_progress)
    if job.kind == "transcode":
        from gateway.media.child.moving import transcode  # noqa: PLC0415

        return transcode(job, on_progress)
    if job.kind == "audio":
        from gateway.media.child.sounds import convert_sound  # noqa: PLC0415

        return convert_sound(job, on_progress)
    if job.kind == "page":
        from gateway.media.child.pages import read_page  # noqa: PLC0415

        return read_page(job)
    from gateway.media.child.archives import read_archive  # noqa: PLC0415

    return read_archive(job)


def _with_digest(result: JobResult, folder: Path) -> JobResult:
    assert result.made is not None
    path = folder / result.made
    with path.open("rb") as made:
        digest = hashlib.file_digest(made, "sha256").hexdigest()
    return replace(result, size_bytes=path.stat().st_size, sha256=digest)
