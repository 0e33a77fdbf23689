"""Reads a form with a file (multipart/form-data) in pieces: the file goes to the disk."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.media.disk_reserve import DiskReserve
from gateway.media.file_names import safe_file_name
from gateway.media.spooling import BadFile, Spooled, SpoolFile
from gateway.panel.forms import FORM_LIMIT_BYTES, Form

MULTIPART: Final = "multipart/form-data"
_BOUNDARY = re.compile(r";\s*boundary=\"?([0-9A-Za-z'()+_,./:=? -]{1,70})\"?\s*(?:;|$)")
_PARAMETER = re.compile(rb";\s*(name|filename)=\"([^\"\r\n]*)\"")
_ESCAPED: Final = {"%22": '"', "%0D": " ", "%0A": " "}
_MAX_HEADER_BYTES = 4_096
_MAX_FIELDS = 100
_UNREADABLE = "The form cannot be read"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form, complete on the disk, under the name that the browser gave it."""

    field: str
    file: Spooled
    name: str | None


@dataclass(frozen=True, slots=True)
class _Part:
    """What the header of a part says; `file_name` is None in a part that is a plain field."""

    name: str
    file_name: str | None


def is_multipart(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == MULTIPART


class UploadReader:
    """Reads one form; the fields that stand before its file are known before any of it is stored.

    Args:
        request: has the form in its body.
        path: where the file is written.
        max_bytes: of the file.
        reserve: of the disk.
        check: is called with the fields before the file is stored, and raises where it must not be.
    """

    def __init__(
        self,
        request: Request,
        path: Path,
        *,
        max_bytes: int,
        reserve: DiskReserve | None,
        check: Callable[[Form], None],
    ) -> None:
        found = _BOUNDARY.search(request.headers.get("content-type", ""))
        if found is None:
            raise InvalidRequest(_UNREADABLE)
        self._chunks, self._path, self._check = request.stream(), path, check
        self._max_bytes, self._reserve = max_bytes, reserve
        self._delimiter = b"\r\n--" + found[1].encode()
        self._buffer = bytearray(b"\r\n")
        self._fields: dict[str, list[str]] = {}
        self._field_bytes = 0

    async def read(self) -> tuple[Form, Upload | None]:
        """Returns the fields, and the file where one was chosen.

        Raises:
            InvalidRequest: the form cannot be read, or the file is empty or too large.
            BodyTooLarge: its fields are too large.
            Unavailable: the disk is full.
        """
        async for piece in self._pieces():
            self._count(len(piece))
        upload = None
        while part := await self._next_part():
            if part.file_name is None:
                await self._read_field(part.name)
                continue
            self._check(self._form)
            if upload is not None:
                raise InvalidRequest("Send one file at a time")
            upload = await self._read_file(part.name, part.file_name)
        self._check(self._form)
        return self._form, upload

    @property
    def _form(self) -> Form:
        return Form(self._fields)

    async def _read_field(self, name: str) -> None:
        value = bytearray()
        async for piece in self._pieces():
            self._count(len(piece))
            value += piece
        if b"\0" in value:
            raise InvalidRequest(_UNREADABLE)
        self._fields.setdefault(name, []).append(value.decode(errors="replace"))
        if len(self._fields) > _MAX_FIELDS:
            raise InvalidRequest(_UNREADABLE)

    async def _read_file(self, name: str, file_name: str) -> Upload | None:
        if not file_name:  # none was chosen
            async for piece in self._pieces():
                self._count(len(piece))
            return None
        try:
            with SpoolFile(self._path, max_bytes=self._max_bytes, reserve=self._reserve) as file:
                async for piece in self._pieces():
                    file.write(piece)
                return Upload(name, file.finish(), safe_file_name(file_name))
        except BadFile as error:
            raise InvalidRequest(f"The file {error}") from None

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > FORM_LIMIT_BYTES:
            raise BodyTooLarge(FORM_LIMIT_BYTES)

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yields what comes before the next delimiter, and takes the delimiter, too."""
        while (end := self._buffer.find(self._delimiter)) < 0:
            # The last bytes may be the beginning of a delimiter.
            safe = len(self._buffer) - len(self._delimiter) + 1
            if safe > 0:
                yield bytes(self._buffer[:safe])
                del self._buffer[:safe]
            await self._more()
        if end:
            yield bytes(self._buffer[:end])
        del self._buffer[: end + len(self._delimiter)]

    async def _next_part(self) -> _Part | None:
        """Returns the header of the next part; None after the last one."""
        while len(self._buffer) < len(b"--"):
            await self._more()
        if self._buffer.startswith(b"--"):
            return None
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MAX_HEADER_BYTES:
                raise InvalidRequest(_UNREADABLE)
            await self._more()
        head = bytes(self._buffer[:end])
        del self._buffer[: end + len(b"\r\n\r\n")]
        return _part_of(head)

    async def _more(self) -> None:
        async for chunk in self._chunks:
            if chunk:  # an empty one ends the body, or says nothing
                self._buffer += chunk
                return
        raise InvalidRequest(_UNREADABLE)


def _part_of(head: bytes) -> _Part:
    lines = head.split(b"\r\n")
    disposition = next((ln for ln in lines if ln.lower().startswith(b"content-disposition:")), b"")
    said: Mapping[bytes, bytes] = dict(_PARAMETER.findall(disposition))
    if b"name" not in said:
        raise InvalidRequest(_UNREADABLE)
    name, file_name = said[b"name"], said.get(b"filename")
    return _Part(_text(name), None if file_name is None else _text(file_name))


def _text(value: bytes) -> str:
    text = value.decode(errors="replace")
    for escaped, character in _ESCAPED.items():
        text = text.replace(escaped, character)
    return text
