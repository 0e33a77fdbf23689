"""What the statements of the program cost with 0, 1, 10 and 50 million messages in history.

A million messages wait in the queues of 20,000 instances. Each statement runs under the plan that
it has in the gateway, and once more planned for its parameters; then beside an old snapshot, and
under plans that were made while the tables were empty. BENCHMARK_MILLIONS lists other sizes,
BENCHMARK_WAITING and BENCHMARK_LINES other numbers. BENCHMARK_KEEP names a database to keep on the
server of BENCHMARK_DATABASE_URL, and to use again: 50 million messages take 26 GB and an hour.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from gateway.database.migrations import migrate
from tests.benchmarks.growth_history import (
    fill_this_month,
    grow,
    make_queues,
    make_waiting,
    relax_vacuum,
)
from tests.benchmarks.growth_plans import Costs, Measurement, Planning, show
from tests.benchmarks.harness import fresh_database, main, say

_MILLIONS = [float(n) for n in os.environ.get("BENCHMARK_MILLIONS", "0,1,10").split(",")]
_LINES = int(os.environ.get("BENCHMARK_LINES", "20000"))
_WAITING = int(os.environ.get("BENCHMARK_WAITING", "1000000"))
_KEEP = os.environ.get("BENCHMARK_KEEP")
_TIMES = int(os.environ.get("BENCHMARK_TIMES", "5"))


@asynccontextmanager
async def _database(server_url: str) -> AsyncIterator[str]:
    """A database with queues and without history; one that is kept has both already."""
    if _KEEP is None:
        async with fresh_database(server_url) as url:
            await make_queues(url, _LINES, _WAITING)
            yield url
        return
    url = make_conninfo(server_url, dbname=_KEEP)
    async with await psycopg.AsyncConnection.connect(server_url, autocommit=True) as connection:
        cursor = await connection.execute("select 1 from pg_database where datname = %s", [_KEEP])
        if await cursor.fetchone() is None:
            await connection.execute(SQL("create database {}").format(Identifier(_KEEP)))
            await migrate(url)
            await make_queues(url, _LINES, _WAITING)
    yield url


async def _measure(url: str, planning: Planning) -> Costs:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        return await Measurement(connection, planning).run(_TIMES)


async def _run_with_history(server_url: str) -> None:
    say(f"growth: {_LINES:,} instances, {_WAITING:,} messages wait")
    columns: dict[str, Costs] = {}
    async with _database(server_url) as url:
        for millions in _MILLIONS:
            await grow(url, int(millions * 1_000_000), _LINES)
            columns[f"{millions:g} million"] = await _measure(url, Planning.AS_IT_RUNS)
        columns["planned each time"] = await _measure(url, Planning.EACH_TIME)
        async with await psycopg.AsyncConnection.connect(url) as reader:
            await reader.execute("set transaction isolation level repeatable read")
            await reader.execute("select count(*) from message_queue")
            columns["old snapshot"] = await _measure(url, Planning.AS_IT_RUNS)
    show("history grows", columns)


async def _run_planned_while_empty(server_url: str) -> None:
    """The plans stay, because nothing analyzes the tables and no table changes."""
    async with fresh_database(server_url) as url:
        await make_queues(url, _LINES, 0)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await relax_vacuum(connection)
            measurement = Measurement(connection, Planning.AS_IT_RUNS)
            columns = {"empty": await measurement.run(1)}
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
                await make_waiting(other, _WAITING // _LINES)
                await fill_this_month(other, _WAITING, _LINES)
            columns["then a million each"] = await measurement.run(_TIMES)
    show("planned while the tables were empty", columns)


async def run(server_url: str) -> None:
    await _run_planned_while_empty(server_url)
    await _run_with_history(server_url)


if __name__ == "__main__":
    main(run)
