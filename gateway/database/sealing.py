"""Seals the parameters of statements and opens the rows that they return.

Every statement goes through `SealingCursor`, so nothing above the database knows of the seal, apart
from content that no key opens (`Unopened`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self, TypeVar, cast

from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import Params
from psycopg.rows import AsyncRowFactory, RowMaker, class_row

from gateway.database.payload_seal import PayloadSeal
from gateway.database.queries import query
from gateway.database.sealed_columns import BY_OBJECT, Kind, SealedStatement, instances_of

_FIND_RULES: Final = query("payloads", "find_rules")
_INSTANCE = "instance_id"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class _Rule:
    id: str
    encrypts: bool


class EncryptionRules:
    """Which instances' content is encrypted, in a cache that notifications invalidate.

    The statement that finds an instance for the first time runs on the connection of the caller.
    """

    def __init__(self, *, default: bool) -> None:
        """Creates the rules; *default* is for accounts that have no rule of their own."""
        self._default, self._changes = default, 0
        self._known: dict[str, bool] = {}

    def drop(self, instance_id: str) -> None:
        self._changes += 1
        self._known.pop(instance_id, None)

    def drop_all(self, _account_id: str = "") -> None:
        self._changes += 1
        self._known.clear()

    async def encrypted(
        self, connection: AsyncConnection[Any], instance_ids: Collection[str]
    ) -> frozenset[str]:
        """Returns those of the instances whose content is encrypted."""
        known = self._known
        if not all(instance_id in known for instance_id in instance_ids):
            known = known | await self._find(connection, instance_ids)
        return frozenset(each for each in instance_ids if known.get(each))

    async def _find(
        self, connection: AsyncConnection[Any], instance_ids: Collection[str]
    ) -> dict[str, bool]:
        changes_before = self._changes
        async with connection.cursor(row_factory=class_row(_Rule)) as cursor:
            await cursor.execute(
                _FIND_RULES, {"instance_ids": list(instance_ids), "default": self._default}
            )
            found = {rule.id: rule.encrypts for rule in await cursor.fetchall()}
        # A change during the read may be newer than the rows: then nothing is cached.
        if changes_before == self._changes:
            self._known.update(found)
        return found


@dataclass(frozen=True, slots=True)
class Sealing:
    """The keys, and the rules that say for whom they are used."""

    seal: PayloadSeal
    rules: EncryptionRules

    def cursor_factory(self) -> type[AsyncCursor[Any]]:
        """Returns what connections make cursors with."""
        factory = partial(SealingCursor, sealing=self)
        return cast("type[AsyncCursor[Any]]", factory)  # psycopg only calls it

    async def sealed(
        self,
        connection: AsyncConnection[Any],
        statement: SealedStatement,
        parameters: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """Returns the parameters with their content sealed, for instances that want it."""
        if not statement.writes:
            return parameters
        instances = instances_of(parameters, statement.instances)
        several = [instances] if isinstance(instances, str) else instances
        encrypted = await self.rules.encrypted(connection, set(several))
        changed = {
            name: self._sealed(kind, parameters[name], instances, encrypted)
            for name, kind in statement.writes.items()
        }
        return {**parameters, **changed}

    def _sealed(
        self,
        kind: Kind,
        value: Any,  # noqa: ANN401 - any value
        instances: str | Sequence[str],
        encrypted: frozenset[str],
    ) -> Any:  # noqa: ANN401 - any value
        def sealed_if_wanted(instance_id: str, one: Any) -> Any:  # noqa: ANN401 - any value
            if one is None or not (instance_id in encrypted or kind.is_sealed(one)):
                return one
            return kind.sealed(self.seal, instance_id, one)

        if not isinstance(instances, str):
            return [
                sealed_if_wanted(instance_id, one)
                for instance_id, one in zip(instances, value, strict=True)
            ]
        if isinstance(value, list):
            return [sealed_if_wanted(instances, one) for one in value]
        return sealed_if_wanted(instances, value)

    def opening(
        self,
        make: AsyncRowFactory[Row],
        statement: SealedStatement,
        parameters: Mapping[str, Any],
    ) -> AsyncRowFactory[Row]:
        """Returns a row factory that opens sealed columns before *make* gets the row."""

        def factory(cursor: AsyncCursor[Any]) -> RowMaker[Row]:
            names = [column.name for column in cursor.description or ()]
            places = [(names.index(n), kind) for n, kind in statement.reads.items() if n in names]
            at = names.index(_INSTANCE) if _INSTANCE in names else None
            instance_id = str(parameters.get(_INSTANCE, ""))
            return self._row_maker(
                make(cursor), places, lambda v: instance_id if at is None else v[at]
            )

        return factory

    def _row_maker(
        self,
        make: RowMaker[Row],
        places: Sequence[tuple[int, Kind]],
        instance_of: Callable[[Sequence[Any]], str],
    ) -> RowMaker[Row]:
        def make_row(values: Sequence[Any]) -> Row:
            found = [
                (place, kind)
                for place, kind in places
                if values[place] is not None and kind.is_sealed(values[place])
            ]
            if not found:
                return make(values)
            opened = list(values)
            for place, kind in found:
                opened[place] = kind.opened(self.seal, instance_of(values), values[place])
            return make(opened)

        return make_row


class SealingCursor(AsyncCursor[Row]):
    """A cursor that seals what a listed statement writes, and opens what it returns."""

    def __init__(
        self,
        connection: AsyncConnection[Any],
        *,
        row_factory: AsyncRowFactory[Row],
        sealing: Sealing,
    ) -> None:
        super().__init__(connection, row_factory=row_factory)
        self._sealing = sealing

    async def execute(
        self,
        query: Any,  # noqa: ANN401 - as psycopg takes it
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Self:
        statement = BY_OBJECT.get(id(query))
        if statement is not None and isinstance(params, Mapping):
            if statement.reads:
                self.row_factory = self._sealing.opening(self.row_factory, statement, params)
            params = await self._sealing.sealed(self.connection, statement, params)
        await super().execute(query, params, prepare=prepare, binary=binary)
        return self
