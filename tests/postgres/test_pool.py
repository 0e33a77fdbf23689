"""What a connection of the pool keeps, and for how long."""

from psycopg import AsyncConnection
from psycopg.sql import SQL

from gateway.database.pool import Database

_FIND = SQL("select n from filling where n = %(n)s::int")


async def test_a_plan_does_not_outlive_the_table_it_was_made_for(
    database_url: str, operator: AsyncConnection
) -> None:
    await operator.execute("create table filling (n int primary key)")
    await operator.execute("vacuum analyze filling")
    now = 0.0
    database = Database(database_url, min_size=1, max_size=1, seconds=lambda: now)
    await database.open()

    async def plan() -> str:
        for _ in range(10):  # from the sixth on one plan serves all values
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
        now = 5.0
        assert "Seq Scan" not in await plan()
    finally:
        await database.pool.close()
