"""People with their lid, phone and name, learnt from events that name more than one of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg import AsyncConnection

from gateway.database.pool import fetch_all
from gateway.database.queries import query

_FIND_PEOPLE = query("identities", "find_people")
_STORE_PEOPLE = query("identities", "store_people")
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
    lid: str
    phone: str | None
    name: str | None


def person(phone_or_lid: str, lid: str | None = None, name: str | None = None) -> Person:
    """Makes a Person from the names in an event."""
    if phone_or_lid.endswith(_LID):
        return Person(lid=phone_or_lid, name=name)
    return Person(lid=lid, phone=phone_or_lid, name=name)


async def resolve_people(
    connection: AsyncConnection, instance_id: str, reported: Iterable[Person]
) -> list[Person]:
    """Completes people from the table, and stores what is new; returns them in the same order."""
    people = list(reported)
    if not people:
        return []
    names = {name for p in people for name in (p.lid, p.phone) if name}
    rows = await fetch_all(
        connection, _StoredPerson, _FIND_PEOPLE, instance_id=instance_id, names=sorted(names)
    )
    known: Mapping[str, _StoredPerson] = {
        name: row for row in rows for name in (row.phone, row.lid) if name
    }
    completed = [_completed(p, known) for p in people]
    await _store_new(connection, instance_id, completed, {row.lid: row for row in rows})
    return completed


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
    if news:
        await connection.execute(
            _STORE_PEOPLE,
            {
                "instance_id": instance_id,
                "lids": list(news),
                "phones": [p.phone for p in news.values()],
                "names": [p.name for p in news.values()],
            },
        )
