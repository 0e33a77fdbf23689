"""The table of limits: which field of which route may hold how much."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract.catalogue import Catalogue
from gateway.contract.send import OutgoingMessage
from gateway.documents.surface import file_limits_of, limits_of

_SHARED = frozenset(OutgoingMessage.model_fields)
_TEXT_OF_A_FILE = 1_000_000
"""No text is as long: the field may hold a file."""


def limits_table(catalogue: Catalogue) -> Iterator[str]:
    """Yields a row per field and limit, with the routes that have it."""
    routes: dict[tuple[str, str], list[str]] = {}
    for kind, send in sorted(catalogue.sends.items()):
        for limit in dict.fromkeys([*limits_of(send), *_lengths(send), *file_limits_of(send)]):
            routes.setdefault(limit, []).append(f"`/{kind}`")
    yield "| field | limit | routes |"
    yield "| --- | --- | --- |"
    for (field, requirement), kinds in sorted(routes.items()):
        shown = requirement.removeprefix("must ").removeprefix("be ")
        yield f"| `{field}` | {shown} | {', '.join(kinds)} |"


def _lengths(send: type[OutgoingMessage]) -> Iterator[tuple[str, str]]:
    """Yields the lengths that the fields themselves declare, where no limit is tighter."""
    limited = {path for path, requirement in limits_of(send) if "characters" in requirement}
    schema = send.model_json_schema(by_alias=True)
    for name, field in schema["properties"].items():
        if name in _SHARED:
            continue
        for path, length in _texts(name, field, schema.get("$defs", {})):
            if path not in limited:
                yield path, f"must be at most {length} characters"


def _texts(
    path: str, schema: Mapping[str, Any], shared: Mapping[str, Any]
) -> Iterator[tuple[str, int]]:
    """Yields the texts with a length in a JSON schema, however deep."""
    if reference := schema.get("$ref"):
        inner = shared[reference.rpartition("/")[2]]
        for name, field in inner.get("properties", {}).items():
            yield from _texts(f"{path}.{name}", field, shared)
    for choice in schema.get("anyOf", ()):
        yield from _texts(path, choice, shared)
    if isinstance(items := schema.get("items"), dict):
        yield from _texts(f"{path}[]", items, shared)
    length = schema.get("maxLength", _TEXT_OF_A_FILE)
    if length < _TEXT_OF_A_FILE:
        yield path, length
