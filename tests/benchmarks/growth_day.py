"""Plays the sends, callbacks and events of a day in minutes, and shows whether vacuum keeps up.

BENCHMARK_MINUTES says how many (8), BENCHMARK_LINES how many instances (20,000), BENCHMARK_WAITING
how many messages wait besides (a million). Retention is two minutes. Postgres has its own settings
of autovacuum, as the gateway leaves them.
"""

import asyncio
import itertools
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.sql import SQL

from gateway.database.pool import Database
from gateway.database.queries import query
from tests.benchmarks.growth_history import CHATS, make_queues
from tests.benchmarks.growth_statements import (
    chat_of,
    enqueue_parameters,
    finish_parameters,
)
from tests.benchmarks.harness import fresh_database, main, say

_MINUTES = float(os.environ.get("BENCHMARK_MINUTES", "8"))
_LINES = int(os.environ.get("BENCHMARK_LINES", "20000"))
_WAITING = int(os.environ.get("BENCHMARK_WAITING", "1000000"))
_SENDERS, _AT_ONCE = 2, 100
_SAMPLES = 8
_NODE = "growth"
_CHATS = [chat_of(n) for n in range(CHATS)]

_TABLES = """
    select relname, n_live_tup, n_dead_tup, pg_table_size(relid) as rows, pg_indexes_size(relid) as
           indexes, autovacuum_count, n_tup_upd, n_tup_hot_upd
    from pg_stat_user_tables
    where n_tup_ins + n_tup_upd + n_tup_del > 1000
    order by relname"""


def _short(file: str, name: str) -> SQL:
    """The statement with a retention of minutes instead of days."""
    text = query(file, name).as_string()
    for long, short in (("days =>", "mins =>"), ("'25 hours'", "'2 minutes'")):
        text = text.replace(long, short)
    return SQL(text)


_DELETES: tuple[tuple[SQL, Mapping[str, Any]], ...] = (
    (_short("webhooks", "delete_expired_events"), {"days": 2}),
    (_short("webhooks", "delete_expired_deliveries"), {"days": 2}),
    (_short("send_queue", "delete_expired_keys"), {}),
    (query("inbox", "delete_processed_events"), {"seconds": 120}),
)


@dataclass
class Day:
    """What was played, and how the tables looked meanwhile."""

    database: Database
    ends_at: float
    sent: int = 0
    received: int = 0
    samples: defaultdict[str, list[Mapping[str, Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    async def play(self, lines: Iterator[list[str]]) -> None:
        while time.monotonic() < self.ends_at:
            await self._send(next(lines))

    async def _run(self, file: str, name: str, **parameters: Any) -> list[dict[str, Any]]:
        return await self.database.fetch_dicts(query(file, name), **parameters)

    async def _send(self, lines: list[str]) -> None:
        """One message of each instance, from its acceptance to its last receipt."""
        count = len(lines)
        chats = [_CHATS[(self.sent + n) % len(_CHATS)] for n in range(count)]
        accepted = enqueue_parameters(lines, chats, keys=[str(uuid.uuid4()) for _ in lines])
        await self._run("send_queue", "enqueue", **accepted)
        claim_ids = [uuid.uuid4() for _ in lines]
        lanes = {"first": [0] * count, "second": [1] * count, "third": [2] * count}
        starts = dict.fromkeys(("reordered", "from_high", "from_normal", "from_bulk"), [0] * count)
        claimed = await self._run(
            "send_queue",
            "claim",
            instance_ids=lines,
            epochs=[1] * count,
            claim_ids=claim_ids,
            earlier_claim_ids=[],
            first_position=0,
            **lanes,
            **starts,
        )
        rows = {
            "instance_ids": [row["instance_id"] for row in claimed],
            "ids": [row["id"] for row in claimed],
            "epochs": [1] * len(claimed),
            "claim_ids": [row["claim_id"] for row in claimed],
        }
        ids = [row["message_id"] for row in claimed]
        nothing = [None] * len(claimed)
        await self._run("send_queue", "start_attempts", **rows, connection_ids=nothing)
        await self._run(
            "send_queue",
            "record_sent",
            **rows,
            provider_message_ids=ids,
            provider_data=nothing,
            chats=[row["phone"] for row in claimed],
            callback_ids=[uuid.uuid4() for _ in claimed],
            callbacks=['{"type": "DeliveryCallback"}'] * len(claimed),
            echo_ids=nothing,
            echoes=nothing,
            status_ids=[uuid.uuid4() for _ in claimed],
            status_callbacks=["{}"] * len(claimed),
            sent_files=nothing,
        )
        self.sent += len(claimed)
        await self._run("send_queue", "mark_idle", instance_ids=lines)
        await self._deliver()
        for status in ("delivered", "read"):
            await self._run(
                "history",
                "acknowledge",
                ordinals=list(range(len(ids))),
                instance_ids=rows["instance_ids"],
                provider_ids=ids,
                statuses=[status] * len(ids),
                ats=[datetime.now(UTC)] * len(ids),
                participants=nothing,
            )
        await self._receive(lines[: count // 2])

    async def _deliver(self) -> None:
        claim_id = uuid.uuid4()
        found = await self._run(
            "webhooks",
            "claim_delivery_queues",
            max_count=2 * _AT_ONCE,
            per_queue=10,
            claim_seconds=60,
            claim_id=claim_id,
            node_id=_NODE,
            blocked=[],
            full_accounts=[],
        )
        if found:
            await self._run(
                "webhooks", "finish_delivery_queues", **finish_parameters(found, claim_id)
            )
        await self._run("webhooks", "assign_event_positions", max_count=1_000)

    async def _receive(self, lines: list[str]) -> None:
        event_ids = [str(uuid.uuid4()) for _ in lines]
        await self._run(
            "inbox",
            "add_events",
            at_once=False,
            instance_ids=lines,
            event_ids=event_ids,
            chats=_CHATS[:1] * len(lines),
            own_phones=[None] * len(lines),
            bodies=['{"text": "hello"}'] * len(lines),
        )
        for line, event_id in zip(lines, event_ids, strict=True):
            await self._run("inbox", "finish_event", instance_id=line, event_id=event_id)
        self.received += len(lines)

    async def clean(self) -> None:
        """Deletes what is two minutes old, as maintenance deletes what is days old."""
        while time.monotonic() < self.ends_at:
            await asyncio.sleep(10)
            await self.database.execute(query("webhooks", "delete_empty_delivery_queues"))
            for statement, parameters in _DELETES:
                while await self.database.execute(statement, max_count=2_000, **parameters):
                    pass

    async def sample(self) -> None:
        pause = (self.ends_at - time.monotonic()) / _SAMPLES
        for _ in range(_SAMPLES):
            await asyncio.sleep(pause)
            for row in await self.database.fetch_dicts(SQL(_TABLES)):
                self.samples[row["relname"]].append(row)

    def show(self) -> None:
        say(f"  {self.sent:,} sent, {self.received:,} events received in {_MINUTES:g} minutes")
        say("  MiB of rows + indexes at each eighth of it; dead rows at most; vacuums; HOT updates")
        for name, rows in self.samples.items():
            sizes = " ".join(f"{row['rows'] >> 20}+{row['indexes'] >> 20}" for row in rows)
            dead = max(row["n_dead_tup"] for row in rows)
            last = rows[-1]
            hot = last["n_tup_hot_upd"] / max(1, last["n_tup_upd"])
            say(
                f"  {name}: {sizes}; {dead:,} dead of {last['n_live_tup']:,};"
                f" {last['autovacuum_count']} vacuums; {hot:.0%} of {last['n_tup_upd']:,}"
            )


def _lines(first: int, last: int) -> Iterator[list[str]]:
    """Yields instances in turn, so that no two senders have the same ones."""
    ids = itertools.cycle(f"BENCH{n:08}" for n in range(first, last + 1))
    while True:
        yield [next(ids) for _ in range(_AT_ONCE)]


async def run(server_url: str) -> None:
    async with fresh_database(server_url) as url:
        await make_queues(url, _LINES, _WAITING)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("select pg_stat_reset()")
        say(f"day: {_LINES:,} instances, {_WAITING:,} waiting besides")
        await play(url)


async def play(url: str) -> None:
    database = Database(url, statement_seconds=300.0)
    await database.open()
    day = Day(database.planned_once(), time.monotonic() + _MINUTES * 60)
    share = _LINES // _SENDERS
    senders = [day.play(_lines(n * share + 1, (n + 1) * share)) for n in range(_SENDERS)]
    await asyncio.gather(*senders, day.clean(), day.sample())
    day.show()
    await database.pool.close()


if __name__ == "__main__":
    main(run)
