"""SQL functions: created once, versioned by name, frozen when released."""

import asyncio
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import AsyncConnection

from gateway.database.functions import (
    CreatedFunction,
    SqlFunction,
    create_missing_functions,
    functions_to_create,
    missing_functions,
    sql_functions,
)
from gateway.database.migrations import migrate
from gateway.errors import DatabaseUnavailable
from tests.fixtures.queue import blocked_sessions, rows
from tests.fixtures.service import until

SQL_FOLDER = Path(__file__).parents[2] / "sql"
NAMES = [function.name for function in sql_functions()]
UNVERSIONED = [
    "tell",
    "append_callbacks",
    "callback_url",
    "shown_status",
    "sandbox.merged",
    "enqueue",
]


def checksums(folder: str) -> dict[str, str]:
    lines = (SQL_FOLDER / folder / "released.sha256").read_text().splitlines()
    return {name: checksum for checksum, name in (line.split() for line in lines)}


async def wait_for_lock_waiter(url: str) -> None:
    """Waits until a statement of the database waits for a lock."""
    async with await AsyncConnection.connect(url, autocommit=True) as observer:
        await until(lambda: blocked_sessions(observer), lambda count: count == 1)


def function_named(name: str, text: str, *, released: bool = True) -> SqlFunction:
    return SqlFunction(name, text, hashlib.sha256(text.encode()).hexdigest(), released)


def created(function: SqlFunction) -> CreatedFunction:
    return CreatedFunction(function.name, function.sha256, function.released)


@pytest.mark.parametrize("folder", ["functions", "migrations"])
def test_released_sql_keeps_its_text(folder: str) -> None:
    released = checksums(folder)

    assert released
    for name, checksum in released.items():
        text = (SQL_FOLDER / folder / name).read_bytes()
        assert hashlib.sha256(text).hexdigest() == checksum, f"{folder}/{name} is released"


@pytest.mark.parametrize("function", sql_functions(), ids=NAMES)
def test_function_file_defines_the_function_it_is_named_after(function: SqlFunction) -> None:
    defined = re.findall(r"create or replace function ([\w.]+)\(", function.text)

    assert defined == [function.name]


@pytest.mark.parametrize(
    "file",
    [
        file
        for folder in ("functions", "queries")
        for file in sorted((SQL_FOLDER / folder).glob("*.sql"))
    ],
    ids=lambda file: file.name,
)
def test_sql_calls_no_unversioned_function(file: Path) -> None:
    code = "\n".join(line.partition("--")[0] for line in file.read_text().splitlines())

    assert not [name for name in UNVERSIONED if re.search(rf"(?<![\w.]){re.escape(name)}\(", code)]


async def test_every_trigger_calls_a_versioned_function(operator: AsyncConnection) -> None:
    found = await rows(
        operator,
        """select t.tgname, p.proname from pg_trigger t join pg_proc p on p.oid = t.tgfoid
           where not t.tgisinternal and t.tgparentid = 0""",
    )

    assert {trigger for trigger, _ in found} >= {"instance_changed", "messages_note_chats"}
    assert not [name for _, name in found if not re.search(r"_v\d+$", name)]


async def test_dropped_function_is_reported_and_created_again(
    operator: AsyncConnection, database_url: str
) -> None:
    assert await missing_functions(operator) == []

    await operator.execute("drop function sandbox.merge_marks_v1, append_callbacks_v1")

    dropped = ["append_callbacks_v1", "sandbox.merge_marks_v1"]
    assert sorted(await missing_functions(operator)) == dropped
    assert sorted(f.label for f in await migrate(database_url)) == [
        f"function {n}" for n in dropped
    ]
    assert await missing_functions(operator) == []


async def test_unchanged_functions_are_not_replaced(operator: AsyncConnection) -> None:
    before = await rows(operator, "select name, applied_at, xmin::text from schema_functions")

    assert await create_missing_functions(operator) == []
    assert (
        await rows(operator, "select name, applied_at, xmin::text from schema_functions") == before
    )


def test_function_in_development_replaces_its_earlier_text() -> None:
    earlier = function_named("f_v1", "a", released=False)
    later = function_named("f_v1", "b", released=False)

    assert functions_to_create([later], [created(earlier)]) == [later]
    assert functions_to_create([replace(later, released=True)], [created(earlier)])


def test_released_function_is_never_replaced() -> None:
    released = function_named("f_v1", "a")
    other = function_named("f_v1", "b", released=False)

    assert functions_to_create([other], [created(released)]) == []


def test_trigger_of_a_newer_version_is_left_alone() -> None:
    text = "create or replace trigger t after insert on u"
    first, second = function_named("f_v1", text), function_named("f_v2", text)

    assert functions_to_create([first, second], []) == [first, second]
    assert functions_to_create([first], [created(second)]) == []
    assert functions_to_create([second], [created(first)]) == [second]


def test_plain_function_is_created_beside_a_newer_version() -> None:
    first, second = function_named("f_v1", "a"), function_named("f_v2", "b")

    assert functions_to_create([first], [created(second)]) == [first]


def test_callee_comes_before_its_caller() -> None:
    assert NAMES.index("callback_url_v1") < NAMES.index("append_callbacks_v1")
    assert NAMES.index("append_callbacks_v1") < NAMES.index("enqueue_callbacks_v1")


def test_functions_and_migrations_share_a_transaction(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (*sql_functions(), function_named("broken_v1", "create nonsense"))
    monkeypatch.setattr("gateway.database.functions.sql_functions", lambda: broken)

    with pytest.raises(psycopg.errors.SyntaxError):
        asyncio.run(migrate(empty_database_url))

    with psycopg.connect(empty_database_url) as connection:
        tables = connection.execute(
            "select count(*) from pg_tables where schemaname in ('public', 'sandbox', 'whatsmeow')"
        ).fetchone()
    assert tables == (0,)


async def test_migration_gives_way_to_a_node_and_begins_again(
    operator: AsyncConnection, database_url: str
) -> None:
    await operator.execute("drop function update_chats_v2, notify_account_changed_v1 cascade")
    begun, released = asyncio.Event(), asyncio.Event()

    async def pause(_seconds: float) -> None:
        begun.set()
        await released.wait()

    async with operator.transaction():
        await operator.execute("lock table messages in row exclusive mode")
        migrating = asyncio.create_task(migrate(database_url, pause=pause))
        await begun.wait()
        # A migration that went on waiting, with its locks, would be in a deadlock with this.
        await operator.execute("lock table accounts in row exclusive mode")
    released.set()

    assert len(await migrating) == 2


async def test_migration_that_gets_no_lock_says_what_to_do(
    operator: AsyncConnection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.database.migrations._MAX_ATTEMPTS", 2)
    await operator.execute("drop function update_chats_v2 cascade")
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with operator.transaction():
        await operator.execute("lock table messages in row exclusive mode")
        with pytest.raises(DatabaseUnavailable, match="pg_stat_activity"):
            await migrate(database_url, pause=pause)

    assert len(pauses) == 2
