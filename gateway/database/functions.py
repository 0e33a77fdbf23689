"""Creates the SQL functions of sql/functions that the database lacks.

A function's name ends in its version, and a released function never changes, so nodes of two
releases can share one database: each calls the versions that it knows.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter

from psycopg import AsyncConnection

from gateway.database.pool import fetch_all
from gateway.database.queries import query
from gateway.database.sql_files import sql_folder

_LIST_CREATED = query("migrations", "list_functions")
_NOTE_CREATED = query("migrations", "note_function")
_NAME = re.compile(r"(?P<family>[a-z_.]+)_v(?P<version>\d+)")
_RELEASED_LIST = "released.sha256"


@dataclass(frozen=True)
class SqlFunction:
    """One file of sql/functions: the function and, for a trigger function, its trigger."""

    name: str
    text: str
    sha256: str
    released: bool

    @property
    def label(self) -> str:
        """Returns the line that `gateway migrate` prints."""
        return f"function {self.name}"

    @property
    def family(self) -> str:
        """Returns the name without its version."""
        return _parse(self.name)[0]

    @property
    def version(self) -> int:
        return _parse(self.name)[1]

    @property
    def creates_trigger(self) -> bool:
        return "create or replace trigger " in self.text


@dataclass(frozen=True)
class CreatedFunction:
    """A function that the database has, as `schema_functions` records it."""

    name: str
    sha256: str
    released: bool


@cache
def sql_functions() -> tuple[SqlFunction, ...]:
    """Returns every function that this program knows; a callee comes before its callers."""
    folder = sql_folder() / "functions"
    texts = {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    }
    listed = (folder / _RELEASED_LIST).read_text(encoding="utf-8").split()[1::2]
    return tuple(
        SqlFunction(
            name=name,
            text=texts[name],
            sha256=hashlib.sha256(texts[name].encode()).hexdigest(),
            released=f"{name}.sql" in listed,
        )
        for name in _callees_first(texts)
    )


async def create_missing_functions(connection: AsyncConnection) -> list[SqlFunction]:
    """Creates what is missing and returns it.

    The caller holds the migrator's lock and a transaction.
    """
    created = await fetch_all(connection, CreatedFunction, _LIST_CREATED)
    missing = functions_to_create(sql_functions(), created)
    for function in missing:
        # These files are part of the program, so their text is as trusted as its code.
        await connection.execute(function.text.encode())
        await connection.execute(
            _NOTE_CREATED,
            {
                "name": function.name,
                "sha256": function.sha256,
                "released": function.released,
            },
        )
    return missing


async def missing_functions(connection: AsyncConnection) -> list[str]:
    """Returns the functions that the migrator would create now; needs the migrated tables."""
    created = await fetch_all(connection, CreatedFunction, _LIST_CREATED)
    return [function.name for function in functions_to_create(sql_functions(), created)]


def functions_to_create(
    known: Iterable[SqlFunction], created: Iterable[CreatedFunction]
) -> list[SqlFunction]:
    """Returns the functions of *known* that the database lacks or has with an older text."""
    present = {function.name: function for function in created}
    newest: dict[str, int] = {}
    for name in present:
        family, version = _parse(name)
        newest[family] = max(version, newest.get(family, 0))
    return [
        function
        for function in known
        if _is_stale(function, present.get(function.name))
        # An older version of a trigger function would replace the trigger of the newer one.
        and not (function.creates_trigger and newest.get(function.family, 0) > function.version)
    ]


def _is_stale(function: SqlFunction, present: CreatedFunction | None) -> bool:
    if present is None:
        return True
    return present.sha256 != function.sha256 and not present.released


def _callees_first(texts: dict[str, str]) -> list[str]:
    graph = {
        name: sorted(
            other
            for other in texts
            if other != name and re.search(rf"(?<![\w.]){re.escape(other)}\(", text)
        )
        for name, text in sorted(texts.items(), key=lambda item: _parse(item[0]))
    }
    return list(TopologicalSorter(graph).static_order())


def _parse(name: str) -> tuple[str, int]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"The name of an SQL function must end in its version: {name}")
    return match["family"], int(match["version"])
