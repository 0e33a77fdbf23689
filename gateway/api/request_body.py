"""Path, query and JSON become the declared model, or one clear sentence about what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import ClientDisconnect, Request

from gateway.api.lifting import Lifter
from gateway.contract.wire import Wire
from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedContentType

Command = TypeVar("Command", bound=Wire)

_PATIENCE_SECONDS = 10.0
_MOST_DISCARDED_BYTES = 300_000_000
_WHOLE_SENTENCES = frozenset({"invalid_phone"})
_COMPLAINTS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "datetime_from_date_parsing": "must be a time with an offset, such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "must be a time with an offset, such as 2026-01-31T12:00:00Z",
    "datetime_type": "must be a time with an offset, such as 2026-01-31T12:00:00Z",
    "dict_type": "must be an object",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "missing": "is required",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_type": "must be a text",
    "timezone_aware": "must name its offset, such as 2026-01-31T12:00:00Z",
    "tuple_type": "must be a list",
}


async def read_json(
    request: Request, *, limit_bytes: int, lifter: Lifter | None = None
) -> tuple[bytes, Any]:
    """What tells this body from others, and what it says; an empty body says {}.

    With a *lifter*, files go to disk while they arrive and leave their names.

    Raises:
        BodyTooLarge: it exceeds *limit_bytes*; the rest is thrown away.
        UnsupportedContentType: there is a body and it is not JSON.
        InvalidRequest: it is broken, or holds a character Postgres cannot keep.
    """
    pieces = _pieces(request, limit_bytes)
    if lifter is None:
        raw = b"".join([piece async for piece in pieces])
        return raw, _parse(request, raw)
    async for piece in pieces:
        await lifter.take(piece)
    return lifter.fingerprint(), _parse(request, lifter.finish())


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
    if b"\\u0000" in raw and _holds_nul(parsed):
        raise InvalidRequest("The body holds a NUL character")
    return parsed


async def _pieces(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    length = request.headers.get("content-length", "")
    announced_bytes = int(length) if length.isdigit() else 0
    size, stream = 0, request.stream()
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
                if size > _MOST_DISCARDED_BYTES:
                    break


def _holds_nul(value: object) -> bool:
    unread = [value]  # no recursion: callers decide how deep a body is
    while unread:
        item = unread.pop()
        if isinstance(item, str) and "\x00" in item:
            return True
        if isinstance(item, list):
            unread += item
        elif isinstance(item, dict):
            unread += item.keys()
            unread += item.values()
    return False


def build(
    command: type[Command],
    body: object,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Command:
    """The command as its class declares it; the path wins over the body, the body over the query.

    Raises:
        InvalidRequest: the first thing that is wrong, in one sentence.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object")
    named = path or {}
    values = {**(query or {}), **body, **named, **{to_camel(n): v for n, v in named.items()}}
    for value in (*(query or {}).values(), *(path or {}).values()):
        if "\x00" in value:
            raise InvalidRequest("The address holds a NUL character")
    try:
        return command.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] in _WHOLE_SENTENCES:
        return first["msg"]
    # A field left out is named as in the class, one that is there as on the wire.
    field = ".".join(to_camel(str(part)) for part in first["loc"]) or "The body"
    if first["type"] == "string_too_long":
        return f"{field}: must be at most {first['ctx']['max_length']} characters"
    said = first["msg"].replace("Input should be", "must be")
    if first["type"] == "literal_error":
        said = said.replace("'", "")
    return f"{field}: {_COMPLAINTS.get(first['type'], said)}"
