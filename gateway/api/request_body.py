"""Reads the JSON of a request, within bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from gateway.api.body_spooling import BodySpooler
from gateway.contract.building import holds_nul
from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedContentType

_PATIENCE_SECONDS = 10.0
_MAX_DISCARDED_BYTES = 300_000_000


async def read_json(
    request: Request, *, limit_bytes: int, spooler: BodySpooler | None = None
) -> tuple[bytes, Any]:
    """What tells this body from others, and what it says; an empty body says {}.

    With a *lifter*, files go to disk while they arrive and leave their names.

    Raises:
        BodyTooLarge: it exceeds *limit_bytes*, or what remains without its files exceeds the limit
            of the lifter; the rest is thrown away.
        UnsupportedContentType: there is a body and it is not JSON.
        InvalidRequest: it is broken, or holds a character Postgres cannot keep.
    """
    stream = request.stream()
    pieces = _pieces(request, stream, limit_bytes)
    if spooler is None:
        raw = b"".join([piece async for piece in pieces])
        return raw, _parse(request, raw)
    async for piece in pieces:
        try:
            await spooler.take(piece)
        except BodyTooLarge:
            await _hear_out(stream)
            raise
    return spooler.fingerprint(), _parse(request, spooler.finish())


def _parse(request: Request, raw: bytes) -> Any:  # noqa: ANN401 - JSON may say anything
    if not raw.strip():
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedContentType
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error.msg}") from None
    # Cheap first: an escaped NUL is written so, and so is a harmless backslash before u0000.
    if b"\\u0000" in raw and holds_nul(parsed):
        raise InvalidRequest("The body holds a NUL character")
    return parsed


async def _pieces(
    request: Request, stream: AsyncIterator[bytes], limit_bytes: int
) -> AsyncIterator[bytes]:
    length = request.headers.get("content-length", "")
    announced_bytes = int(length) if length.isdigit() else 0
    size = 0
    try:
        if announced_bytes > limit_bytes:
            if "100-continue" not in request.headers.get("expect", "").lower():
                await _hear_out(stream)
            raise BodyTooLarge(limit_bytes)
        async for piece in stream:
            size += len(piece)
            if size > limit_bytes:
                await _hear_out(stream)
                raise BodyTooLarge(limit_bytes)
            yield piece
    except ClientDisconnect:
        raise InvalidRequest("The body ended before its time") from None


async def _hear_out(stream: AsyncIterator[bytes]) -> None:
    """Throws the rest away, within limits: most clients read no answer before they wrote all."""
    size = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            async for chunk in stream:
                size += len(chunk)
                if size > _MAX_DISCARDED_BYTES:
                    break
