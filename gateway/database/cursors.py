"""Cursors of pages: the place of the last row of a page, as a text that callers give back."""

import base64
import binascii
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from gateway.errors import InvalidRequest

_MAX_LENGTH: Final = 2_000
_MAX_INTEGER: Final = 2**63 - 1

Place = int | str | datetime | UUID


def write_cursor(*places: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(places)).decode()


def read_places(cursor: str, *kinds: type[Place]) -> tuple[Place, ...]:
    """Returns the places of a cursor that `write_cursor` made of values of these kinds.

    Raises:
        InvalidRequest: it is no such cursor.
    """
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor[:_MAX_LENGTH].encode()))
        return tuple(_read(value, kind) for value, kind in zip(values, kinds, strict=True))
    except (ValueError, TypeError, binascii.Error):
        raise InvalidRequest(
            "pagingState: must be the value that the page before returned"
        ) from None


def _read(value: object, kind: type[Place]) -> Place:
    if kind is int:
        if type(value) is int and abs(value) <= _MAX_INTEGER:
            return value
        raise ValueError
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError
    if kind is datetime:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError
        return time
    return UUID(value) if kind is UUID else value
