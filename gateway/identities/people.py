"""Who is who: lids and phones of the same people, learnt from whatever names both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg import AsyncConnection

from gateway.database.pool import fetch_all
from gateway.database.queries import query

_FIND = query("identities", "find_people")
_LEARN = query("identities", "learn_people")
_LID = "@lid"


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of somebody; at least one of lid and phone."""

    lid: str | None = None
    phone: str | None = None
    name: str | None = None

    @property
    def chat(self) -> str | None:
        """How callers name them: by phone, once it is known."""
        return self.phone or self.lid


@dataclass(frozen=True, slots=True)
class _Known:
    lid: str
    phone: str | None
    name: str | None


def person(who: str, lid: str | None = None, name: str | None = None) -> Person:
    """Somebody as an event names them: by phone or lid, perhaps with the lid beside it."""
    if who.endswith(_LID):
        return Person(lid=who, name=name)
    return Person(lid=lid, phone=who, name=name)


async def recognise(
    connection: AsyncConnection, instance_id: str, told: Iterable[Person]
) -> list[Person]:
    """The same people with all that is known of them; what is new is kept."""
    people = list(told)
    if not people:
        return []
    names = {name for p in people for name in (p.lid, p.phone) if name}
    rows = await fetch_all(connection, _Known, _FIND, instance_id=instance_id, names=sorted(names))
    known: Mapping[str, _Known] = {
        name: row for row in rows for name in (row.phone, row.lid) if name
    }
    whole = [_completed(p, known) for p in people]
    await _learn(connection, instance_id, whole, {row.lid: row for row in rows})
    return whole


def _completed(told: Person, known: Mapping[str, _Known]) -> Person:
    """An event is newer than what we know: its pair wins."""
    found = known.get(told.lid or "") or known.get("" if told.lid else told.phone or "")
    if found is None:
        return told
    return Person(
        lid=told.lid or found.lid, phone=told.phone or found.phone, name=told.name or found.name
    )


async def _learn(
    connection: AsyncConnection,
    instance_id: str,
    people: Iterable[Person],
    known: Mapping[str, _Known],
) -> None:
    news = {
        p.lid: p
        for p in people
        if p.lid
        and ((row := known.get(p.lid)) is None or (row.phone, row.name) != (p.phone, p.name))
    }
    if news:
        await connection.execute(
            _LEARN,
            {
                "instance_id": instance_id,
                "lids": list(news),
                "phones": [p.phone for p in news.values()],
                "names": [p.name for p in news.values()],
            },
        )
