"""Reads the instances of a Z-API account from its partner list (`GET /instances`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.administration.partner import options_of
from gateway.contract.building import build, holds_nul
from gateway.contract.zapi.partner import CreateInstance
from gateway.errors import InvalidRequest
from gateway.instances.creation import ExistingCredentials, InstanceOptions
from gateway.public_address import AddressPolicy

_REQUIRED = ("id", "token")


@dataclass(frozen=True, slots=True)
class ImportedInstance:
    """An instance to make, with the id and token that its clients use already."""

    id: str
    token: str
    name: str
    options: InstanceOptions


def read_partner_list(text: str | bytes, policy: AddressPolicy) -> list[ImportedInstance]:
    """Reads a page of the list, the bare array of its `content`, or an array of pages.

    Raises:
        InvalidRequest: names the first instance that is wrong, and its field.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidRequest("The file is not JSON: save the answer of GET /instances") from None
    return [_read(number, item, policy) for number, item in enumerate(_items(document), 1)]


def _items(document: object) -> Iterator[object]:
    if isinstance(document, dict) and isinstance(content := document.get("content"), list):
        yield from content
    elif isinstance(document, list):
        for item in document:
            yield from _items(item) if _is_page(item) else [item]
    else:
        raise InvalidRequest(
            "The file holds no list of instances: save the answer of GET /instances"
        )


def _is_page(item: object) -> bool:
    return isinstance(item, dict) and "content" in item


def _read(number: int, item: object, policy: AddressPolicy) -> ImportedInstance:
    named = f"instance {number}"
    if not isinstance(item, dict) or not all(isinstance(item.get(n), str) for n in _REQUIRED):
        raise InvalidRequest(f"{named}: must have an id and a token")
    if holds_nul(item):
        raise InvalidRequest(f"{named}: holds a NUL character")
    credentials = ExistingCredentials(id=item["id"], token=item["token"])
    try:
        credentials.check()
        wanted = build(CreateInstance, {"name": item["id"], **_without_empty(item)})
        options = options_of(wanted, policy)
    except InvalidRequest as error:
        raise InvalidRequest(f"{named} ({item['id']}): {error}") from None
    return ImportedInstance(item["id"], item["token"], wanted.name, options)


def _without_empty(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if value not in (None, "")}
