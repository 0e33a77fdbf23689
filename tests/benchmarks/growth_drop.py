"""How long accepts and records wait while a month of history is dropped beside long readers.

BENCHMARK_LOCK_MILLISECONDS lists how long the drop waits for its lock at each attempt, to compare
with other waits.
"""

import asyncio
import os
import time
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.history import partitions
from gateway.history.partitions import HistoryPartitions
from gateway.instances.store import Instance
from gateway.send_queue.claim_cursor import ClaimCursor
from tests.benchmarks.drain import running
from tests.benchmarks.harness import fresh_database, main, percentile, say
from tests.fixtures.queue import Node, add_instances, new_node, taken

_EACH, _READERS = 4, 3
_ROWS = 20_000
_READ_SECONDS, _BEFORE_SECONDS, _AFTER_SECONDS = 6.0, 3.0, 2.0
_FIND_MONTH = SQL("select to_regclass('messages_2020_01') as oid")


@dataclass
class Waits:
    """Milliseconds of each accept and of each record."""

    accepts: list[float] = field(default_factory=list)
    records: list[float] = field(default_factory=list)

    def show(self, when: str) -> None:
        for what, waits in (("accepts", self.accepts), ("records", self.records)):
            say(
                f"  {when}: {len(waits):,} {what}, p50 {percentile(waits, 50):.1f},"
                f" p99 {percentile(waits, 99):.1f}, longest {max(waits):.1f} ms"
            )


class Callers:
    """Accepts and records, as of many callers and instances."""

    def __init__(self, node: Node) -> None:
        self._node, self.waits, self.leaving = node, Waits(), False

    async def accept(self, instance: Instance) -> None:
        while not self.leaving:
            began = time.perf_counter()
            await self._node.enqueue(instance, "text")
            self.waits.accepts.append((time.perf_counter() - began) * 1_000)

    async def record(self, instance: Instance) -> None:
        """Sends one message after another."""
        node, cursor = self._node, ClaimCursor(instance.id, 1)
        while not self.leaving:
            await node.enqueue(instance, "text")
            claimed = await node.claim(cursor)
            assert await node.starter.start(claimed)
            began = time.perf_counter()
            await node.recorder.record(claimed, taken(claimed))
            self.waits.records.append((time.perf_counter() - began) * 1_000)


async def _add_expired_month(connection: psycopg.AsyncConnection, instance_id: str) -> None:
    await connection.execute(
        """create table messages_2020_01 partition of messages
           for values from ('2020-01-01 00:00Z') to ('2020-02-01 00:00Z')"""
    )
    await connection.execute(
        """with made as (
               insert into messages (instance_id, message_id, recorded_at, created_at, version,
                                     from_me, status, phone, type, payload)
               select %s, 'OLD' || n, at, at, 1, true, 'sent', '5511999999999', 'send-text', '{}'
               from generate_series(1, %s) n,
                    lateral (select timestamptz '2020-01-02 00:00Z' + n * interval '1 second') a(at)
               returning instance_id, message_id, recorded_at
           )
           insert into message_ids (instance_id, message_id, recorded_at) select * from made""",
        [instance_id, _ROWS],
    )


async def _read(url: str) -> None:
    """Holds a snapshot of history, as a long export does."""
    async with await psycopg.AsyncConnection.connect(url) as reader:
        await reader.execute("select count(*) from messages")
        await asyncio.sleep(_READ_SECONDS)


async def run(server_url: str) -> None:
    if given := os.environ.get("BENCHMARK_LOCK_MILLISECONDS"):
        partitions._LOCK_MILLISECONDS = tuple(map(int, given.split(",")))
    async with fresh_database(server_url) as url:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            instances = await add_instances(connection, 2 * _EACH)
            await _add_expired_month(connection, instances[0].id)
        node = await new_node(url)
        async with running(node):
            node.leases.may_act_until = float("inf")
            callers = Callers(node)
            tasks = [
                *(asyncio.create_task(callers.accept(instance)) for instance in instances[_EACH:]),
                *(asyncio.create_task(callers.record(instance)) for instance in instances[:_EACH]),
            ]
            await asyncio.sleep(_BEFORE_SECONDS)
            callers.waits.show("before")
            callers.waits = Waits()
            await _drop(url, node)
            await asyncio.sleep(_AFTER_SECONDS)
            callers.waits.show("while it is dropped")
            callers.leaving = True
            await asyncio.gather(*tasks)


async def _drop(url: str, node: Node) -> None:
    """Drops the month beside readers, and once more if they have kept it from that."""
    readers = [asyncio.create_task(_read(url)) for _ in range(_READERS)]
    await asyncio.sleep(0.2)
    month = HistoryPartitions(node.database, Clock(), retention_days=365)
    for when in ("beside readers", "after them"):
        began = time.perf_counter()
        await month.maintain()
        taken_seconds = time.perf_counter() - began
        found = await node.database.fetch_dicts(_FIND_MONTH)
        said = "not dropped" if found[0]["oid"] else "dropped"
        say(f"  {said} {when}, after {taken_seconds:.1f} s")
        await asyncio.gather(*readers)


if __name__ == "__main__":
    main(run)
