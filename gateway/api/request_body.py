"""Reads the body of a request, within limits of size and time."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request

from gateway.api.body_spooling import BodySpooler
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
    stream = request.stream()
    pieces = _pieces(request, stream, limit_bytes)
    if spooler is None:
        raw = b"".join([piece async for piece in pieces])
        return raw, _checked(request, raw)
    async for piece in pieces:
        try:
            await spooler.feed_in_turns(piece)
        except (BodyTooLarge, TooManyValues, Unavailable):
            await _discard_rest(stream)
            raise
    return spooler.fingerprint(), _checked(request, spooler.finish())


def _checked(request: Request, raw: bytes) -> bytes:
    """Raises UnsupportedContentType if *raw* has content of another type."""
    if b"".join(raw[:_MAX_BLANK_BYTES].split()) in _NO_CONTENT and len(raw) <= _MAX_BLANK_BYTES:
        return raw
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedContentType
    for encoding in _TOKEN.findall(request.headers.get("content-encoding", "").lower()):
        if encoding in _COMPRESSED:
            raise UnsupportedContentType(
                f"Content-Encoding {encoding} is not supported: send the body as it is"
            )
    return raw


async def _pieces(
    request: Request, stream: AsyncIterator[bytes], limit_bytes: int
) -> AsyncIterator[bytes]:
    announced_bytes = whole_number(request.headers.get("content-length", "")) or 0
    size = 0
    try:
        if announced_bytes > limit_bytes:
            if "100-continue" not in request.headers.get("expect", "").lower():
                await _discard_rest(stream)
            raise BodyTooLarge(limit_bytes)
        async for piece in stream:
            size += len(piece)
            if size > limit_bytes:
                await _discard_rest(stream)
                raise BodyTooLarge(limit_bytes)
            yield piece
    except ClientDisconnect:
        raise InvalidRequest("The body ended too early: send it whole") from None


async def _discard_rest(stream: AsyncIterator[bytes]) -> None:
    """Reads and drops the rest: most clients read no answer before they have written all."""
    size = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_MAX_DISCARD_SECONDS):
            async for chunk in stream:
                size += len(chunk)
                if size > _MAX_DISCARDED_BYTES:
                    break
