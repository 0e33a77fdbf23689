"""Writes events as JSON that Postgres can store."""

from collections.abc import Mapping
from typing import Any

import orjson


def stored_text(body: Mapping[str, Any]) -> str:
    """Returns the body as JSON without NUL characters, which Postgres cannot store."""
    text = orjson.dumps(body).decode()
    return orjson.dumps(_without_nul(body)).decode() if "\\u0000" in text else text


def _without_nul(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case str():
            return value.replace("\0", "")
        case dict():
            return {key: _without_nul(item) for key, item in value.items()}
        case list():
            return [_without_nul(item) for item in value]
        case _:
            return value
