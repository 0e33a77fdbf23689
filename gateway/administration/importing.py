"""Instances of a Z-API account, as its partner list (`GET /instances`) shows them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.administration.partner import options_of
from gateway.contract.building import build, holds_nul
from gateway.contract.zapi.partner import CreateInstance
from gateway.errors import InvalidRequest
from gateway.instances.creation import InstanceOptions, Kept
from gateway.public_address import AddressPolicy

_KNOWN = ("id", "token")


@dataclass(frozen=True, slots=True)
class ImportedInstance:
    """An instance that its clients know already."""

    id: str
    token: str
    name: str
    options: InstanceOptions


def read_partner_list(text: str | bytes, policy: AddressPolicy) -> list[ImportedInstance]:
    """What a page of the list says, or the bare array of its `content`, or an array of pages.

    Raises:
        InvalidRequest: the first thing that is wrong, and with which instance.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidRequest("The file is not JSON") from None
    return [_read(number, item, policy) for number, item in enumerate(_items(document), 1)]


def _items(document: object) -> Iterator[object]:
    if isinstance(document, dict) and isinstance(content := document.get("content"), list):
        yield from content
    elif isinstance(document, list):
        for item in document:
            yield from _items(item) if _is_page(item) else [item]
    else:
        raise InvalidRequest("The file holds no list of instances, such as GET /instances answers")


def _is_page(item: object) -> bool:
    return isinstance(item, dict) and "content" in item


def _read(number: int, item: object, policy: AddressPolicy) -> ImportedInstance:
    named = f"instance {number}"
    if not isinstance(item, dict) or not all(isinstance(item.get(n), str) for n in _KNOWN):
        raise InvalidRequest(f"{named}: must have an id and a token")
    if holds_nul(item):
        raise InvalidRequest(f"{named}: holds a NUL character")
    kept = Kept(id=item["id"], token=item["token"])
    try:
        kept.check()
        wanted = build(CreateInstance, {"name": item["id"], **_without_empty(item)})
        options = options_of(wanted, policy)
    except InvalidRequest as error:
        raise InvalidRequest(f"{named} ({item['id']}): {error}") from None
    return ImportedInstance(item["id"], item["token"], wanted.name, options)


def _without_empty(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if value not in (None, "")}
