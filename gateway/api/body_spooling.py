"""Lifts files out of a JSON body while it arrives.

Strings too long to be text go straight to disk, decoded, and leave a short name in their place:
a body of any size costs a few hundred kilobytes of memory.
"""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import orjson

from gateway.media.spooling import BadFile, Base64File, Spooled, SpoolFile
from gateway.randomness import RandomBytes

# In bytes; four for each character of the longest text there is.
MAX_TEXT_BYTES = 262_144
_TURN_BYTES = 65_536
_NAME_BYTES = 16
# Whole escapes only: what remains of a piece may be the beginning of one.
_RUN = re.compile(rb'(?:[^"\\]++|\\[^u]|\\u.{4})*+', re.DOTALL)


class BodySpooler:
    """Fed with the pieces of one body.

    *turns* is shared by all bodies that arrive: one piece is decoded at a time, so that the event
    loop looks after everybody else between two of them.
    """

    def __init__(self, folder: Path, turns: asyncio.Lock, random_bytes: RandomBytes) -> None:
        self._folder, self._turns = folder, turns
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
        for at in range(0, len(piece), _TURN_BYTES):
            async with self._turns:
                self.feed(piece[at : at + _TURN_BYTES])

    def feed(self, piece: bytes) -> None:
        piece, self._held = self._held + piece, b""
        at = 0
        while at < len(piece):
            at = self._outside(piece, at) if self._start is None else self._inside(piece, at)

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
        if len(self._kept) - self._start > MAX_TEXT_BYTES:
            self._lifting = _BodySpooling(self._folder / str(len(self._lifted)))
            self._lifting.feed(bytes(self._kept[self._start :]))
            del self._kept[self._start :]

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


def _unescaped(run: bytes) -> bytes:
    if b"\\" not in run:
        return run
    try:
        text: str = orjson.loads(b'"' + run + b'"')
    except orjson.JSONDecodeError:
        raise BadFile("is not valid base64") from None
    return text.encode()
