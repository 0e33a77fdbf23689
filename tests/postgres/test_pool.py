"""The pool discards old plans, and connections that cannot serve."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from psycopg import AsyncConnection, ProgrammingError
from psycopg.sql import SQL

from gateway.database.pool import Count, Database
from gateway.errors import DatabaseUnavailable

_PLANNING_SETTINGS = SQL(
    "select name, setting from pg_settings"
    " where name in"
    " ('plan_cache_mode', 'enable_seqscan', 'jit', 'cpu_tuple_cost', 'random_page_cost')"
    " order by name"
)
_FIND = SQL("select n from filling where n = %(n)s::int")
_FIND_COUNT = SQL("select n as count from filling where n = %(n)s::int")


async def test_pool_plans_again_when_a_table_has_grown(
    database_url: str, operator: AsyncConnection
) -> None:
    await operator.execute("create table filling (n int primary key)")
    await operator.execute("vacuum analyze filling")
    now = 0.0
    database = Database(database_url, min_size=1, max_size=1, seconds=lambda: now)
    await database.open()

    async def plan() -> str:
        for _ in range(10):  # Postgres uses one plan for all values from the sixth on
            await database.execute(_FIND, n=1)
        (name,) = await database.fetch_dicts(
            SQL("select name from pg_prepared_statements where statement like %(like)s::text"),
            like="%from filling%",
        )
        lines = await database.fetch_dicts(SQL(f"explain execute {name['name']}(1)"))
        return " ".join(line["QUERY PLAN"] for line in lines)

    try:
        assert "Seq Scan" in await plan()
        await operator.execute("insert into filling select generate_series(1, 10000)")
        assert "Seq Scan" in await plan()
        now = 59.0
        assert "Seq Scan" in await plan()
        now = 60.0
        assert "Seq Scan" not in await plan()
    finally:
        await database.pool.close()


async def _settings_of(database: Database) -> dict[str, str]:
    rows = await database.fetch_dicts(_PLANNING_SETTINGS)
    return {row["name"]: row["setting"] for row in rows}


async def test_pool_plans_once_only_for_the_view_that_asks(
    database_url: str, operator: AsyncConnection
) -> None:
    database = Database(database_url, min_size=1, max_size=1)
    await database.open()
    once = {
        "cpu_tuple_cost": "0.5",
        "enable_seqscan": "off",
        "jit": "off",
        "plan_cache_mode": "force_generic_plan",
        "random_page_cost": "1.1",
    }
    cursor = await operator.execute(_PLANNING_SETTINGS)
    as_started: dict[str, str] = dict(await cursor.fetchall())
    usual = as_started | {"jit": "off"}

    try:
        assert await _settings_of(database.planned_either_way()) == usual  # its first statement
        assert await _settings_of(database.planned_once()) == once
        assert await _settings_of(database.planned_either_way()) == once
        assert await _settings_of(database) == usual
        assert await _settings_of(database.planned_either_way()) == usual
        assert await _settings_of(database.planned_once().limited_to(1)) == once
        assert await _settings_of(database.planned_once().within(1.0)) == once
    finally:
        await database.pool.close()


async def test_pool_sets_nothing_behind_a_transaction_pooler(
    database_url: str, operator: AsyncConnection
) -> None:
    database = Database(database_url, min_size=1, max_size=1, prepare=False)
    await database.open()
    cursor = await operator.execute(_PLANNING_SETTINGS)
    as_started: dict[str, str] = dict(await cursor.fetchall())

    try:
        assert await _settings_of(database.planned_once()) == as_started
    finally:
        await database.pool.close()


async def test_statement_planned_once_for_an_empty_table_uses_the_index(
    database_url: str, operator: AsyncConnection
) -> None:
    await operator.execute("create table filling (n int primary key)")
    await operator.execute("vacuum analyze filling")
    database = Database(database_url, min_size=1, max_size=1).planned_once()
    await database.open()

    try:
        for _ in range(3):
            await database.execute(_FIND, n=1)
        (name,) = await database.fetch_dicts(
            SQL("select name from pg_prepared_statements where statement like %(like)s::text"),
            like="%from filling%",
        )
        lines = await database.fetch_dicts(SQL(f"explain execute {name['name']}(1)"))
        assert "Seq Scan" not in " ".join(line["QUERY PLAN"] for line in lines)
    finally:
        await database.pool.close()


@pytest.mark.parametrize(
    ("before", "statement"),
    [
        ("set default_transaction_read_only = on", "create table new (n int)"),
        ("select 1", "do $$ begin raise 'x' using errcode = '26000'; end $$"),
        ("select 1", "do $$ begin raise 'x' using errcode = '42P05'; end $$"),
        ("select 1", "do $$ begin raise 'x' using errcode = '25P03'; end $$"),
    ],
)
async def test_pool_closes_a_connection_that_cannot_serve(
    database_url: str, before: str, statement: str
) -> None:
    database = Database(database_url, min_size=1, max_size=1)
    await database.open()

    async def backend() -> int:
        (row,) = await database.fetch_dicts(SQL("select pg_backend_pid() as pid"))
        return int(row["pid"])

    try:
        first = await backend()
        await database.execute(SQL(before))
        with pytest.raises(DatabaseUnavailable) as raised:
            await database.execute(SQL(statement))

        assert raised.value.refused
        assert await backend() != first
        await database.execute(SQL("create table new (n int)"))
    finally:
        await database.pool.close()


async def test_pool_keeps_a_connection_after_a_wrong_statement(database_url: str) -> None:
    database = Database(database_url, min_size=1, max_size=1)
    await database.open()
    backend = SQL("select pg_backend_pid() as pid")
    try:
        first = await database.fetch_dicts(backend)
        with pytest.raises(ProgrammingError):
            await database.execute(SQL("select no_such_column"))

        assert await database.fetch_dicts(backend) == first
    finally:
        await database.pool.close()


async def test_database_on_a_full_disk_is_unavailable(database_url: str) -> None:
    database = Database(database_url, min_size=1, max_size=1)
    await database.open()
    try:
        for code in ("53100", "53200", "53300", "57P01", "57P03"):
            statement = SQL("do $$ begin raise 'x' using errcode = {}; end $$").format(code)
            with pytest.raises(DatabaseUnavailable):
                await database.execute(statement)
    finally:
        await database.pool.close()


@asynccontextmanager
async def _opened(database_url: str, connections: int) -> AsyncIterator[Database]:
    """Yields a pool whose connections are there."""
    database = Database(database_url, min_size=connections, max_size=connections)
    await database.open()
    try:
        await database.pool.wait()
        yield database
    finally:
        await database.pool.close()


async def test_pool_lends_the_connection_that_came_back_last(database_url: str) -> None:
    process = SQL("select pg_backend_pid() as id")
    async with _opened(database_url, 3) as database:
        async with database.connection() as first, database.connection() as second:
            assert first is not second
            last_back = first.info.backend_pid

        used = [(await database.fetch_dicts(process))[0]["id"] for _ in range(4)]

        assert used == [last_back] * 4


async def test_pool_drops_every_connection_when_one_was_lost(
    database_url: str, operator: AsyncConnection
) -> None:
    process = SQL("select pg_backend_pid() as id, pg_sleep(0.05)")
    async with _opened(database_url, 3) as database:
        async with database.connection(), database.connection(), database.connection():
            pass  # each has been used
        await operator.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        with pytest.raises(DatabaseUnavailable):
            await database.fetch_dicts(process)

        rows = await asyncio.gather(*(database.fetch_dicts(process) for _ in range(3)))

        assert len({row["id"] for ((row),) in rows}) == 3


async def test_pool_replaces_idle_connections_that_have_lived_long_enough(
    database_url: str,
) -> None:
    async with _opened(database_url, 3) as database:
        *idle, _last = database.pool._pool
        for connection in idle:
            connection._expire_at = 0.0

        for _ in range(3):
            await database.fetch_dicts(SQL("select 1"))

        assert [connection.closed for connection in idle] == [True, True]


async def test_statement_planned_each_time_has_a_plan_for_its_parameters(
    database_url: str, operator: AsyncConnection
) -> None:
    await operator.execute("create table filling as select generate_series(1, 10) n")
    prepared = SQL(
        "select count(*) as count from pg_prepared_statements where statement like '%%filling%%'"
    )
    async with _opened(database_url, 1) as database:
        for _ in range(3):
            await database.planned_once().planned_each_time().fetch_all(Count, _FIND_COUNT, n=1)
        (never,) = await database.fetch_dicts(prepared)
        for _ in range(3):
            await database.fetch_all(Count, _FIND_COUNT, n=1)
        (later,) = await database.fetch_dicts(prepared)

        assert (never["count"], later["count"]) == (0, 1)


async def test_postgres_18_does_not_prune_partitions(
    database_url: str, operator: AsyncConnection
) -> None:
    expected = "off" if operator.info.server_version >= 180_000 else "on"
    shown = SQL("show enable_partition_pruning")
    async with _opened(database_url, 1) as database:
        for view in (database, database.planned_once(), database.planned_either_way()):
            assert await view.fetch_dicts(shown) == [{"enable_partition_pruning": expected}]
