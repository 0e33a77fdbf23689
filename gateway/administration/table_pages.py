"""Pages of rows that hold content: read without a lock, written where nothing changed meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import DataError
from psycopg.sql import Composed
from psycopg.types.json import Jsonb

from gateway.administration.sealed_tables import SealedTable
from gateway.database.pool import Database
from gateway.observability.logging import logger


@dataclass(frozen=True, slots=True)
class PageRow:
    """A row as it was read; `version` changes with each change of the row."""

    key: tuple[str, ...]
    version: str
    content: tuple[Any, ...]


Changes = Sequence[tuple[PageRow, Mapping[str, Any]]]
"""Rows, each with the columns that get new content."""


async def read_page(
    database: Database,
    statement: Composed,
    key: Sequence[str],
    after: tuple[str, ...],
    **parameters: object,
) -> list[PageRow]:
    """Returns the rows that *statement* reads after a key, which has the columns of *key*."""
    given = {**parameters, **dict(zip(key, after, strict=False))}
    async with database.connection() as connection:
        found = await (await connection.execute(statement, given)).fetchall()
    keys = len(key)
    return [PageRow(tuple(row[:keys]), row[keys], tuple(row[keys + 1 :])) for row in found]


async def write_page(
    database: Database, table: SealedTable, instance_id: str, changes: Changes, *, failure: str
) -> bool:
    """Writes the rows that no transaction changed or locks; the next pass meets the others.

    Returns False if Postgres refuses the content of a row: the page stays as it is, and the log
    gets the event *failure*. The error itself may quote content.
    """
    try:
        await _write(database, table, instance_id, changes)
    except DataError as error:
        logger.error(
            failure,
            instance_id=instance_id,
            table=".".join(table.name),
            error=type(error).__name__,
        )
        return False
    return True


async def _write(
    database: Database, table: SealedTable, instance_id: str, changes: Changes
) -> None:
    rows = [row for row, _new in changes]
    keys = {column: [row.key[n] for row in rows] for n, column in enumerate(table.key)}
    lock = {"instance_id": instance_id, "versions": [row.version for row in rows], **keys}
    async with database.transaction() as connection, connection.cursor() as cursor:
        await cursor.execute(table.lock(), lock)
        locked = await cursor.fetchall()
        async with connection.pipeline():
            for (number,) in locked:
                row, new = changes[number - 1]
                await cursor.execute(
                    table.update(new),
                    {
                        "instance_id": instance_id,
                        **dict(zip(table.key, row.key, strict=True)),
                        **{f"new_{column}": _storable(value) for column, value in new.items()},
                    },
                )


def _storable(value: Any) -> Any:  # noqa: ANN401 - any value
    return Jsonb(value) if isinstance(value, dict) else value
