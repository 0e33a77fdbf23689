"""Reads the body of a request, within limits of size and time."""

import asyncio
import re
from contextlib import suppress

from starlette.requests import Request
from starlette.types import Receive

from gateway.api.body_spooling import BodySpooler
from gateway.api.headers import header_of
from gateway.bounds import whole_number
from gateway.errors import (
    BodyTooLarge,
    InvalidRequest,
    TooManyValues,
    Unavailable,
    UnsupportedContentType,
)

_COMPRESSED = frozenset(
    {"br", "compress", "deflate", "gzip", "snappy", "x-compress", "x-gzip", "zstd"}
)
_TOKEN = re.compile(r"[a-z0-9-]+")
_MAX_BLANK_BYTES = 64
_NO_CONTENT = frozenset({b"", b"[]", b"{}", b"null", b'""'})
"""What clients write where there is no body; PHP writes an empty list."""
_MAX_DISCARD_SECONDS = 10.0
_MAX_DISCARDED_BYTES = 300_000_000


async def read_body(
    request: Request, *, limit_bytes: int, spooler: BodySpooler | None = None
) -> tuple[bytes, bytes]:
    """Returns the fingerprint of a body, and its JSON, not parsed yet.

    With a *spooler*, files go to disk while they arrive, and placeholders take their places.

    Raises:
        BodyTooLarge: the body exceeds *limit_bytes*, or without its files the limit of the
            spooler; the rest of the body is read and dropped.
        TooManyValues: the body holds too many values; the rest of it is read and dropped.
        Unavailable: the disk is full; the rest of the body is read and dropped.
        UnsupportedContentType: the body is not JSON by its Content-Type.
        InvalidRequest: the body ends too early.
    """
    body = _ArrivingBody(request.receive)
    await _check_announced(request, body, limit_bytes)
    pieces, size = list[bytes](), 0
    while not body.is_complete:
        piece = await body.next_piece()
        size += len(piece)
        if size > limit_bytes:
            await body.discard_rest()
            raise BodyTooLarge(limit_bytes)
        if spooler is None:
            pieces.append(piece)
            continue
        try:
            await spooler.feed_in_turns(piece)
        except (BodyTooLarge, TooManyValues, Unavailable):
            await body.discard_rest()
            raise
    if spooler is None:
        raw = b"".join(pieces)
        return raw, _checked(request, raw)
    return spooler.fingerprint(), _checked(request, spooler.finish())


class _ArrivingBody:
    """The pieces of a body while they arrive; each send has one, so it is no generator."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_complete = False

    async def next_piece(self) -> bytes:
        """Returns the next piece, which may be empty.

        Raises:
            InvalidRequest: the client left before the end of the body.
        """
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("The body ended too early: send it whole")
        self.is_complete = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece

    async def discard_rest(self) -> None:
        """Reads and drops the rest: most clients read no answer before they have written all."""
        size = 0
        with suppress(TimeoutError, InvalidRequest):
            async with asyncio.timeout(_MAX_DISCARD_SECONDS):
                while not self.is_complete and size <= _MAX_DISCARDED_BYTES:
                    size += len(await self.next_piece())


async def _check_announced(request: Request, body: _ArrivingBody, limit_bytes: int) -> None:
    """Raises BodyTooLarge if the length that the headers announce exceeds the limit."""
    announced_bytes = whole_number(header_of(request.headers, b"content-length")) or 0
    if announced_bytes > limit_bytes:
        if "100-continue" not in header_of(request.headers, b"expect").lower():
            await body.discard_rest()
        raise BodyTooLarge(limit_bytes)


def _checked(request: Request, raw: bytes) -> bytes:
    """Raises UnsupportedContentType if *raw* has content of another type."""
    if b"".join(raw[:_MAX_BLANK_BYTES].split()) in _NO_CONTENT and len(raw) <= _MAX_BLANK_BYTES:
        return raw
    media_type = header_of(request.headers, b"content-type").partition(";")[0].rstrip().lower()
    if media_type != "application/json":
        raise UnsupportedContentType
    for encoding in _TOKEN.findall(header_of(request.headers, b"content-encoding").lower()):
        if encoding in _COMPRESSED:
            raise UnsupportedContentType(
                f"Content-Encoding {encoding} is not supported: send the body as it is"
            )
    return raw
