"""Things of the simulated WhatsApp: read, changed by a function, and told of in one statement.

change(Group, id, alter):  find -> alter (refuses, or changes and says what to tell)
                             ^            |
                             +-- again if somebody else was faster
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, PrivateAttr

from gateway.errors import NotFound
from gateway.providers.sandbox.telling import Body
from gateway.sessions.provider import ProviderStore

Answer = TypeVar("Answer")
_MAX_TRIES = 100
_EVERYTHING = 100_000


class Entity(BaseModel):
    """Something that is kept; `tell` says what its change means to these numbers."""

    kind: ClassVar[str]
    _told: list[tuple[str, Body]] = PrivateAttr(default_factory=list)

    def tell(self, phones: Iterable[str], body: Body) -> None:
        self._told += [(phone, body) for phone in phones]

    @property
    def told(self) -> list[tuple[str, Body]]:
        return self._told


Kind = TypeVar("Kind", bound=Entity)


@dataclass(frozen=True, slots=True)
class Kept(Generic[Kind]):
    """A thing as it was found."""

    instance_id: str
    id: str
    version: int
    thing: Kind


class Entities:
    """Every method may raise DatabaseUnavailable."""

    def __init__(self, store: ProviderStore) -> None:
        self._store = store

    async def find(self, kind: type[Kind], id_: str, *, of: str | None = None) -> Kept[Kind] | None:
        """The thing of this id: of an instance's own where *of* names it."""
        rows = await self._store.fetch("find_entity", kind=kind.kind, id=id_, instance_id=of)
        return _kept(kind, rows[0]) if rows else None

    async def get(self, kind: type[Kind], id_: str, *, of: str | None = None) -> Kept[Kind]:
        """The same; raises NotFound where there is none."""
        if kept := await self.find(kind, id_, of=of):
            return kept
        raise no_such(kind)

    async def invited(self, kind: type[Kind], invite: str) -> Kept[Kind] | None:
        rows = await self._store.fetch("find_invited", kind=kind.kind, invite=invite)
        return _kept(kind, rows[0]) if rows else None

    async def own(
        self, kind: type[Kind], instance_id: str, *, after: str = "", max_count: int = _EVERYTHING
    ) -> list[Kept[Kind]]:
        rows = await self._store.fetch(
            "list_own_entities",
            instance_id=instance_id,
            kind=kind.kind,
            after=after,
            max_count=max_count,
        )
        return [_kept(kind, row) for row in rows]

    async def joined(self, kind: type[Kind], phone: str) -> list[Kept[Kind]]:
        """Things of which *phone* is a member."""
        rows = await self._store.fetch("list_joined_entities", kind=kind.kind, phone=phone)
        return [_kept(kind, row) for row in rows]

    async def of_community(self, kind: type[Kind], community: str) -> list[Kept[Kind]]:
        rows = await self._store.fetch("list_linked", kind=kind.kind, community=community)
        return [_kept(kind, row) for row in rows]

    async def search(self, kind: type[Kind], text: str, max_count: int) -> list[Kept[Kind]]:
        rows = await self._store.fetch(
            "search_entities", kind=kind.kind, text=text, max_count=max_count
        )
        return [_kept(kind, row) for row in rows]

    async def add(self, thing: Entity, id_: str, *, of: str) -> None:
        await self._write(Kept(of, id_, 0, thing))

    async def change(
        self,
        kind: type[Kind],
        id_: str,
        alter: Callable[[Kind], Answer],
        *,
        of: str | None = None,
        missing: Callable[[], Kind] | None = None,
    ) -> Answer:
        """What *alter* answers, once what it did is kept; it may run again, and may raise.

        Where there is no such thing it alters what *missing* makes.

        Raises:
            NotFound: there is no such thing.
        """
        for _ in range(_MAX_TRIES):
            kept = await self.find(kind, id_, of=of)
            if kept is None:
                if missing is None or of is None:
                    raise no_such(kind)
                kept = Kept(of, id_, 0, missing())
            before = kept.thing.model_dump_json()
            answer = alter(kept.thing)
            if kept.version and before == kept.thing.model_dump_json():
                return answer
            if await self._write(kept):
                return answer
        raise RuntimeError(f"a {kind.kind} changed {_MAX_TRIES} times while it was being changed")

    async def remove(self, kind: type[Entity], instance_id: str, *ids: str) -> int:
        rows = await self._store.fetch(
            "remove_entities", instance_id=instance_id, kind=kind.kind, ids=list(ids)
        )
        return len(rows)

    async def owner_of(self, phone: str) -> str | None:
        """The instance that has this number."""
        rows = await self._store.fetch("find_number", phone=phone)
        return rows[0]["instance_id"] if rows else None

    async def _write(self, kept: Kept[Any]) -> bool:
        rows = await self._store.fetch(
            "write_entity",
            instance_id=kept.instance_id,
            kind=kept.thing.kind,
            id=kept.id,
            version=kept.version,
            body=kept.thing.model_dump_json(exclude_none=True),
            told_phones=[phone for phone, _ in kept.thing.told],
            told_bodies=[json.dumps(body) for _, body in kept.thing.told],
        )
        for row in rows:
            for instance_id in row["signalled"]:
                await self._store.signal(instance_id)
        return bool(rows)


def no_such(kind: type[Entity]) -> NotFound:
    return NotFound(f"There is no such {kind.kind}")


def _kept(kind: type[Kind], row: dict[str, Any]) -> Kept[Kind]:
    thing = kind.model_validate(row["body"])
    return Kept(row["instance_id"], row["id"], row["version"], thing)
