"""Temporary files on disk, written piece by piece so that no file is whole in memory."""

import asyncio
import binascii
import hashlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from gateway.errors import GatewayError, Unavailable
from gateway.media.disk import full_disk_translated, make_private_folder, open_private

_WHITESPACE = b" \t\r\n"
_MAX_HEADER_BYTES = 1_024
_STALE_SECONDS = 24 * 3600.0


class BadFile(GatewayError):
    """A file is unusable; the text is a phrase that follows the name of a field."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A complete file in the spool folder."""

    path: Path
    size_bytes: int
    sha256: str


class SpoolFile:
    """A file that is being written; an error inside its `with` block deletes it.

    Every method raises Unavailable if the disk is full.
    """

    def __init__(self, path: Path, *, max_bytes: int | None = None) -> None:
        self.path, self._max_bytes = path, max_bytes
        with full_disk_translated():
            self._file: IO[bytes] = open_private(path)
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Appends *piece*.

        Raises:
            BadFile: the file exceeds *max_bytes*.
        """
        self._size += len(piece)
        if self._max_bytes is not None and self._size > self._max_bytes:
            raise too_large(self._max_bytes)
        self._digest.update(piece)
        try:
            with full_disk_translated():
                self._file.write(piece)
        except Unavailable:
            self._discard()
            raise

    def finish(self) -> Spooled:
        """Closes the file and returns it.

        Raises:
            BadFile: the file is empty.
        """
        with full_disk_translated():
            self._file.close()
        if not self._size:
            raise BadFile("is an empty file")
        return Spooled(self.path, self._size, self._digest.hexdigest())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            with full_disk_translated():
                self._file.close()
        else:
            self._discard()

    def _discard(self) -> None:
        with suppress(OSError):  # a full disk refuses what is still in the buffer
            self._file.close()
        self.path.unlink(missing_ok=True)


class Base64File:
    """Decodes base64 that arrives in pieces, with or without a `data:` header.

    The first piece must hold the whole header.
    """

    def __init__(self, file: SpoolFile) -> None:
        self._file = file
        self._rest = b""
        self._started = self._padded = False

    def feed(self, piece: bytes) -> None:
        """Decodes *piece*; raises BadFile if it is not base64."""
        if not self._started:
            piece, self._started = _without_header(piece), True
        text = self._rest + piece.translate(None, _WHITESPACE)
        whole = len(text) - len(text) % 4
        text, self._rest = text[:whole], text[whole:]
        if not text:
            return
        if self._padded:
            raise BadFile("is not valid base64")
        self._padded = text.endswith(b"=")
        try:
            self._file.write(binascii.a2b_base64(text, strict_mode=True))
        except binascii.Error:
            raise BadFile("is not valid base64") from None

    def finish(self) -> Spooled:
        """Returns the decoded file; raises BadFile if the base64 is incomplete or empty."""
        if self._rest:
            raise BadFile("is not valid base64")
        return self._file.finish()


class Spool:
    """The local folder of temporary files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_private_folder(folder)

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """Makes a folder that is deleted, with its files, when the block ends."""
        with full_disk_translated():
            folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield folder
        finally:
            # Deleting a large file blocks for a while.
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def delete_stale(self) -> None:
        """Deletes folders older than a day, which a process that died left behind."""
        oldest = time.time() - _STALE_SECONDS
        for folder in self._folder.iterdir():
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def too_large(max_bytes: int) -> BadFile:
    return BadFile(f"is larger than {max_bytes // (1024 * 1024)} MiB")


def _without_header(piece: bytes) -> bytes:
    if piece[:5].lower() != b"data:":
        return piece
    header, comma, rest = piece[:_MAX_HEADER_BYTES].partition(b",")
    if not comma or not header.rstrip().lower().endswith(b";base64"):
        raise BadFile("must hold base64 after data:<type>;base64,")
    return rest + piece[_MAX_HEADER_BYTES:]
