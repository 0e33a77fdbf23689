"""People with their names: a lid, and a phone that has several spellings.

Events name people, and a look-up says which spelling of a number WhatsApp knows. All names of one
person are one chat: `names_of` is the one place that says which names those are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection

from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.identities.numbers import spellings

_FIND_PEOPLE = query("identities", "find_people")
_FIND_NAMES = query("identities", "find_names")
_STORE_PEOPLE = query("identities", "store_people")
_STORE_NUMBERS = query("identities", "store_numbers")
_MERGE_CHATS = query("identities", "merge_chats")
_LID = "@lid"


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a person."""

    lid: str | None = None
    phone: str | None = None
    name: str | None = None

    @property
    def chat(self) -> str | None:
        """How callers name the person: by phone if it is known, else by lid."""
        return self.phone or self.lid


@dataclass(frozen=True, slots=True)
class _StoredPerson:
    instance_id: str
    lid: str
    phone: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class ChatNames:
    """All names of one chat, and the one under which it is listed: as WhatsApp knows the person."""

    chat: str
    every: list[str]


@dataclass(frozen=True, slots=True)
class _FoundName:
    name: str
    phone: str
    lid: str | None


async def names_of(database: Database, instance_id: str, name: str) -> ChatNames:
    """Returns the names of the chat that has this name; raises DatabaseUnavailable."""
    if not _is_person(name):
        return ChatNames(name, [name])
    async with database.connection() as connection:
        return await names_within(connection, instance_id, name)


async def chats_of(database: Database, instance_id: str, names: Iterable[str]) -> dict[str, str]:
    """Returns the name under which each of these chats is listed; raises DatabaseUnavailable."""
    wanted = list(dict.fromkeys(names))
    asked = sorted({each for name in wanted if _is_person(name) for each in spellings(name)})
    rows = await database.fetch_all(_FoundName, _FIND_NAMES, instance_id=instance_id, names=asked)
    return {name: _chat_of(name, rows) for name in wanted}


async def names_within(connection: AsyncConnection, instance_id: str, name: str) -> ChatNames:
    """Returns the same as `names_of`, within a transaction."""
    if not _is_person(name):
        return ChatNames(name, [name])
    rows = await fetch_all(
        connection,
        _FoundName,
        _FIND_NAMES,
        instance_id=instance_id,
        names=list(spellings(name)),
    )
    every = dict.fromkeys(spellings(name))
    for row in rows:
        every |= dict.fromkeys((*spellings(row.phone), *filter(None, (row.lid,))))
    return ChatNames(_chat_of(name, rows), list(every))


def _is_person(name: str) -> bool:
    return name.isdigit() or name.endswith(_LID)


def _chat_of(name: str, rows: Iterable[_FoundName]) -> str:
    """Prefers what is known of exactly this name to what is known of its other spelling."""
    by_name = {row.name: row.phone for row in rows}
    return next((by_name[each] for each in spellings(name) if each in by_name), name)


def person(phone_or_lid: str, lid: str | None = None, name: str | None = None) -> Person:
    """Makes a Person from the names in an event."""
    if phone_or_lid.endswith(_LID):
        return Person(lid=phone_or_lid, name=name)
    return Person(lid=lid, phone=phone_or_lid, name=name)


async def resolve_people(
    connection: AsyncConnection, instance_id: str, reported: Iterable[Person]
) -> list[Person]:
    """Completes people from the table, and stores what is new; returns them in the same order."""
    (people,) = await resolve_people_of(connection, [(instance_id, list(reported))])
    return people


async def resolve_people_of(
    connection: AsyncConnection, reported: Sequence[tuple[str, Sequence[Person]]]
) -> list[list[Person]]:
    """Does the same for people of several instances, each named once, with one look-up."""
    wanted = sorted(
        {
            (instance_id, name)
            for instance_id, people in reported
            for each in people
            for name in (each.lid, each.phone)
            if name
        }
    )
    if not wanted:
        return [list(people) for _, people in reported]
    rows = await fetch_all(
        connection,
        _StoredPerson,
        _FIND_PEOPLE,
        instance_ids=[instance_id for instance_id, _ in wanted],
        names=[name for _, name in wanted],
    )
    resolved = []
    for instance_id, people in reported:
        stored = [row for row in rows if row.instance_id == instance_id]
        known = {name: row for row in stored for name in (row.phone, row.lid) if name}
        resolved.append([_completed(each, known) for each in people])
        await _store_new(connection, instance_id, resolved[-1], {row.lid: row for row in stored})
    return resolved


def _completed(reported: Person, known: Mapping[str, _StoredPerson]) -> Person:
    """The event is newer than the table: what it says wins."""
    found = known.get(reported.lid or "") or known.get("" if reported.lid else reported.phone or "")
    if found is None:
        return reported
    return Person(
        lid=reported.lid or found.lid,
        phone=reported.phone or found.phone,
        name=reported.name or found.name,
    )


async def _store_new(
    connection: AsyncConnection,
    instance_id: str,
    people: Iterable[Person],
    known: Mapping[str, _StoredPerson],
) -> None:
    news = {
        p.lid: p
        for p in people
        if p.lid
        and ((row := known.get(p.lid)) is None or (row.phone, row.name) != (p.phone, p.name))
    }
    if not news:
        return
    await connection.execute(
        _STORE_PEOPLE,
        {
            "instance_id": instance_id,
            "lids": list(news),
            "phones": [p.phone for p in news.values()],
            "names": [p.name for p in news.values()],
        },
    )
    numbers = {
        lid: p.phone
        for lid, p in news.items()
        if p.phone and ((row := known.get(lid)) is None or row.phone != p.phone)
    }
    if numbers:
        await _store_numbers(connection, instance_id, numbers)


async def _store_numbers(
    connection: AsyncConnection, instance_id: str, numbers: Mapping[str, str]
) -> None:
    """Stores how WhatsApp knows the spellings of these phones, and moves the chats of the lids."""
    known = [(spelling, phone) for phone in numbers.values() for spelling in spellings(phone)]
    await connection.execute(
        _STORE_NUMBERS,
        {
            "instance_ids": [instance_id] * len(known),
            "spellings": [spelling for spelling, _ in known],
            "phones": [phone for _, phone in known],
        },
    )
    await connection.execute(
        _MERGE_CHATS,
        {
            "instance_id": instance_id,
            "lids": list(numbers),
            "phones": list(numbers.values()),
        },
    )
