"""Temporary files on disk, written piece by piece so that no file is whole in memory."""

import asyncio
import binascii
import hashlib
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import unquote

from gateway.errors import GatewayError, Unavailable
from gateway.media.disk import full_disk_translated, make_private_folder, open_private
from gateway.media.disk_reserve import DiskReserve
from gateway.media.file_names import safe_file_name

_WHITESPACE = b" \t\r\n\v\f"
_MARKS = (b"\xef\xbb\xbf", b"\xe2\x80\x8b", b"\xc2\xa0")  # invisible: U+FEFF, U+200B, U+00A0
_MAX_HEADER_BYTES = 1_024
_GROUP = 4
_MIN_UNPADDED_BYTES = 24
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
# What callers write before base64: `data:image/png;base64,`, parts of it, and slips such as
# `data:image/png,base64,`.
_HEADER = re.compile(
    rb"(?:data:)?\s*(?P<type>[\w.+*-]+\\?/[\w.+*-]+)?(?P<parameters>(?:\s*;[^;,]*)*)\s*(?:base64\s*)?",
    re.IGNORECASE,
)
_NAME = re.compile(rb";\s*(?:file)?name\s*=\s*\"?([^;\"]+)", re.IGNORECASE)
_SECOND_HEADER = re.compile(rb"\s*base64\s*,", re.IGNORECASE)
_STALE_SECONDS = 24 * 3600.0
_CHECKED_BYTES = 1024 * 1024  # a look at the disk takes microseconds


class BadFile(GatewayError):
    """A file is unusable; the text is a phrase that follows the name of a field."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A complete file in the spool folder.

    `declared_type` and `declared_name` are what a `data:` header says of it.
    """

    path: Path
    size_bytes: int
    sha256: str
    declared_type: str | None = None
    declared_name: str | None = None


class SpoolFile:
    """A file that is being written; an error inside its `with` block deletes it.

    Every method raises Unavailable if the disk is full. With *reserve*, which is for files that a
    caller or WhatsApp sends, it does so before.
    """

    def __init__(
        self, path: Path, *, max_bytes: int | None = None, reserve: DiskReserve | None = None
    ) -> None:
        self.path, self._max_bytes, self._reserve = path, max_bytes, reserve
        self._unchecked_bytes = 0
        if reserve:
            reserve.check()
        with full_disk_translated():
            self._file: IO[bytes] = _opened(path)
        self._digest = hashlib.sha256()
        self._size = 0

    @property
    def size_bytes(self) -> int:
        """The size so far."""
        return self._size

    def write(self, piece: bytes) -> None:
        """Appends *piece*.

        Raises:
            BadFile: the file exceeds *max_bytes*.
        """
        self._size += len(piece)
        if self._max_bytes is not None and self._size > self._max_bytes:
            raise too_large(self._max_bytes)
        self._check_reserve(len(piece))
        self._digest.update(piece)
        try:
            with full_disk_translated():
                self._file.write(piece)
        except Unavailable:
            self._discard()
            raise

    def _check_reserve(self, size: int) -> None:
        self._unchecked_bytes += size
        if self._reserve is None or self._unchecked_bytes < _CHECKED_BYTES:
            return
        self._unchecked_bytes = 0
        try:
            self._reserve.check()
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

    It takes the usual spellings: without padding, with the URL-safe alphabet, with white space. The
    first piece must hold the whole header.
    """

    def __init__(self, file: SpoolFile) -> None:
        self._file = file
        self._rest = b""
        self._started = self._padded = False
        self._header = _Header()

    def feed(self, piece: bytes) -> None:
        """Decodes *piece*; raises BadFile if it is not base64."""
        if not self._started:
            piece, self._header = _without_header(piece)
            self._started = True
        text = self._rest + piece.translate(_URL_SAFE, _WHITESPACE)
        whole = len(text) - len(text) % _GROUP
        text, self._rest = text[:whole], text[whole:]
        self._decode(text)

    def finish(self) -> Spooled:
        """Returns the decoded file; raises BadFile if the base64 is incomplete or empty."""
        if self._may_lack_padding() and len(self._rest) > 1 and not self._rest.endswith(b"="):
            self._decode(self._rest.ljust(_GROUP, b"="))
        elif self._rest:
            raise BadFile("is not valid base64")
        said = self._header
        return replace(
            self._file.finish(), declared_type=said.mime_type, declared_name=said.file_name
        )

    def _may_lack_padding(self) -> bool:
        """A short text without padding is a word or a path, not a file."""
        return self._header != _Header() or self._file.size_bytes >= _MIN_UNPADDED_BYTES

    def _decode(self, text: bytes) -> None:
        if not text:
            return
        if self._padded:
            raise BadFile("is not valid base64")
        self._padded = text.endswith(b"=")
        try:
            self._file.write(binascii.a2b_base64(text, strict_mode=True))
        except binascii.Error:
            raise BadFile("is not valid base64") from None


class Spool:
    """The local folder of temporary files, on the disk of *reserve*."""

    def __init__(
        self,
        folder: Path,
        reserve: DiskReserve | None = None,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._folder, self.reserve, self._new_uuid = folder, reserve, new_uuid
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

    @asynccontextmanager
    async def folder_on_demand(self) -> AsyncIterator[Path]:
        """Yields the path of a folder that the first SpoolFile in it makes.

        Most requests bring URLs or no files: making and deleting a folder would cost each of them
        more than everything else that is done with it.
        """
        folder = self._folder / self._new_uuid().hex
        try:
            yield folder
        finally:
            if folder.exists():
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def delete_stale(self) -> None:
        """Deletes folders older than a day, which a process that died left behind."""
        oldest = time.time() - _STALE_SECONDS
        for folder in self._folder.iterdir():
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _opened(path: Path) -> IO[bytes]:
    """Opens a private file, and makes its folder if nothing has been written there yet."""
    try:
        return open_private(path)
    except FileNotFoundError:
        make_private_folder(path.parent)
        return open_private(path)


def too_large(max_bytes: int) -> BadFile:
    return BadFile(f"is larger than {max_bytes // (1024 * 1024)} MiB")


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before base64."""

    mime_type: str | None = None
    file_name: str | None = None


def _without_header(piece: bytes) -> tuple[bytes, _Header]:
    piece = piece.lstrip(_WHITESPACE)
    while piece.startswith(_MARKS):
        piece = next(piece.removeprefix(m) for m in _MARKS if piece.startswith(m))
        piece = piece.lstrip(_WHITESPACE)
    text, comma, rest = piece[:_MAX_HEADER_BYTES].partition(b",")
    if not comma:
        if piece[:5].lower() == b"data:":
            raise BadFile("must hold base64 after data:<type>;base64,")
        return piece, _Header()
    found = _HEADER.fullmatch(text)
    if found is None:
        raise BadFile("must hold base64 after data:<type>;base64,")
    rest = _SECOND_HEADER.sub(b"", rest, count=1) if _SECOND_HEADER.match(rest) else rest
    return rest + piece[_MAX_HEADER_BYTES:], _header_of(found)


def _header_of(found: re.Match[bytes]) -> _Header:
    said = (found["type"] or b"").replace(b"\\", b"")  # PHP escapes slashes
    mime_type = said.decode(errors="replace").lower() or None
    name = _NAME.search(found["parameters"])
    return _Header(
        mime_type, safe_file_name(unquote(name[1].decode(errors="replace")) if name else None)
    )
