"""The steps of a start that wait for Postgres, and the checks of /ready that ask it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.api.health import Check
from gateway.clock import Clock
from gateway.database.functions import SqlFunction, missing_functions
from gateway.database.migrations import Migration, migrate, missing_migrations
from gateway.database.pool import Database
from gateway.database.write_probe import WriteProbe
from gateway.errors import DatabaseUnavailable
from gateway.runtime.progress import Progress
from gateway.runtime.secret_check import require_matching_secret
from gateway.settings.node_sections import StorageSection

_RETRY_SECONDS = 1.0

Result = TypeVar("Result")


async def retry_while_unavailable(
    step: Callable[[], Awaitable[Result]],
    clock: Clock,
    *,
    on_failure: Callable[[DatabaseUnavailable], None],
) -> Result:
    """Runs *step* until Postgres can be used, and returns its result.

    Args:
        step: one attempt; it may run several times.
        clock: time; a second passes between two attempts.
        on_failure: called after each failed attempt.
    """
    while True:
        try:
            return await step()
        except DatabaseUnavailable as error:
            on_failure(error)
        await clock.sleep(_RETRY_SECONDS)


async def prepare_database(
    storage: StorageSection,
    url: str,
    direct_url: str,
    clock: Clock,
    progress: Progress,
    *,
    set_phase: Callable[[str], None],
) -> None:
    """Waits for Postgres, migrates it, and checks that the secret decrypts the stored tokens.

    Args:
        storage: has the secret.
        url: of the database.
        direct_url: of the database, without a pooler; for migrations.
        clock: time.
        progress: reports each new reason to wait once, and the migrations.
        set_phase: is called with the current phase, for /ready.

    Raises:
        InvalidSettings: the secret does not decrypt the stored tokens.
        StartRefused: the database cannot be migrated.
    """
    reported = ""

    async def attempt() -> list[Migration | SqlFunction]:
        set_phase("migrating the database")
        applied = await migrate(direct_url, announce=progress.migrations_started)
        await require_matching_secret(storage, url)
        return applied

    def report(error: DatabaseUnavailable) -> None:
        nonlocal reported
        set_phase("waiting for the database")
        if (reason := str(error)) != reported:
            progress.database_awaited(reason)
            reported = reason

    applied = await retry_while_unavailable(attempt, clock, on_failure=report)
    if reported:
        progress.database_answered()
    progress.migrations_applied(applied)


def database_checks(database: Database, probe: WriteProbe) -> dict[str, Check]:
    """Returns the checks of /ready that ask Postgres; their deadline is that of *database*.

    Args:
        database: for the reads.
        probe: writes.
    """

    async def migrations() -> str | None:
        try:
            return await _missing(database)
        except DatabaseUnavailable as error:
            return str(error)

    return {"postgres": probe.problem, "migrations": migrations}


async def _missing(database: Database) -> str | None:
    async with database.connection() as connection:  # once: both reads have one deadline
        if missing := await missing_migrations(connection):
            return f"{missing} migrations are missing: run `gateway migrate`"
        names = await missing_functions(connection)
    if names:
        return f"SQL functions are missing ({', '.join(names)}): run `gateway migrate`"
    return None
