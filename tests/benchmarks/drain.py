"""Emptying many lines without pauses, against PgQueuer and procrastinate emptying one queue.

Ours keeps the order of each line, marks every start, and writes history and a callback. The others
do none of that; another side of PgQueuer writes history and a callback too. BENCHMARK_PYTHON is a
Python with tests/benchmarks/requirements.txt.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from gateway.administration.listing import InstanceFilter, list_instances
from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.runtime.gc_tuning import freeze_startup_objects
from gateway.send_queue.worker import Worker
from gateway.sessions.provider import Attempt, Receipt, ReportedEvent
from tests.benchmarks.figures import operator_of
from tests.benchmarks.harness import Rounds, add_instances, dsn, fresh_database, main, say
from tests.benchmarks.measured import Meter
from tests.fixtures.queue import Node, new_node

_HERE = Path(__file__).parent
_SHAPES = ((1_000, 20), (10_000, 3))
_ROUNDS = int(os.environ.get("BENCHMARK_ROUNDS", "3"))
_RECORDS = "PgQueuer with records"
_PYTHON = os.environ.get("BENCHMARK_PYTHON", ".bench/bin/python")


class AcceptsAtOnce:
    """A session as the sandbox without its journal has it."""

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        return Receipt(attempt.message_id)

    async def execute(self, operation: Operation[Any]) -> Any:
        raise NotImplementedError

    async def check_health(self) -> None:
        pass

    async def events(self) -> AsyncIterator[ReportedEvent]:
        raise NotImplementedError
        yield


async def fill(url: str, lines: int, each: int) -> None:
    """Lines of connected instances with callbacks, full of messages that are due."""
    await add_instances(url, lines)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "update instances set delivery_callback_url = 'https://example.com/hook'"
        )
        await connection.execute("update instance_lines set connected = true")
        await connection.execute(
            """insert into instance_leases (instance_id, node_id, epoch)
               select id, 'a', 1 from instances"""
        )
        await connection.execute(
            """insert into message_queue (instance_id, zaap_id, message_id, type, version, phone,
                    payload, priority, max_attempts, sequence_number, position, status)
               select i.id, upper(md5(i.id || n)), '3EB0' || upper(md5(i.id || n)), 'send-text', 1,
                      p.phone,
                      jsonb_build_object('phone', p.phone, 'message', 'text ' || n, 'priority', 1),
                      1, 3, n, n, 'pending'
               from generate_series(1, %s) n, instances i,
                    lateral (
                        select '5511' || lpad((n * 7919 %% 100000)::text, 9, '9') as phone
                    ) p""",
            [each],
        )
        await connection.execute("vacuum analyze")


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    parts = (
        node.enqueuer,
        node.claimer,
        node.starter,
        node.recorder,
        node.numbers,
        node.fetches,
        node.database,
    )
    tasks = [asyncio.create_task(part.run_until(stopping)) for part in parts]
    catalogue()  # read at start, as `gateway serve` does
    freeze_startup_objects()
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def cost_shown(url: str, messages: int) -> AsyncIterator[None]:
    """Says what the block costs: of this process, and of Postgres."""
    async with operator_of(url) as operator:
        meter = Meter(operator, [])
        before, python_before = await meter.read(), time.process_time()
        yield
        python = (time.process_time() - python_before) / messages * 1e6
        postgres = (await meter.read()).since(before).postgres / messages * 1e6
    say(
        f"  gateway: Python {python:.0f} + Postgres {postgres:.0f} = {python + postgres:.0f} us of"
        " processor time per message (aim 250)"
    )


async def drain_ours(server_url: str, lines: int, each: int) -> float:
    async with fresh_database(server_url) as url:
        await fill(url, lines, each)
        node = await new_node(url)
        async with running(node):
            node.leases.may_act_until = float("inf")
            context, leaving = node.worker_dependencies(), asyncio.Event()
            wakeups = [asyncio.Event() for _ in range(lines)]
            workers = [
                Worker(node.live(instance, AcceptsAtOnce()), context, wakeup)
                for instance, wakeup in zip(
                    await list_instances(node.database, InstanceFilter()), wakeups, strict=True
                )
            ]
            async with cost_shown(url, lines * each):
                began = time.perf_counter()
                tasks = [asyncio.create_task(worker.run_until(leaving)) for worker in workers]
                await _until_empty(url)
                taken = time.perf_counter() - began
            leaving.set()
            for wakeup in wakeups:
                wakeup.set()
            await asyncio.gather(*tasks)
        await _check(url, lines * each)
    return lines * each / taken


async def _until_empty(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            cursor = await connection.execute("select 1 from message_queue limit 1")
            if await cursor.fetchone() is None:
                return
            await Clock().sleep(0.02)


async def _check(url: str, messages: int) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(
            """select (select count(*) from messages where status = 'sent'),
                      (select count(*) from webhook_outbox),
                      (select count(*)
                       from (select sequence_number - lag(sequence_number) over (
                                 partition by instance_id order by recorded_at) as step
                             from messages) steps
                       where step <= 0)"""
        )
        assert await cursor.fetchone() == (messages, messages, 0)


async def drain_other(server_url: str, script: str, jobs: int, *words: str) -> float:
    async with fresh_database(server_url, migrated=False) as url:
        process = await asyncio.create_subprocess_exec(
            _PYTHON,
            str(_HERE / script),
            dsn(url),
            str(jobs),
            *words,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise SystemExit(f"{script} failed: is {_PYTHON} there? See {_HERE}/requirements.txt")
        return float(output.decode().split()[-1])


async def run(server_url: str) -> None:
    for lines, each in _SHAPES:
        jobs = lines * each
        say(f"drain: {lines:,} lines of {each}, {jobs:,} messages")
        rounds = Rounds(
            "messages/s",
            {
                "gateway": partial(drain_ours, server_url, lines, each),
                "PgQueuer": partial(drain_other, server_url, "drain_pgqueuer.py", jobs, "nothing"),
                _RECORDS: partial(drain_other, server_url, "drain_pgqueuer.py", jobs, "records"),
                "procrastinate": partial(drain_other, server_url, "drain_procrastinate.py", jobs),
            },
        )
        await rounds.run(_ROUNDS)
        rounds.report()
        rounds.ratio("gateway", "PgQueuer", aim=2.0)
        rounds.ratio("gateway", _RECORDS, aim=2.0)
        rounds.ratio("gateway", "procrastinate")


if __name__ == "__main__":
    main(run)
