"""Writes the files in a JSON body to disk while the body arrives.

Strings too long to be text are decoded to disk, and a short placeholder takes their place. The rest
of the body may not exceed a limit, so a body of any size needs about that much memory.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import orjson

from gateway.errors import BodyTooLarge, TooManyValues
from gateway.file_work import FileWork
from gateway.media.disk_reserve import DiskReserve
from gateway.media.spooling import BadFile, Base64File, Spooled, SpoolFile
from gateway.parsing.json_bounds import MAX_VALUES
from gateway.randomness import RandomBytes

# Four bytes for each of the 65,536 characters of the longest text.
MAX_TEXT_BYTES = 262_144
# Once half of the limit is used, shorter strings that look like files go to disk too: a body with
# several small pictures stays below the limit.
_MIN_FILE_BYTES = 4_096
_FILE_BEGINS = re.compile(
    rb'(?:\s|\\[nrt])*(?:data:[^",]{0,1024},|[a-z]+/[^",\s]{1,128},)?(?:base64,)?'
    rb"[a-z0-9+/=_\-\\\s]*",
    re.IGNORECASE,
)
_MAX_FEED_BYTES = 65_536
_MAX_FEED_QUOTES = 500  # a string costs about 2 us, whatever its length
_PLACEHOLDER_BYTES = 16
# Matches complete escapes only: the end of a piece may be the beginning of an escape.
_RUN = re.compile(rb'(?:[^"\\]++|\\[^u]|\\u.{4})*+', re.DOTALL)


class BodySpooler:
    """Takes the pieces of one body, of which *limit_bytes* may remain without its files.

    All bodies share *work*, so that only one piece is decoded at a time and the event loop serves
    other requests between two pieces.
    """

    def __init__(
        self,
        folder: Path,
        work: FileWork,
        random_bytes: RandomBytes,
        *,
        limit_bytes: int,
        reserve: DiskReserve | None = None,
    ) -> None:
        self._folder, self._work, self._limit_bytes = folder, work, limit_bytes
        self._reserve = reserve
        self._prefix = f"file:{random_bytes(_PLACEHOLDER_BYTES).hex()}:"
        self._body = bytearray()
        self._values = 0
        self._escape = b""
        self._start: int | None = None
        """Where the current string begins in the body; None outside strings."""
        self._string: _SpooledString | None = None
        self._files: dict[str, Spooled | BadFile] = {}

    @property
    def files(self) -> Mapping[str, Spooled | BadFile]:
        """The files, or why they cannot be read, by their placeholders."""
        return self._files

    @property
    def sources(self) -> Mapping[str, Path | str]:
        """The paths of the files, or why they cannot be read, by their placeholders."""
        return {
            name: file.path if isinstance(file, Spooled) else str(file)
            for name, file in self._files.items()
        }

    def has_placeholder_in(self, text: str) -> bool:
        """Returns whether *text* holds a placeholder of this body."""
        return self._prefix in text

    async def feed_in_turns(self, piece: bytes) -> None:
        """Feeds *piece* in parts, in turns with other bodies; raises as `feed`.

        The event loop serves others after each part that takes about a millisecond.
        """
        for part in _parts(piece):
            await self._work.do(partial(self.feed, part))

    def feed(self, piece: bytes) -> None:
        """Reads the next piece of the body.

        Raises:
            BodyTooLarge: the body without its files exceeds the limit.
            TooManyValues: it holds more values than the gateway reads at once.
        """
        piece, self._escape = self._escape + piece, b""
        at = 0
        while at < len(piece):
            at = self._outside(piece, at) if self._start is None else self._inside(piece, at)
        # The current string may still become a file, so it does not count yet.
        if (len(self._body) if self._start is None else self._start) > self._limit_bytes:
            raise BodyTooLarge(self._limit_bytes, beside_files=True)
        if self._values > MAX_VALUES:
            raise TooManyValues(MAX_VALUES)

    def finish(self) -> bytes:
        """Returns the body without its files."""
        if self._string:  # the body ends inside a file
            self._string.finish()
            self._string = None
        return bytes(self._body + self._escape)

    def fingerprint(self) -> bytes:
        """Returns bytes that are equal for equal bodies with equal files."""
        files = (f.sha256 if isinstance(f, Spooled) else str(f) for f in self._files.values())
        return b"\n".join(
            (self.finish().replace(self._prefix.encode(), b""), *map(str.encode, files))
        )

    def _outside(self, piece: bytes, at: int) -> int:
        end = piece.find(b'"', at) + 1 or len(piece)
        between = piece[at:end]
        self._values += between.count(b",") + between.count(b"[") + between.count(b"{")
        self._body += between
        if self._body.endswith(b'"'):
            self._start = len(self._body)
        return end

    def _inside(self, piece: bytes, at: int) -> int:
        end = _end_of_run(piece, at)
        self._append(piece[at:end])
        if end == len(piece):
            return end
        if piece[end] == ord("\\"):
            self._escape = piece[end:]
            return len(piece)
        self._close_string()
        return end + 1

    def _append(self, run: bytes) -> None:
        if self._string:
            self._string.feed(run)
            return
        assert self._start is not None
        self._body += run
        if self._is_file():
            self._string = _SpooledString(self._folder / str(len(self._files)), self._reserve)
            self._string.feed(bytes(self._body[self._start :]))
            del self._body[self._start :]

    def _is_file(self) -> bool:
        assert self._start is not None
        size = len(self._body) - self._start
        if size > MAX_TEXT_BYTES:
            return True
        if size < _MIN_FILE_BYTES or len(self._body) * 2 < self._limit_bytes:
            return False
        end = self._start + _MIN_FILE_BYTES
        return _FILE_BEGINS.fullmatch(self._body, self._start, end) is not None

    def _close_string(self) -> None:
        if self._string:
            name = f"{self._prefix}{len(self._files)}"
            self._files[name] = self._string.finish()
            self._body += name.encode()
            self._string = None
        self._body += b'"'
        self._start = None


def _parts(piece: bytes) -> Iterator[bytes]:
    """Yields *piece* in parts with a limited number of bytes and of quotation marks."""
    share = max(1, piece.count(b'"') // _MAX_FEED_QUOTES)
    size = min(_MAX_FEED_BYTES, len(piece) // share + 1)
    for at in range(0, len(piece), size):
        yield piece[at : at + size]


def _end_of_run(piece: bytes, at: int) -> int:
    """Returns where the string ends, or the last complete escape of this piece."""
    quote = piece.find(b'"', at)
    end = len(piece) if quote < 0 else quote
    if piece.find(b"\\", at, end) < 0:
        return end
    run = _RUN.match(piece, at)
    assert run is not None
    return run.end()


class _SpooledString:
    """Decodes a string to disk; `finish` returns an error, because the field may be unused."""

    def __init__(self, path: Path, reserve: DiskReserve | None) -> None:
        self._file = SpoolFile(path, reserve=reserve)
        self._decoded = Base64File(self._file)
        self._error: BadFile | None = None

    def feed(self, run: bytes) -> None:
        if self._error:
            return
        try:
            self._decoded.feed(_unescaped(run))
        except BadFile as error:
            self._error = error

    def finish(self) -> Spooled | BadFile:
        try:
            with self._file:
                return self._error or self._decoded.finish()
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
