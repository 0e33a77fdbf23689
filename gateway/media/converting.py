"""Converts files in other processes, a few at a time; the event loop only waits."""

import asyncio
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from gateway.contract.media import MediaFile, MediaKind
from gateway.errors import TryAgainLater
from gateway.media.spooling import BadFile

_LIMIT_SECONDS = 60
_FILES_PER_PROCESS = 500
_TAKEN: Mapping[MediaKind, tuple[str, ...]] = {
    "image": ("image/",),
    "sticker": ("image/",),
    "thumbnail": ("image/",),
    "gif": ("image/gif", "video/"),
    # Sound comes in the containers of video, too.
    "audio": ("audio/", "video/"),
    "video": ("video/",),
    "ptv": ("video/",),
}
_CALLED: Mapping[MediaKind, str] = {
    "image": "an image",
    "sticker": "an image",
    "thumbnail": "an image",
    "gif": "a GIF or a video",
    "audio": "an audio",
    "video": "a video",
    "ptv": "a video",
}


class Converter:
    """Its processes begin with the first file."""

    def __init__(self, *, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    async def convert(self, file: MediaFile, kind: MediaKind, folder: Path) -> MediaFile:
        """The file as WhatsApp wants it, with what is known of it; a document stays as it is.

        Raises:
            BadFile: it is not what it is meant to be.
            TryAgainLater: the process that worked on it died.
        """
        if kind not in _TAKEN:
            return file
        if not file.mime_type.startswith(_TAKEN[kind]):
            raise BadFile(f"is {file.mime_type}, not {_CALLED[kind]}")
        pool = self._living_pool()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                pool, _convert, file, kind, folder
            )
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
            raise TryAgainLater("the conversion of the file broke off") from None

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _living_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                max_tasks_per_child=_FILES_PER_PROCESS,
            )
        return self._pool


def _begin() -> None:
    from gateway.media.conversions import begin_process  # noqa: PLC0415 - decoders stay over there

    begin_process()


def _convert(file: MediaFile, kind: MediaKind, folder: Path) -> MediaFile:
    from gateway.media.conversions import convert  # noqa: PLC0415 - decoders stay over there

    return convert(file, kind, folder, _LIMIT_SECONDS)
