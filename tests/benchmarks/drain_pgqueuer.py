"""Drains PgQueuer as its own benchmark does: five consumers, ten jobs at a time, over asyncpg.

Takes a URL, a number of jobs and `nothing` or `records`; writes the jobs per second. With `records`
each job has the text of a message, and writes what a gateway would have to write for it: a row of
history and a callback, in one statement with one commit. As many of these run at a time as the
gateway of the benchmark has connections. Runs where requirements.txt is installed.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

_CONSUMERS, _BATCH, _RECORDERS = 5, 10, 10
_TABLES = """
    create table history (
        message_id text primary key,
        instance_id text not null,
        phone text not null,
        payload jsonb not null,
        sent_at timestamptz not null default now()
    );
    create index history_of_chat on history (instance_id, phone, sent_at);
    create table callbacks (
        position bigint generated always as identity primary key,
        instance_id text not null,
        body jsonb not null,
        due_at timestamptz not null default now()
    );
    create index callbacks_due on callbacks (due_at);
"""
_RECORD = """
    with recorded as (
        insert into history (message_id, instance_id, phone, payload) values ($1, $2, $3, $4)
        returning instance_id, message_id, phone
    )
    insert into callbacks (instance_id, body)
    select instance_id,
           jsonb_build_object('type', 'DeliveryCallback', 'messageId', message_id, 'phone', phone)
    from recorded
"""

Work = Callable[[Job], Awaitable[None]]


async def _do_nothing(_job: Job) -> None:
    pass


async def _keep(_connection: object) -> None:
    """Instead of asyncpg's reset of a connection, which is a round trip of its own."""


async def _recorder(pool: asyncpg.Pool) -> Work:
    await pool.execute(_TABLES)

    async def record(job: Job) -> None:
        message = json.loads(job.payload)
        await pool.execute(
            _RECORD,
            message["messageId"],
            message["instanceId"],
            message["phone"],
            job.payload.decode(),
        )

    return record


def _payloads(jobs: int) -> list[bytes]:
    """Messages of 1,000 numbers."""
    return [
        json.dumps(
            {
                "messageId": f"3EB0{number:032X}",
                "instanceId": f"BENCH{number % 1_000:08}",
                "phone": f"5511{number * 7919 % 100_000:09}",
                "message": f"text {number}",
            }
        ).encode()
        for number in range(jobs)
    ]


async def run(url: str, jobs: int) -> float:
    """Drains jobs that do nothing."""
    return await _drained(url, [b""] * jobs, _do_nothing)


async def run_with_records(url: str, jobs: int) -> float:
    """Drains jobs that write history and a callback."""
    async with asyncpg.create_pool(
        url, min_size=_RECORDERS, max_size=_RECORDERS, reset=_keep
    ) as pool:
        rate = await _drained(url, _payloads(jobs), await _recorder(pool))
        written = await pool.fetchrow(
            "select (select count(*) from history), (select count(*) from callbacks)"
        )
    assert tuple(written) == (jobs, jobs), written
    return rate


async def _drained(url: str, payloads: list[bytes], perform: Work) -> float:
    """Returns the jobs per second."""
    jobs = len(payloads)

    async def queries() -> Queries:
        return Queries(AsyncpgDriver(await asyncpg.connect(dsn=url)))

    first = await queries()
    await first.install()
    await first.enqueue(["job"] * jobs, payloads, [0] * jobs)
    await first.driver.execute("vacuum analyze")
    consumers = [PgQueuer((await queries()).driver) for _ in range(_CONSUMERS)]
    done = 0
    for consumer in consumers:

        @consumer.entrypoint("job")  # type: ignore[untyped-decorator] # of a library that mypy does not see
        async def work(job: Job) -> None:
            nonlocal done
            await perform(job)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(
        *(c.run(batch_size=_BATCH, mode=QueueExecutionMode.drain) for c in consumers)
    )
    taken = time.perf_counter() - began
    assert done == jobs, done
    return jobs / taken


if __name__ == "__main__":
    of_url, of_jobs, of_work = sys.argv[1:]
    of_kind = run_with_records if of_work == "records" else run
    sys.stdout.write(f"{uvloop.run(of_kind(of_url, int(of_jobs)))}\n")
