"""Converts files in other processes, so that the event loop only waits."""

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


class Converter:
    """Runs a pool of converting processes, which starts with the first file."""

    def __init__(self, *, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    async def convert(self, file: MediaFile, kind: MediaKind, folder: Path) -> MediaFile:
        """Returns the file in WhatsApp's form, with its facts; a document stays as it is.

        Raises:
            BadFile: the file is not of this kind, or cannot be converted.
            TryAgainLater: the converting process died.
        """
        if kind not in _ACCEPTED_TYPES:
            return file
        if not file.mime_type.startswith(_ACCEPTED_TYPES[kind]):
            raise BadFile(f"is {file.mime_type}, not {_DESCRIPTIONS[kind]}")
        pool = self._open_pool()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                pool, _convert, file, kind, folder
            )
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
            raise TryAgainLater("the process that converts the file ended") from None

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _open_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                max_tasks_per_child=_FILES_PER_PROCESS,
            )
        return self._pool


def _begin() -> None:
    from gateway.media.conversions import begin_process  # noqa: PLC0415 - only converting processes load decoders

    begin_process()


def _convert(file: MediaFile, kind: MediaKind, folder: Path) -> MediaFile:
    from gateway.media.conversions import convert  # noqa: PLC0415 - only converting processes load decoders

    return convert(file, kind, folder, _LIMIT_SECONDS)
