"""What the queue's statements cost with 0, 1 and 10 million messages in history.

Enqueue, claim, record, list and a status update of one line among a hundred; also while somebody
holds an old snapshot open. BENCHMARK_MILLIONS lists other sizes. Then the same for plans that were
made while every table was empty, with BENCHMARK_WAITING messages (a million) in the queues.
"""

import os
import statistics
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.sql import SQL

from gateway.database.pool import Database
from gateway.database.queries import query
from tests.benchmarks.drain import fill
from tests.benchmarks.harness import fresh_database, main, say

_MILLIONS = [float(n) for n in os.environ.get("BENCHMARK_MILLIONS", "0,1,10").split(",")]
_LINES, _EACH, _TIMES = 100, 50, 30
_ROWS_AT_ONCE = 500_000
_WAITING = int(os.environ.get("BENCHMARK_WAITING", "1000000"))


@dataclass
class Cost:
    """Buffers and milliseconds of the same statement, many times."""

    buffers: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


async def grow(connection: psycopg.AsyncConnection, up_to: int) -> None:
    """History as a year of sending has it: spread over instances and months."""
    cursor = await connection.execute("select count(*) from messages")
    ((there,),) = await cursor.fetchall()
    for first in range(there + 1, up_to + 1, _ROWS_AT_ONCE):
        await connection.execute(
            """with made as (
                   insert into messages (instance_id, message_id, recorded_at, created_at, sent_at,
                                         sequence_number, version, from_me, status, phone, type,
                                         payload)
                   select 'BENCH' || lpad((n %% %(lines)s + 1)::text, 8, '0'),
                          'OLD' || md5(n::text), at, at, at, n, 1, true, 'sent', '5511999999999',
                          'send-text',
                          '{"phone": "5511999999999", "message": "hi"}'
                   from generate_series(%(first)s::bigint, %(last)s::bigint) n,
                        lateral (select now() - n * interval '1 millisecond' as at) a
                   returning instance_id, message_id, recorded_at
               )
               insert into message_ids (instance_id, message_id, recorded_at) select * from made""",
            {
                "lines": _LINES,
                "first": first,
                "last": min(up_to, first + _ROWS_AT_ONCE - 1),
            },
        )
    await connection.execute("vacuum analyze messages, message_ids")


async def measure(connection: psycopg.AsyncConnection) -> dict[str, Cost]:
    """Each statement, undone each time."""
    line = "BENCH00000001"
    cursor = await connection.execute(
        "select id, message_id from message_queue where instance_id = %s order by id limit 1",
        [line],
    )
    ((row_id, message_id),) = await cursor.fetchall()
    cursor = await connection.execute(
        "select message_id from messages where instance_id = %s limit 1", [line]
    )
    known = [m for (m,) in await cursor.fetchall()] or ["nothing"]
    costs: dict[str, Cost] = {}
    for (room, name), parameters in statements(line, row_id, message_id, known).items():
        cost = costs[name] = Cost()
        statement = SQL("explain (analyze, buffers, timing off, format json) {}").format(
            query(room, name)
        )
        for _ in range(_TIMES):
            async with connection.transaction(force_rollback=True):
                if name == "record_sent":
                    await connection.execute(
                        """update message_queue set status = 'processing', claimed_epoch = 1
                           where instance_id = %s and id = %s""",
                        [line, row_id],
                    )
                began = time.perf_counter()
                cursor = await connection.execute(statement, parameters)
                ((plan,),) = await cursor.fetchall()
                cost.milliseconds.append((time.perf_counter() - began) * 1_000)
            root = plan[0]["Plan"]
            cost.buffers.append(root["Shared Hit Blocks"] + root["Shared Read Blocks"])
    return costs


def statements(
    line: str, row_id: int, message_id: str, known: list[str]
) -> dict[tuple[str, str], dict[str, Any]]:
    no_filter: dict[str, None] = dict.fromkeys(("status", "type", "phones", "track_id"))
    return {
        ("send_queue", "enqueue"): {
            "flush_id": uuid.uuid4(),
            "node_id": "growth",
            "ordinals": [0],
            "instance_ids": [line],
            "zaap_ids": ["Z"],
            "message_ids": ["M"],
            "types": ["send-text"],
            "versions": [1],
            "phones": ["5511999999999"],
            "payloads": ["{}"],
            "priorities": [1],
            "due_ats": [None],
            "refuse_disconnected": [False],
            "idempotency_keys": ["key"],
            "expires_ats": [None],
            "expires_ins": [None],
            "body_hashes": [b"body"],
            "max_waiting": 100_000,
            "max_waiting_disconnected": 1_000,
            "max_attempts": 3,
            "max_age_seconds": None,
        },
        ("send_queue", "claim"): {
            "instance_ids": [line],
            "epochs": [1],
            "claim_ids": [uuid.uuid4()],
            "earlier_claim_ids": [],
            "reordered": [0],
            "first": [0],
            "second": [1],
            "third": [2],
            "from_high": [0],
            "from_normal": [0],
            "from_bulk": [0],
            "first_position": 0,
        },
        ("send_queue", "record_sent"): {
            "instance_ids": [line],
            "ids": [row_id],
            "epochs": [1],
            "claim_ids": [None],
            "provider_message_ids": [message_id],
            "provider_data": [None],
            "chats": ["5511999999999"],
            "callback_ids": [uuid.uuid4()],
            "callbacks": ["{}"],
            "echo_ids": [None],
            "echoes": [None],
            "status_ids": [uuid.uuid4()],
            "status_callbacks": ["{}"],
            "sent_files": [None],
        },
        ("send_queue", "list_waiting"): {
            **no_filter,
            "instance_id": line,
            "after": 0,
            "limit": 21,
            "offset": 0,
        },
        ("history", "acknowledge"): {
            "ordinals": [0] * len(known),
            "instance_ids": [line] * len(known),
            "provider_ids": known,
            "statuses": ["read"] * len(known),
            "ats": [datetime(2026, 1, 31, 12, tzinfo=UTC)] * len(known),
            "participants": [None] * len(known),
        },
    }


def _show(what: str, costs: dict[str, Cost]) -> None:
    shown = (
        f"{name} {statistics.median(cost.buffers):.0f} ({statistics.median(cost.milliseconds):.2f})"
        for name, cost in costs.items()
    )
    say(f"  {what}: {', '.join(shown)}")


async def time_statements(database: Database, row_id: int) -> dict[str, float]:
    """Milliseconds of each statement with the plan that the connection has, undone each time."""
    found: dict[str, float] = {}
    line = "BENCH00000001"
    wanted = statements(line, row_id, "M", ["nothing"])
    wanted["send_queue", "start_attempts"] = {
        "instance_ids": [line],
        "ids": [row_id],
        "epochs": [1],
        "claim_ids": [uuid.uuid4()],
        "connection_ids": [None],
    }
    wanted["send_queue", "mark_idle"] = {"instance_ids": [line]}
    for (room, name), parameters in wanted.items():
        taken = []
        for _ in range(_TIMES):
            async with (
                database.connection() as connection,
                connection.transaction(force_rollback=True),
            ):
                began = time.perf_counter()
                await connection.execute(query(room, name), parameters)
                taken.append((time.perf_counter() - began) * 1_000)
        found[name] = statistics.median(taken)
    return found


async def run_planned_while_empty(server_url: str) -> None:
    say(f"milliseconds of statements planned while tables were empty, {_WAITING:,} waiting now")
    async with fresh_database(server_url) as url:
        await fill(url, _LINES, 1)
        database = Database(url, min_size=1, max_size=1, seconds=lambda: 0.0).planned_once()
        await database.open()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("truncate message_queue")
            await connection.execute("vacuum analyze")
            first = await time_statements(database, 1)
            await connection.execute(
                """insert into message_queue (instance_id, zaap_id, message_id, type, version,
                        phone, payload, priority, max_attempts, sequence_number, position, status)
                   select i.id, upper(md5(i.id || n)), '3EB0' || upper(md5(i.id || n)),
                          'send-text', 1, '5511999999999', '{}', 1, 3, n, n, 'pending'
                   from generate_series(1, %s) n, instances i""",
                [_WAITING // _LINES],
            )
            cursor = await connection.execute("select min(id) from message_queue")
            ((row_id,),) = await cursor.fetchall()
            then = await time_statements(database, row_id)
        await database.pool.close()
    for name, milliseconds in then.items():
        say(f"  {name}: {first[name]:.2f} empty, {milliseconds:.2f} now")


async def run(server_url: str) -> None:
    await run_planned_while_empty(server_url)
    say(f"growth: buffers (milliseconds with the explaining) of a statement, median of {_TIMES}")
    async with fresh_database(server_url) as url:
        await fill(url, _LINES, _EACH)
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
            await psycopg.AsyncConnection.connect(url) as reader,
        ):
            for millions in _MILLIONS:
                await grow(connection, int(millions * 1_000_000))
                _show(f"{millions:g} million", await measure(connection))
            await reader.execute("set transaction isolation level repeatable read")
            await reader.execute("select count(*) from message_queue")
            _show("the same beside an old snapshot", await measure(connection))


if __name__ == "__main__":
    main(run)
