"""Lifts files out of a JSON body while it arrives.

Strings too long to be text go straight to disk, decoded, and leave a short name in their place.
What remains may not exceed a limit, so a body of any size costs about that much memory.
"""

import asyncio
import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.media.spooling import BadFile, Base64File, Spooled, SpoolFile
from gateway.randomness import RandomBytes

# In bytes; four for each character of the longest text there is.
MAX_TEXT_BYTES = 262_144
# Once half of the limit is used, shorter strings that look like files go to disk, too: several
# small pictures are no reason to refuse a body.
_MIN_FILE_BYTES = 4_096
_FILE_BEGINS = re.compile(rb'(?:data:[^",]{0,1024},)?[A-Za-z0-9+/=_\-\\\s]*')
_TURN_BYTES = 65_536
_NAME_BYTES = 16
# Whole escapes only: what remains of a piece may be the beginning of one.
_RUN = re.compile(rb'(?:[^"\\]++|\\[^u]|\\u.{4})*+', re.DOTALL)


class BodySpooler:
    """Fed with the pieces of one body, of which *limit_bytes* may remain without its files.

    *turns* is shared by all bodies that arrive: one piece is decoded at a time, so that the event
    loop looks after everybody else between two of them.
    """

    def __init__(
        self, folder: Path, turns: asyncio.Lock, random_bytes: RandomBytes, *, limit_bytes: int
    ) -> None:
        self._folder, self._turns, self._limit_bytes = folder, turns, limit_bytes
        self._name = f"lifted:{random_bytes(_NAME_BYTES).hex()}:"
        self._kept = bytearray()
        self._held = b""
        self._start: int | None = None
        """Where the string began that we are in."""
        self._lifting: _BodySpooling | None = None
        self._lifted: dict[str, Spooled | BadFile] = {}

    @property
    def lifted(self) -> Mapping[str, Spooled | BadFile]:
        """The files, or why they are none, by the names left in their places."""
        return self._lifted

    def is_left_in(self, text: str) -> bool:
        """Whether a name of ours stands in *text*."""
        return self._name in text

    async def take(self, piece: bytes) -> None:
        """The same as `feed`, in turns with other bodies."""
        for at in range(0, len(piece), _TURN_BYTES):
            async with self._turns:
                self.feed(piece[at : at + _TURN_BYTES])

    def feed(self, piece: bytes) -> None:
        """Takes the next piece.

        Raises:
            BodyTooLarge: what remains without the files exceeds the limit.
        """
        piece, self._held = self._held + piece, b""
        at = 0
        while at < len(piece):
            at = self._outside(piece, at) if self._start is None else self._inside(piece, at)
        # A string that has not ended may still turn out to be a file.
        if (len(self._kept) if self._start is None else self._start) > self._limit_bytes:
            raise BodyTooLarge(self._limit_bytes, beside_files=True)

    def finish(self) -> bytes:
        """The body without its files."""
        if self._lifting:  # it ends in the middle of one
            self._lifting.finish()
            self._lifting = None
        return bytes(self._kept + self._held)

    def fingerprint(self) -> bytes:
        """What tells this body, its files included, from others."""
        files = (f.sha256 if isinstance(f, Spooled) else str(f) for f in self._lifted.values())
        return b"\n".join(
            (self.finish().replace(self._name.encode(), b""), *map(str.encode, files))
        )

    def _outside(self, piece: bytes, at: int) -> int:
        end = piece.find(b'"', at) + 1 or len(piece)
        self._kept += piece[at:end]
        if self._kept.endswith(b'"'):
            self._start = len(self._kept)
        return end

    def _inside(self, piece: bytes, at: int) -> int:
        end = _end_of_run(piece, at)
        self._append(piece[at:end])
        if end == len(piece):
            return end
        if piece[end] == ord("\\"):
            self._held = piece[end:]
            return len(piece)
        self._close_string()
        return end + 1

    def _append(self, run: bytes) -> None:
        if self._lifting:
            self._lifting.feed(run)
            return
        assert self._start is not None
        self._kept += run
        if self._is_file():
            self._lifting = _BodySpooling(self._folder / str(len(self._lifted)))
            self._lifting.feed(bytes(self._kept[self._start :]))
            del self._kept[self._start :]

    def _is_file(self) -> bool:
        assert self._start is not None
        size = len(self._kept) - self._start
        if size > MAX_TEXT_BYTES:
            return True
        if size < _MIN_FILE_BYTES or len(self._kept) * 2 < self._limit_bytes:
            return False
        end = self._start + _MIN_FILE_BYTES
        return _FILE_BEGINS.fullmatch(self._kept, self._start, end) is not None

    def _close_string(self) -> None:
        if self._lifting:
            name = f"{self._name}{len(self._lifted)}"
            self._lifted[name] = self._lifting.finish()
            self._kept += name.encode()
            self._lifting = None
        self._kept += b'"'
        self._start = None


def _end_of_run(piece: bytes, at: int) -> int:
    """Where the string ends, or the whole escapes of this piece."""
    quote = piece.find(b'"', at)
    end = len(piece) if quote < 0 else quote
    if piece.find(b"\\", at, end) < 0:
        return end
    run = _RUN.match(piece, at)
    assert run is not None
    return run.end()


class _BodySpooling:
    """A string on its way to disk; what is wrong with it is only told to who asks for it."""

    def __init__(self, path: Path) -> None:
        self._file = SpoolFile(path)
        self._decoded = Base64File(self._file)
        self._wrong: BadFile | None = None

    def feed(self, run: bytes) -> None:
        if self._wrong:
            return
        try:
            self._decoded.feed(_unescaped(run))
        except BadFile as error:
            self._wrong = error

    def finish(self) -> Spooled | BadFile:
        try:
            with self._file:
                return self._wrong or self._decoded.finish()
        except BadFile as error:
            return error


def with_files_back(body: Any, lifted: Mapping[str, Spooled | BadFile]) -> Any:  # noqa: ANN401 - JSON may say anything
    """A small body with its files as base64 again, for what takes them so.

    Raises:
        InvalidRequest: one of them is no file.
    """
    if not isinstance(body, dict):
        return body
    return {
        field: _as_base64(field, lifted[value])
        if isinstance(value, str) and value in lifted
        else value
        for field, value in body.items()
    }


def _as_base64(field: str, file: Spooled | BadFile) -> str:
    if isinstance(file, BadFile):
        raise InvalidRequest(f"{field}: {file}")
    return base64.b64encode(file.path.read_bytes()).decode()


def _unescaped(run: bytes) -> bytes:
    if b"\\" not in run:
        return run
    try:
        text: str = orjson.loads(b'"' + run + b'"')
    except orjson.JSONDecodeError:
        raise BadFile("is not valid base64") from None
    return text.encode()
