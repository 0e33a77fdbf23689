"""Deletes what the provider stores of a person."""

from collections.abc import Iterator

import orjson

from gateway.sessions.provider import ErasedPerson, ProviderQueries

_MAPPING = "lid-mapping"
_REVERSE = "_reverse"
_NAMING = ("sender-key-memory", "tctoken", "device-list")
"""Kinds of keys whose values name people."""


async def erase_person(queries: ProviderQueries, instance_id: str, person: ErasedPerson) -> int:
    """Deletes events and keys of a person; returns the row count.

    Keys of groups that name the person are deleted too: they are made again with the next message.
    """
    users = {address.partition("@")[0] for address in person.addresses}
    named = []
    for row in await queries.fetch("list_keys", instance_id=instance_id, kind=_MAPPING):
        other = _text(row["value"])
        if row["id"].removesuffix(_REVERSE) in users or other in users:
            named.append(row["id"])
            users |= {row["id"].removesuffix(_REVERSE)} | ({other} if other else set())
    for kind in _NAMING:
        rows = await queries.fetch("list_keys", instance_id=instance_id, kind=kind)
        named += [row["id"] for row in rows if _names(row["value"], users)]
    (row,) = await queries.fetch(
        "erase_person",
        instance_id=instance_id,
        users=sorted(users),
        message_ids=list(person.provider_message_ids),
        ids=named,
    )
    return int(row["erased"])


def _text(value: str | None) -> str | None:
    found = _parsed(value)
    return found if isinstance(found, str) else None


def _names(value: str | None, users: set[str]) -> bool:
    return any(user in text for text in _texts(_parsed(value)) for user in users)


def _parsed(value: str | None) -> object:
    try:
        return orjson.loads(value or "null")
    except orjson.JSONDecodeError:  # no key opens it
        return None


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from value
            yield from _texts(list(value.values()))
        case list():
            for item in value:
                yield from _texts(item)
        case _:
            return
