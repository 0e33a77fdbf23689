"""Entities of the simulated WhatsApp: reads them, and changes one and emits its events at once.

change(Group, id, alter):  find -> alter (raises, or changes the entity and emits events) -> write
                             ^                                                          |
                             +--------- again if another change was written meanwhile -+
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, PrivateAttr

from gateway.errors import NotFound
from gateway.providers.sandbox.stored_events import Body
from gateway.sessions.provider import ProviderStore

Answer = TypeVar("Answer")
_MAX_ATTEMPTS = 100
_ALL = 100_000


class Entity(BaseModel):
    """A stored object; a change of it may `emit` events to phone numbers."""

    kind: ClassVar[str]
    _emitted: list[tuple[str, Body]] = PrivateAttr(default_factory=list)

    def emit(self, phones: Iterable[str], body: Body) -> None:
        self._emitted += [(phone, body) for phone in phones]

    @property
    def emitted(self) -> list[tuple[str, Body]]:
        return self._emitted


Kind = TypeVar("Kind", bound=Entity)


@dataclass(frozen=True, slots=True)
class StoredEntity(Generic[Kind]):
    """An entity as it was read."""

    instance_id: str
    id: str
    version: int
    entity: Kind


class Entities:
    """Reads and changes entities; every method may raise DatabaseUnavailable."""

    def __init__(self, store: ProviderStore) -> None:
        self._store = store

    async def find(
        self, kind: type[Kind], id_: str, *, of: str | None = None
    ) -> StoredEntity[Kind] | None:
        """Returns the entity of this id; with *of*, only if that instance owns it."""
        rows = await self._store.fetch("find_entity", kind=kind.kind, id=id_, instance_id=of)
        return _stored(kind, rows[0]) if rows else None

    async def get(self, kind: type[Kind], id_: str, *, of: str | None = None) -> StoredEntity[Kind]:
        """Returns the same as `find`; raises NotFound if there is none."""
        if stored := await self.find(kind, id_, of=of):
            return stored
        raise no_such(kind)

    async def invited(self, kind: type[Kind], invite: str) -> StoredEntity[Kind] | None:
        rows = await self._store.fetch("find_invited", kind=kind.kind, invite=invite)
        return _stored(kind, rows[0]) if rows else None

    async def own(
        self, kind: type[Kind], instance_id: str, *, after: str = "", max_count: int = _ALL
    ) -> list[StoredEntity[Kind]]:
        rows = await self._store.fetch(
            "list_own_entities",
            instance_id=instance_id,
            kind=kind.kind,
            after=after,
            max_count=max_count,
        )
        return [_stored(kind, row) for row in rows]

    async def joined(self, kind: type[Kind], phone: str) -> list[StoredEntity[Kind]]:
        """Returns the entities that *phone* is a member of."""
        rows = await self._store.fetch("list_joined_entities", kind=kind.kind, phone=phone)
        return [_stored(kind, row) for row in rows]

    async def of_community(self, kind: type[Kind], community: str) -> list[StoredEntity[Kind]]:
        rows = await self._store.fetch("list_linked", kind=kind.kind, community=community)
        return [_stored(kind, row) for row in rows]

    async def search(self, kind: type[Kind], text: str, max_count: int) -> list[StoredEntity[Kind]]:
        rows = await self._store.fetch(
            "search_entities", kind=kind.kind, text=text, max_count=max_count
        )
        return [_stored(kind, row) for row in rows]

    async def add(self, entity: Entity, id_: str, *, of: str) -> None:
        await self._write(StoredEntity(of, id_, 0, entity))

    async def change(
        self,
        kind: type[Kind],
        id_: str,
        alter: Callable[[Kind], Answer],
        *,
        of: str | None = None,
        missing: Callable[[], Kind] | None = None,
    ) -> Answer:
        """Changes an entity with *alter* and returns its answer once the change is committed.

        *alter* may raise, and it runs again if another change was written meanwhile. If the
        entity does not exist, it changes the one that *missing* makes.

        Raises:
            NotFound: the entity does not exist and *missing* is not given.
        """
        for _ in range(_MAX_ATTEMPTS):
            stored = await self.find(kind, id_, of=of)
            if stored is None:
                if missing is None or of is None:
                    raise no_such(kind)
                stored = StoredEntity(of, id_, 0, missing())
            before = stored.entity.model_dump_json()
            answer = alter(stored.entity)
            if stored.version and before == stored.entity.model_dump_json():
                return answer
            if await self._write(stored):
                return answer
        raise RuntimeError(
            f"a {kind.kind} changed {_MAX_ATTEMPTS} times while it was being changed"
        )

    async def remove(self, kind: type[Entity], instance_id: str, *ids: str) -> int:
        rows = await self._store.fetch(
            "remove_entities", instance_id=instance_id, kind=kind.kind, ids=list(ids)
        )
        return len(rows)

    async def owner_of(self, phone: str) -> str | None:
        """Returns the instance of this number."""
        rows = await self._store.fetch("find_number", phone=phone)
        return rows[0]["instance_id"] if rows else None

    async def linked(self, phones: Sequence[str]) -> set[str]:
        """Returns those of these numbers that the phone of an instance has."""
        rows = await self._store.fetch("find_linked", phones=list(phones))
        return {row["phone"] for row in rows}

    async def _write(self, stored: StoredEntity[Any]) -> bool:
        rows = await self._store.fetch(
            "write_entity",
            instance_id=stored.instance_id,
            kind=stored.entity.kind,
            id=stored.id,
            version=stored.version,
            body=stored.entity.model_dump_json(exclude_none=True),
            event_phones=[phone for phone, _ in stored.entity.emitted],
            event_bodies=[json.dumps(body) for _, body in stored.entity.emitted],
        )
        for row in rows:
            for instance_id in row["signalled"]:
                await self._store.signal(instance_id)
        return bool(rows)


def no_such(kind: type[Entity]) -> NotFound:
    return NotFound(f"There is no such {kind.kind}")


def _stored(kind: type[Kind], row: dict[str, Any]) -> StoredEntity[Kind]:
    entity = kind.model_validate(row["body"])
    return StoredEntity(row["instance_id"], row["id"], row["version"], entity)
