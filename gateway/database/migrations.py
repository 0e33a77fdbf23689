"""Brings the schema up to date: forward only, one migrator at a time, all or nothing."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache

from psycopg import AsyncConnection
from psycopg.errors import (
    DeadlockDetected,
    DiskFull,
    InsufficientPrivilege,
    LockNotAvailable,
    UndefinedTable,
)
from psycopg.sql import SQL

from gateway.database.conninfo import database_failure
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.direct import direct_connection
from gateway.database.functions import (
    SqlFunction,
    create_missing_functions,
    missing_functions,
)
from gateway.database.pool import fetch_all
from gateway.database.queries import query
from gateway.database.sql_files import sql_folder
from gateway.errors import DatabaseUnavailable, SchemaTooNew, StartRefused

_FIRST_LINE = re.compile(r"-- (?P<what>.+) \(compatible with: (?P<compatible>\d{4})\)")
_LIMIT_LOCK_WAIT = query("migrations", "limit_lock_wait")
_PREPARE = query("migrations", "prepare")
_LOCK = query("migrations", "lock")
_LIST_APPLIED = query("migrations", "list_applied")
_NOTE_APPLIED = query("migrations", "note_applied")
_RENDER_MONTH_PARTITIONS = query("migrations", "render_month_partitions")


_MAX_ATTEMPTS, _PAUSE_SECONDS = 300, 1.0


@dataclass(frozen=True)
class Migration:
    """One file of sql/migrations.

    A program that knows the migration `compatible_with` still runs on the database after this one.
    """

    number: int
    name: str
    compatible_with: int
    statements: str

    @property
    def label(self) -> str:
        """Returns the line that `gateway migrate` prints."""
        return f"{self.number:04} {self.name}"


@cache
def migrations() -> Sequence[Migration]:
    """Returns every migration that this version knows, oldest first; read once, as /ready asks."""
    found = []
    files = (f for f in (sql_folder() / "migrations").iterdir() if f.name.endswith(".sql"))
    for file in sorted(files, key=lambda f: f.name):
        text = file.read_text(encoding="utf-8")
        first_line = _FIRST_LINE.match(text)
        if first_line is None:
            raise ValueError(f"{file.name}: the first line must say what and since which version")
        number, _, name = file.name.removesuffix(".sql").partition("_")
        found.append(Migration(int(number), name, int(first_line["compatible"]), text))
    return found


Announce = Callable[[list[Migration]], None]


Pause = Callable[[float], Awaitable[None]]


async def migrate(
    url: str, *, announce: Announce = lambda _missing: None, pause: Pause = asyncio.sleep
) -> list[Migration | SqlFunction]:
    """Applies the missing migrations, then creates the missing functions; returns both.

    It waits a moment only for a lock that a running node has, and then begins again: so it neither
    stops the nodes of the previous release nor deadlocks with them.

    Args:
        url: a direct connection, not one through a transaction pooler.
        announce: called with the missing migrations before the first is applied, if there are any.
        pause: waits some seconds before the next attempt.

    Raises:
        SchemaTooNew: a newer version changed the schema in a way this one cannot read.
        StartRefused: the user may not create tables.
        DatabaseUnavailable: Postgres cannot be used now; says why. Or a transaction of a running
            node had a table locked for minutes. Nothing was applied.
    """
    async with direct_connection(url) as connection:
        is_current = await _is_current(connection)
    seconds = DatabaseDeadline.PRUNING if is_current else DatabaseDeadline.MIGRATION
    async with direct_connection(url, seconds=seconds) as connection:
        try:
            return await _apply_patiently(connection, announce, pause)
        except DiskFull as error:
            raise DatabaseUnavailable(database_failure(url, error)) from error
        except InsufficientPrivilege as error:
            raise StartRefused(
                f"{database_failure(url, error)}; make this user the owner of the database"
            ) from error


async def _apply_patiently(
    connection: AsyncConnection, announce: Announce, pause: Pause
) -> list[Migration | SqlFunction]:
    announced: list[Migration] = []

    def announce_once(missing: list[Migration]) -> None:
        if not announced:
            announced.extend(missing)
            announce(missing)

    for _attempt in range(_MAX_ATTEMPTS):
        try:
            return await _apply_missing(connection, announce_once)
        except (DeadlockDetected, LockNotAvailable):
            await pause(_PAUSE_SECONDS)
    raise DatabaseUnavailable(
        "A transaction has locked a table for minutes, and the migration needs it: end the "
        "transaction (see pg_stat_activity), and run the migration again"
    )


async def _is_current(connection: AsyncConnection) -> bool:
    """Says whether nothing is missing: a start on a silent server then need not wait long."""
    try:
        return not await missing_migrations(connection) and not await missing_functions(connection)
    except UndefinedTable:
        return False


async def _apply_missing(
    connection: AsyncConnection, announce: Announce
) -> list[Migration | SqlFunction]:
    known = migrations()
    async with connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute(_LIMIT_LOCK_WAIT)
        await connection.execute(_PREPARE)
        cursor = await connection.execute(_LIST_APPLIED)
        applied: dict[int, int] = dict(await cursor.fetchall())
        _refuse_newer(applied, newest=known[-1].number)
        missing = [migration for migration in known if migration.number not in applied]
        if missing:
            announce(missing)
        for migration in missing:
            # These files are part of the program, so their text is as trusted as its code.
            await connection.execute(migration.statements.encode())
            await connection.execute(
                _NOTE_APPLIED,
                {
                    "number": migration.number,
                    "name": migration.name,
                    "compatible_with": migration.compatible_with,
                },
            )
        created = await create_missing_functions(connection)
        await create_month_partitions(connection)
    return [*missing, *created]


@dataclass(frozen=True)
class _Applied:
    number: int
    compatible_with: int


async def missing_migrations(connection: AsyncConnection) -> int:
    """Returns how many migrations this version knows and the database lacks."""
    applied = {row.number for row in await fetch_all(connection, _Applied, _LIST_APPLIED)}
    return sum(migration.number not in applied for migration in migrations())


async def create_month_partitions(connection: AsyncConnection) -> None:
    """Creates the partitions of `messages` for this month and the next two."""
    cursor = await connection.execute(_RENDER_MONTH_PARTITIONS)
    for (statement,) in await cursor.fetchall():
        await connection.execute(SQL(statement))


def _refuse_newer(applied: dict[int, int], *, newest: int) -> None:
    for number, compatible_with in applied.items():
        if number > newest and compatible_with > newest:
            raise SchemaTooNew(
                f"The database is at schema {number:04}, which needs at least version "
                f"{compatible_with:04}; this program knows {newest:04}. Run a newer program."
            )
