"""Has files read and converted by other processes, so that the event loop only waits."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from gateway.contract.media import MediaFile, MediaKind
from gateway.errors import TryAgainLater, Unavailable
from gateway.media.job_pool import CountJob, JobPool
from gateway.media.jobs import Job, JobKind, JobLimits, JobResult
from gateway.media.sniffing import recognise
from gateway.media.spooling import BadFile
from gateway.media.turns import Turns, WaitingLimits

_MIB = 1024 * 1024
_JOB_KINDS: Mapping[MediaKind, JobKind] = {
    "image": "image",
    "sticker": "sticker",
    "thumbnail": "thumbnail",
    "gif": "gif",
    "audio": "audio",
    "video": "video",
    "ptv": "video",
}
_ACCEPTED_TYPES: Mapping[MediaKind, tuple[str, ...]] = {
    "image": ("image/",),
    "sticker": ("image/",),
    "thumbnail": ("image/",),
    "gif": ("image/gif", "video/"),
    # Containers of video may hold sound alone.
    "audio": ("audio/", "video/"),
    "video": ("video/",),
    "ptv": ("video/",),
}
_DESCRIPTIONS: Mapping[MediaKind, str] = {
    "image": "an image",
    "sticker": "an image",
    "thumbnail": "an image",
    "gif": "a GIF or a video",
    "audio": "an audio",
    "video": "a video",
    "ptv": "a video",
}
# A page and the directory of an archive are read in a moment. They have a process of their own, so
# that the preview of a link does not wait for videos.
_READING_LIMITS = JobLimits(cpu_seconds=2, memory_bytes=512 * _MIB, max_output_bytes=_MIB)
_READING_PROCESSES = 1
_ARCHIVE_SECONDS = 10.0

AccountOf = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many files are converted at the same time, in all and of one account.

    Videos that take minutes have processes of their own, so that no picture waits for them.
    """

    processes: int = 2
    share: int = 1
    video_processes: int = 1
    waiting: WaitingLimits = field(default_factory=WaitingLimits)

    @classmethod
    def of(
        cls, *, processes: int, share: int, waiting: WaitingLimits, video_processes: int = 1
    ) -> Self:
        """Without a *share* (0), an account may use all processes but one."""
        share = min(share, processes) or max(1, processes - 1)
        return cls(processes, share, video_processes, waiting)

    @property
    def video_share(self) -> int:
        """How many of its videos may be transcoded at the same time for one account."""
        return max(1, self.video_processes - 1)


class Converter:
    """Runs three pools of processes: for files, for videos that take minutes, for pages."""

    def __init__(
        self,
        capacity: Capacity,
        limits: JobLimits,
        account_of: AccountOf,
        *,
        count: CountJob = lambda _kind, _outcome: None,
    ) -> None:
        """Starts no process yet.

        Args:
            capacity: how many files are converted at the same time.
            limits: of each conversion.
            account_of: returns the account of an instance; accounts take turns.
            count: counts the jobs.
        """
        waiting, self._account_of = capacity.waiting, account_of
        self.conversions = JobPool(
            Turns(places=capacity.processes, share=capacity.share, limits=waiting),
            limits,
            count=count,
        )
        self.transcodings = JobPool(
            Turns(places=capacity.video_processes, share=capacity.video_share, limits=waiting),
            replace(limits, cpu_seconds=limits.video_cpu_seconds),
            count=count,
        )
        self.readings = JobPool(
            Turns(places=_READING_PROCESSES, share=_READING_PROCESSES, limits=waiting),
            _READING_LIMITS,
            count=count,
        )

    async def convert(
        self,
        file: MediaFile,
        kind: MediaKind,
        folder: Path,
        *,
        instance_id: str,
        patient: bool = True,
    ) -> MediaFile:
        """Returns the file in WhatsApp's form, with its facts; a document stays as it is.

        Args:
            file: the file as it came.
            kind: what it is to be.
            folder: where a converted file is written.
            instance_id: whose file it is.
            patient: wait for the account's turn however long the list is.

        Raises:
            BadFile: the file is not of this kind, exceeds a limit, or cannot be converted.
            TryAgainLater: the machine is too busy.
            Unavailable: too many files wait, for a caller who is not patient.
        """
        if kind not in _ACCEPTED_TYPES:
            return file
        if not file.mime_type.startswith(_ACCEPTED_TYPES[kind]):
            raise BadFile(f"is {file.mime_type}, not {_DESCRIPTIONS[kind]}")
        pool = self.conversions
        job = Job(
            _JOB_KINDS[kind],
            file.path,
            file.mime_type,
            file.size_bytes,
            folder,
            pool.limits,
        )
        account_id = await self._account_of(instance_id)
        result = await pool.run(job, account_id=account_id, patient=patient)
        if result.needs_transcoding:
            pool = self.transcodings
            longer = replace(job, kind="transcode", limits=pool.limits)
            result = await pool.run(longer, account_id=account_id, patient=patient)
        return with_facts(file, folder, result)

    async def type_of(
        self,
        path: Path,
        file_name: str | None,
        *,
        instance_id: str,
        declared_type: str | None = None,
    ) -> str:
        """Returns the MIME type of a file.

        It follows from the first bytes, and from its name or its declared type. Only for an
        archive that these leave undecided are the names of its files read as well, if that
        succeeds within a moment.
        """
        found = await asyncio.to_thread(recognise, path, file_name, declared_type)
        if not found.undecided:
            return found.mime_type
        try:
            async with asyncio.timeout(_ARCHIVE_SECONDS):
                texts = await self.read("archive", path, instance_id=instance_id, patient=False)
        except (BadFile, TryAgainLater, Unavailable, TimeoutError):
            return found.mime_type
        return texts.get("mime_type", found.mime_type)

    async def read(
        self, kind: JobKind, path: Path, *, instance_id: str, patient: bool = True
    ) -> Mapping[str, str]:
        """Returns the texts of a web page, or the type of the document in an archive.

        Raises:
            BadFile: the file cannot be read.
            TryAgainLater: the machine is too busy.
            Unavailable: too many files wait, for a caller who is not patient.
        """
        job = Job(kind, path, "", 0, path.parent, self.readings.limits)
        account_id = await self._account_of(instance_id)
        result = await self.readings.run(job, account_id=account_id, patient=patient)
        return result.texts

    async def close(self) -> None:
        """Ends the processes."""
        await self.conversions.close()
        await self.transcodings.close()
        await self.readings.close()


def with_facts(file: MediaFile, folder: Path, result: JobResult) -> MediaFile:
    if result.made:
        file = replace(
            file,
            path=folder / result.made,
            size_bytes=result.size_bytes or 0,
            sha256=result.sha256 or "",
        )
    return replace(
        file,
        mime_type=result.mime_type or file.mime_type,
        width=result.width,
        height=result.height,
        duration_seconds=result.duration_seconds,
        waveform=result.waveform,
        thumbnail=result.thumbnail,
    )
