"""Makes the instances, queues and history that `growth` measures, quickly.

Each step of history fills months of its own, from this month back. A month is filled before its
indexes are built and before it becomes a partition: with indexes, 50 million rows take hours.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from tests.benchmarks.harness import add_instances, say

LINE = "BENCH00000002"
"""An instance as the others are."""
BUSY_LINE = "BENCH00000001"
"""The instance of every hundredth message of history."""
CHATS = 50
_ROWS_OF_A_MONTH = 4_500_000
_MONTHS_AT_ONCE = 3

# Every hundredth message is of one instance, and every second was received. The chat follows from
# what is left of the number, so that each instance has messages in each of its chats.
_FILL = SQL(
    """insert into {table} (instance_id, message_id, recorded_at, created_at, sent_at,
                            sequence_number, version, from_me, status, phone, type, payload)
       select case when n % 200 in (0, 1) then {busy}
                   else 'BENCH' || lpad((2 + n % ({lines} - 1))::text, 8, '0') end,
              '3EB0' || upper(substr(md5(n::text), 1, 18)), a.at, a.at,
              case when n % 2 = 1 then a.at end, n, 1, n % 2 = 1,
              case n % 2 when 1 then 'sent' else 'received' end,
              '55119' || lpad((n / {lines} % {chats})::text, 8, '0'),
              case n % 2 when 1 then 'send-text' else 'text' end,
              jsonb_build_object('phone', '5511999999999', 'message', 'text ' || n)
       from generate_series({first}::bigint, {last}::bigint) n,
            lateral (
                select least({until}, now())
                       - (n - {first} + 1) * {step} * interval '1 second' as at
            ) a"""
)


async def make_queues(url: str, lines: int, waiting: int) -> None:
    """Connected instances with callbacks, leases, chats and *waiting* messages in their queues."""
    await add_instances(url, lines)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "update instances set delivery_callback_url = 'https://example.com/hook'"
        )
        await connection.execute("update instance_lines set connected = true")
        await connection.execute(
            """insert into nodes (id, expires_at, role)
               values ('growth', now() + interval '1 year', 'all')"""
        )
        await connection.execute(
            """insert into instance_leases (instance_id, node_id, epoch)
               select id, 'growth', 1 from instances"""
        )
        await connection.execute(
            """insert into chats (instance_id, phone, last_message_at)
               select i.id, '55119' || lpad(n::text, 8, '0'), now() - n * interval '1 hour'
               from instances i, generate_series(0, %s - 1) n""",
            [CHATS],
        )
        if waiting:
            await make_waiting(connection, waiting // lines)
        await connection.execute("vacuum analyze instances, instance_lines, instance_leases, chats")
        if waiting:
            await connection.execute("vacuum analyze message_queue")


async def relax_vacuum(connection: psycopg.AsyncConnection) -> None:
    """Keeps autovacuum from the tables that grow, so that plans made for small ones stay."""
    cursor = await connection.execute(
        """select relid::text from pg_partition_tree('messages') where isleaf
           union all values ('message_queue'), ('message_ids'), ('chats'), ('instance_lines')"""
    )
    for (table,) in await cursor.fetchall():
        await connection.execute(f"alter table {table} set (autovacuum_enabled = off)".encode())


async def fill_this_month(connection: psycopg.AsyncConnection, count: int, lines: int) -> None:
    """The latest *count* messages, into the partition that is there."""
    await _fill(connection, Month(0, 1, count), SQL("messages"), lines)
    await connection.execute(
        "insert into message_ids select instance_id, message_id, recorded_at from messages"
    )


async def make_waiting(connection: psycopg.AsyncConnection, each: int) -> None:
    """*each* messages per instance: of 50, 45 due, 3 scheduled, 1 with an expiry, 1 failed."""
    await connection.execute(
        """insert into message_queue (instance_id, zaap_id, message_id, type, version, phone,
                payload, priority, max_attempts, sequence_number, position, status, due_at,
                expires_at, last_error)
           select i.id, upper(md5(i.id || n)), '3EB0' || upper(substr(md5(i.id || n), 1, 18)),
                  'send-text', 1, '55119' || lpad((n %% %(chats)s)::text, 8, '0'),
                  '{"phone": "5511999999999", "message": "hi"}', 1, 3, n, n,
                  case when n %% 50 in (10, 20, 30) then 'scheduled'
                       when n %% 50 = 40 then 'failed' else 'pending' end,
                  case when n %% 50 in (10, 20, 30) then now() + n * interval '1 hour'
                       else now() end,
                  case when n %% 50 = 45 then now() + interval '1 day' end,
                  case when n %% 50 = 40 then 'failed' end
           from generate_series(1, %(each)s) n, instances i""",
        {"each": each, "chats": CHATS},
    )
    await connection.execute(
        "update instance_lines set next_sequence = %s, front_position = 0", [each + 1]
    )


async def grow(url: str, up_to: int, lines: int) -> None:
    """History of *up_to* messages; what is there already stays, and the rest are older months."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("create table if not exists months_made (month text, rows bigint)")
        cursor = await connection.execute(
            "select count(*), coalesce(sum(rows), 0)::bigint from months_made"
        )
        ((made, there),) = await cursor.fetchall()
        if there >= up_to:
            return
        count = -(-(up_to - there) // _ROWS_OF_A_MONTH)
        each = -(-(up_to - there) // count)
        months = [
            Month(made + n, there + 1 + n * each, min(up_to, there + (n + 1) * each))
            for n in range(count)
        ]
        turns = asyncio.Semaphore(_MONTHS_AT_ONCE)
        await asyncio.gather(*(fill_month(url, month, lines, turns) for month in months))
        for month in months:
            await month.attach(connection)
        await _add_ids(connection, months)


async def _add_ids(connection: psycopg.AsyncConnection, months: Sequence["Month"]) -> None:
    await connection.execute("alter table message_ids drop constraint message_ids_pkey")
    for month in months:
        await connection.execute(
            SQL(
                "insert into message_ids select instance_id, message_id, recorded_at from {}"
            ).format(month.table)
        )
        await connection.execute(
            "insert into months_made values (%s, %s)", [month.name, month.last - month.first + 1]
        )
    await connection.execute("alter table message_ids add primary key (instance_id, message_id)")
    # No partition without rows: Postgres has not seen those of the coming months either.
    for table in (*(month.table for month in months), Identifier("message_ids")):
        await connection.execute(SQL("vacuum analyze {}").format(table))
    await connection.execute("analyze messages")


async def fill_month(url: str, month: "Month", lines: int, turns: asyncio.Semaphore) -> None:
    """A table that may become a partition: its rows, then its indexes."""
    async with turns, await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await month.fill(connection, lines)
        say(f"  made {month.name}")


@dataclass(frozen=True, slots=True)
class Month:
    """The messages from *first* to *last*, so many months *ago*."""

    ago: int
    first: int
    last: int

    @property
    def name(self) -> str:
        return f"messages_{_month(self.ago):%Y_%m}"

    @property
    def table(self) -> Identifier:
        return Identifier(self.name)

    async def fill(self, connection: psycopg.AsyncConnection, lines: int) -> None:
        await connection.execute(SQL("drop table if exists {}").format(self.table))
        async with connection.transaction():
            await connection.execute(
                SQL(
                    "create table {} (like messages including defaults including constraints)"
                ).format(self.table)
            )
            await _fill(connection, self, self.table, lines)
        cursor = await connection.execute(
            """select pg_get_indexdef(indexrelid) from pg_index
               where indrelid = 'messages'::regclass and not indisprimary"""
        )
        for (definition,) in await cursor.fetchall():
            columns = definition.partition(" USING ")[2]
            await connection.execute(f"create index on {self.name} using {columns}".encode())
        await connection.execute(
            SQL("alter table {} add primary key (instance_id, message_id, recorded_at)").format(
                self.table
            )
        )

    async def attach(self, connection: psycopg.AsyncConnection) -> None:
        await connection.execute(
            SQL("alter table messages attach partition {} for values from ({}) to ({})").format(
                self.table, Literal(_month(self.ago)), Literal(_month(self.ago - 1))
            )
        )


async def _fill(
    connection: psycopg.AsyncConnection, month: Month, table: Composable, lines: int
) -> None:
    since, until = _month(month.ago), _month(month.ago - 1)
    seconds = (min(until, datetime.now(UTC)) - since).total_seconds() - 1
    await connection.execute(
        _FILL.format(
            table=table,
            busy=Literal(BUSY_LINE),
            lines=Literal(lines),
            chats=Literal(CHATS),
            first=Literal(month.first),
            last=Literal(month.last),
            until=Literal(until),
            step=Literal(seconds / (month.last - month.first + 1)),
        )
    )


def _month(ago: int) -> datetime:
    """The beginning of the month *ago* months before this one."""
    now = datetime.now(UTC)
    months = now.year * 12 + now.month - 1 - ago
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
