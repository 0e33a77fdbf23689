"""Every statement is understood by a real Postgres, used somewhere, and the schema is as dumped."""

import asyncio
import inspect
import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from gateway.database.functions import SqlFunction, sql_functions
from gateway.database.migrations import Migration, migrate, migrations
from gateway.database.queries import queries_in
from gateway.errors import SchemaTooNew
from tests.fixtures.postgres import PostgresServer, new_database
from tests.fixtures.query_calls import query_calls
from tests.schema import SCHEMA_FILE, dump_schema

SQL = Path(__file__).parents[2] / "sql"
PACKAGE = Path(__file__).parents[2] / "gateway"
SQL_FILES = sorted(f for folder in ("functions", "queries") for f in (SQL / folder).glob("*.sql"))
QUERY_FILES = sorted(file.stem for file in (SQL / "queries").glob("*.sql"))
NAMED = [(file, name) for file in QUERY_FILES for name in queries_in(file)]


@pytest.fixture(scope="module")
def migrated(
    postgres_server: PostgresServer, migrated_postgres: NoopExecutor
) -> Iterator[psycopg.Connection]:
    template = migrated_postgres.template_dbname
    with (
        new_database(postgres_server, f"gateway_sql_{os.getpid()}", template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        yield connection


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_query_is_understood(migrated: psycopg.Connection, file: str, name: str) -> None:
    numbers: dict[str, int] = {}
    text = queries_in(file)[name].as_string()
    text = re.sub(r"%\((\w+)\)s", lambda m: f"${numbers.setdefault(m[1], len(numbers) + 1)}", text)
    if text.startswith("create "):  # cannot be prepared
        migrated.execute(text.encode())
    else:
        migrated.execute(f"prepare {file}_{name} as {text}".encode())


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_query_is_cast_throughout(file: str, name: str) -> None:
    text = queries_in(file)[name].as_string()

    assert not re.findall(r"%\(\w+\)s(?!::)", text)


def test_rows_have_the_fields_that_their_queries_return(migrated: psycopg.Connection) -> None:
    calls = [call for call in query_calls() if call.row]
    wrong = []
    for call in calls:
        row = getattr(import_module(call.module), call.row or "", None)
        returned = set(_columns_of(migrated, call.file, call.query))
        if row is not None and not _fits(row, returned):
            wrong.append(f"{call.where} returns {sorted(returned)}, {call.row} does not fit")

    assert len(calls) > 100, "the calls were not found"
    assert not wrong, "\n".join(wrong)


def _fits(row: Any, returned: set[str]) -> bool:
    if fields := getattr(row, "model_fields", None):
        return returned <= set(fields)
    parameters = inspect.signature(row).parameters.values()
    required = {p.name for p in parameters if p.default is inspect.Parameter.empty}
    return required <= returned <= {p.name for p in parameters}


def _columns_of(connection: psycopg.Connection, file: str, name: str) -> list[str]:
    numbers: dict[str, int] = {}
    text = queries_in(file)[name].as_string()
    text = re.sub(r"%\((\w+)\)s", lambda m: f"${numbers.setdefault(m[1], len(numbers) + 1)}", text)
    connection.pgconn.prepare(b"", text.encode())
    described = connection.pgconn.describe_prepared(b"")
    names = [described.fname(place) for place in range(described.nfields)]
    return [name.decode() for name in names if name]


@pytest.mark.parametrize("file", QUERY_FILES)
def test_every_query_is_used(file: str) -> None:
    code = "".join(file.read_text() for file in PACKAGE.rglob("*.py"))
    unused = [name for name in queries_in(file) if not re.search(rf'"{name}"', code)]

    assert not unused


def test_migrate_twice_changes_nothing(database_url: str) -> None:
    assert asyncio.run(migrate(database_url)) == []


def test_migrate_incompatible_newer_schema_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("insert into schema_migrations values (9999, 'later', 9999)")

    with pytest.raises(SchemaTooNew, match="Run a newer program"):
        asyncio.run(migrate(database_url))


def test_migrate_compatible_newer_schema_is_accepted(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("insert into schema_migrations values (9999, 'later', 1)")

    assert asyncio.run(migrate(database_url)) == []


def test_migrate_twice_at_once_applies_each_migration_once(empty_database_url: str) -> None:
    async def race() -> list[list[Migration | SqlFunction]]:
        return list(await asyncio.gather(*(migrate(empty_database_url) for _ in range(3))))

    applied = asyncio.run(race())

    assert sorted(map(len, applied)) == [0, 0, len(migrations()) + len(sql_functions())]


def test_schema_dump_is_current(database_url: str) -> None:
    dumped = dump_schema(database_url)
    if dumped is None:
        pytest.skip("pg_dump is of another version than the server")

    assert dumped == SCHEMA_FILE.read_text(), "run `make schema`"


@pytest.mark.parametrize("file", SQL_FILES, ids=lambda file: file.name)
def test_every_cte_says_what_it_does(file: Path) -> None:
    opened = re.findall(
        r"^ *(?:with |\), )(\w+) as (?:\w+ )*\(\n *(?!--)\S", file.read_text(), re.MULTILINE
    )

    assert not opened


@pytest.mark.parametrize("file", SQL_FILES, ids=lambda file: file.name)
def test_every_alias_is_listed_at_the_head_of_its_file(file: Path) -> None:
    head = re.match(r"(?:--.*\n)*", file.read_text())
    assert head is not None
    code = re.sub(r"--.*|'[^']*'", "", file.read_text())
    used = set(re.findall(r"(?<![\w.])([a-z])\.[a-z_*]", code))
    listed = re.search(r"Alias(?:es)?: (.*)", head[0].replace("\n--", ""), re.DOTALL)

    assert used <= set(re.findall(r"\b[a-z]\b", listed[1] if listed else ""))
