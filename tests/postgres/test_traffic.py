"""Traffic is written once per period, once only, and read as a series without gaps."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection
from pydantic import ValidationError

from gateway.administration.account_traffic import TrafficContext, read_traffic
from gateway.administration.provider_data import ProviderData
from gateway.administration.removal import Remover
from gateway.administration.traffic_recorder import (
    TrafficRecorder,
    TrafficRetention,
    WaitingSampler,
)
from gateway.clock import Clock
from gateway.contract.extensions.traffic import ReadTraffic, Traffic
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, InvalidRequest, UnknownInstance
from gateway.instances.accounts import Account
from gateway.instances.store import Instances
from gateway.observability.traffic import TrafficCounts
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.maintenance import QueueMaintenance
from gateway.send_queue.outcome import Failed, HandedBack
from tests.fixtures.postgres_proxy import Cut, as_sent, bad_connection
from tests.fixtures.queue import add_instances, blocked_sessions, rows, running_node, taken
from tests.fixtures.service import until

RECORD = query("traffic", "record")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SUMS = """select instance_id, at, accepted, sent, received from traffic
          where instance_id <> '' order by at, instance_id"""
OF_ACCOUNT = "select account_id, accepted, sent, received from traffic where instance_id = ''"


class ManualClock(Clock):
    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, min_size=1, max_size=2)
    await database.open()
    yield database
    await database.pool.close()


async def read(database: Database, account: str = "acme", **asked: Any) -> Traffic:
    found = Account(
        id=account,
        name="Acme",
        allowed_addresses=(),
        client_token_required=False,
        created_at=NOON,
        by_partner_token=True,
    )
    context = TrafficContext(database, Instances(database), ManualClock(NOON + HOUR), found)
    return await read_traffic(context, ReadTraffic.model_validate(asked))


# --- What is counted --------------------------------------------------------------------------


async def test_queue_counts_what_it_accepts_sends_and_gives_up(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    counts = TrafficCounts(Clock())
    async with running_node(database_url) as node:
        node.enqueuer._traffic = node.recorder._traffic = counts
        cursor = ClaimCursor(instance.id, 1)
        for text in ("sent", "refused"):
            await node.enqueue(instance, text)
        await node.recorder.record(sent := await node.claim(cursor), HandedBack())
        await node.recorder.record(sent := await node.claim(cursor), taken(sent))
        await node.recorder.record(await node.claim(cursor), Failed("refused", "refused"))
        late = await node.enqueue(instance, "late", expiresIn=1)
        await operator.execute("update message_queue set expires_at = now()")
        maintenance = QueueMaintenance(
            node.database, Clock(), uuid.uuid4, failed_days=1, traffic=counts
        )
        await maintenance.expire()

    assert late.zaap_id
    (sums,) = counts.take(ended=False)
    assert (sums.accepted, sums.sent, sums.failures) == (3, 1, {"refused": 1, "expired": 1})
    assert sum(sums.latency_counts) == 1


async def test_latency_of_a_scheduled_message_begins_at_its_time(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    counts = TrafficCounts(Clock())
    async with running_node(database_url) as node:
        node.recorder._traffic = counts
        await node.enqueue(instance, "scheduled")
        row = await node.claim(ClaimCursor(instance.id, 1))
        now = Clock().now()
        scheduled = {**row.payload, "scheduled_for": (now - timedelta(minutes=2)).isoformat()}
        row = replace(row, created_at=now - HOUR, payload=scheduled)
        await node.recorder.record(row, taken(row))

    (sums,) = counts.take(ended=False)
    assert 120_000 <= sums.latency_ms < 240_000


async def test_message_whose_answer_was_lost_counts_as_accepted_once(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    counts = TrafficCounts(Clock())
    async with bad_connection(database_url) as connection, running_node(connection.url) as node:
        node.enqueuer._traffic = counts
        connection.lose(query("send_queue", "enqueue"), Cut.AFTER)
        await node.enqueue(instance, "text")

    assert connection.cuts == 1
    assert [sums.accepted for sums in counts.take(ended=False)] == [1]


# --- Writing ----------------------------------------------------------------------------------


async def test_period_costs_one_statement_and_one_row_per_active_instance(
    database_url: str, operator: AsyncConnection
) -> None:
    one, two, _idle = await add_instances(operator, 3)
    clock = ManualClock()
    counts = TrafficCounts(clock)
    async with bad_connection(database_url) as connection:
        database = Database(connection.url, min_size=1, max_size=1)
        await database.open()
        async with database.connection():
            pass  # its first use chooses how Postgres plans
        recorder = TrafficRecorder(database, clock, counts)
        for _ in range(500):
            counts.accepted(one.id)
        counts.received(two.id)
        before = sum(connection.seen.values())
        await recorder.flush()
        clock.at += timedelta(minutes=5)
        await recorder.flush()
        await recorder.flush()
        statements = sum(connection.seen.values()) - before
        await database.pool.close()

    assert (statements, connection.seen[as_sent(RECORD)]) == (1, 1)
    assert await rows(operator, SUMS) == [(one.id, NOON, 500, 0, 0), (two.id, NOON, 0, 0, 1)]
    assert await rows(operator, OF_ACCOUNT) == [("acme", 500, 0, 1)]
    assert await rows(operator, "select count(*) from traffic_flushes") == [1]


async def test_nodes_add_up_in_one_row(operator: AsyncConnection, database: Database) -> None:
    one, two = await add_instances(operator, 2)
    for error_class, seconds in (("refused", 0.7), ("refused", 0.1), ("expired", 0.6)):
        counts = TrafficCounts(ManualClock())
        counts.accepted(one.id)
        counts.failed(one.id, error_class)
        counts.failed(two.id, "refused")
        counts.sent(one.id, since=NOON - timedelta(seconds=seconds))
        await TrafficRecorder(database, ManualClock(), counts).flush(ended=False)

    of_account, of_one, of_two = await rows(
        operator,
        """select accepted, sent, failures, latency_ms, latency_counts[:2] from traffic
           order by instance_id""",
    )
    assert of_account == (3, 3, {"refused": 5, "expired": 1}, 1_400, [1, 2])
    assert of_one == (3, 3, {"refused": 2, "expired": 1}, 1_400, [1, 2])
    assert of_two == (0, 0, {"refused": 3}, 0, [0, 0])


@pytest.mark.parametrize("cut", list(Cut))
async def test_flush_whose_answer_is_lost_is_added_once(
    database_url: str, operator: AsyncConnection, cut: Cut
) -> None:
    (instance,) = await add_instances(operator, 1)
    counts = TrafficCounts(ManualClock())
    counts.accepted(instance.id)
    async with bad_connection(database_url) as connection:
        database = Database(connection.url, min_size=1, max_size=2)
        await database.open()
        recorder = TrafficRecorder(database, ManualClock(), counts)
        connection.lose(RECORD, cut)
        with pytest.raises(DatabaseUnavailable):
            await recorder.flush(ended=False)
        counts.accepted(instance.id)  # joins the next flush, not the doubtful one
        await recorder.flush(ended=False)
        connection.deliver.set()
        if cut is Cut.MEANWHILE:
            await connection.answered.wait()
        await database.pool.close()

    assert connection.cuts == 1
    assert await rows(operator, SUMS) == [(instance.id, NOON, 2, 0, 0)]


async def test_stop_writes_the_present_period(
    operator: AsyncConnection, database: Database
) -> None:
    (instance,) = await add_instances(operator, 1)
    counts, stopping = TrafficCounts(ManualClock()), asyncio.Event()
    recorder = TrafficRecorder(database, ManualClock(), counts)
    running = asyncio.create_task(recorder.run_until(stopping))
    counts.accepted(instance.id)

    stopping.set()
    await running

    assert await rows(operator, SUMS) == [(instance.id, NOON, 1, 0, 0)]


async def test_lags_of_nodes_add_up_and_the_longest_stays(
    operator: AsyncConnection, database: Database
) -> None:
    (one,) = await add_instances(operator, 1)
    for lag_seconds in (0.5, 20.0, 2.0):
        counts = TrafficCounts(ManualClock())
        counts.delivered(one.id, lag_seconds=lag_seconds)
        await TrafficRecorder(database, ManualClock(), counts).flush(ended=False)
    await operator.execute("update traffic set callbacks_delivered = callbacks_delivered + 5")

    series = await read(database, **{"from": NOON.isoformat(), "step": "3600"})

    (point,) = series.points
    assert (point.callbacks_delivered, point.callbacks_timed) == (8, 3)  # 5 of an earlier release
    assert (point.callback_lag_ms, point.callback_lag_max_ms) == (22_500, 20_000)


async def test_deleted_instance_leaves_no_row_and_gets_none_later(
    operator: AsyncConnection, database: Database
) -> None:
    deleted, other = await add_instances(operator, 2)
    counts = TrafficCounts(ManualClock())
    recorder = TrafficRecorder(database, ManualClock(), counts)
    remover = Remover(database, Clock(), ProviderData(database, list), lapse_seconds=0.0)
    counts.accepted(deleted.id)
    await recorder.flush(ended=False)

    await remover.remove(deleted.id)
    await remover.clear_removed()
    counts.accepted(deleted.id)
    counts.accepted(other.id)
    await recorder.flush(ended=False)

    assert await rows(operator, SUMS) == [(other.id, NOON, 1, 0, 0)]
    assert await rows(operator, OF_ACCOUNT) == [("acme", 2, 0, 0)]  # of the past, it stays true


async def test_old_sums_and_flushes_are_deleted_in_batches(
    operator: AsyncConnection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.administration.traffic_recorder._ROWS_AT_ONCE", 2)
    (instance,) = await add_instances(operator, 1)
    await operator.execute(
        """insert into traffic
           select 'acme', %s, date_trunc('day', now()) - make_interval(days => age), 1, 0, 0, 0, 0,
                  '{}', 0, array_fill(0, '{13}')
           from unnest(array[0, 89, 91, 92, 93, 94, 95]) as ages (age)""",
        [instance.id],
    )
    await operator.execute(
        """insert into traffic_flushes (id, at)
           values (gen_random_uuid(), now()), (gen_random_uuid(), now() - interval '8 days')"""
    )

    await TrafficRetention(database, days=90).delete_expired()

    assert await rows(operator, "select count(*) from traffic") == [2]
    assert await rows(operator, "select count(*) from traffic_flushes") == [1]


# --- What waits ---------------------------------------------------------------------------------


async def queue_up(operator: AsyncConnection, instance_id: str, status: str, count: int) -> None:
    await operator.execute(
        """insert into message_queue (instance_id, sequence_number, position, version, priority,
               max_attempts, status, zaap_id, message_id, type, phone, payload, last_error)
           select %(id)s, n, n, 1, 1, 3, %(status)s, 'z' || n, %(status)s || n, 'send-text', '55',
                  '{}', case when %(status)s = 'failed' then 'refused' end
           from generate_series(1, %(count)s) n""",
        {"id": instance_id, "count": count, "status": status},
    )


WAITING = "select instance_id, at, waiting_max from traffic order by at, instance_id"


async def test_sample_counts_what_waits_for_its_turn_and_keeps_the_most(
    operator: AsyncConnection, database: Database
) -> None:
    one, two, _empty = await add_instances(operator, 3)
    clock = ManualClock()
    sampler = WaitingSampler(database, TrafficCounts(clock))
    for instance, status, count in (
        (one, "pending", 4),
        (one, "behind", 1),
        (one, "scheduled", 7),
        (one, "failed", 9),
        (two, "pending", 2),
    ):
        await queue_up(operator, instance.id, status, count)

    await sampler.sample()
    await sampler.sample()  # another node, or the same one again: nothing is added
    first = await rows(operator, WAITING)
    await operator.execute("delete from message_queue where instance_id = %s", [one.id])
    await queue_up(operator, two.id, "behind", 1)
    await sampler.sample()
    clock.at += timedelta(minutes=5)
    await sampler.sample()

    assert first == [("", NOON, 7), (one.id, NOON, 5), (two.id, NOON, 2)]
    assert await rows(operator, WAITING) == [
        ("", NOON, 7),  # 3 + 5 did not wait at one time
        (one.id, NOON, 5),
        (two.id, NOON, 3),
        ("", NOON + timedelta(minutes=5), 3),
        (two.id, NOON + timedelta(minutes=5), 3),
    ]


async def test_sample_and_sums_share_a_row(operator: AsyncConnection, database: Database) -> None:
    (one,) = await add_instances(operator, 1)
    counts = TrafficCounts(ManualClock())
    await queue_up(operator, one.id, "pending", 3)

    await WaitingSampler(database, counts).sample()
    counts.accepted(one.id)
    await TrafficRecorder(database, ManualClock(), counts).flush(ended=False)
    await queue_up(operator, one.id, "behind", 1)
    await WaitingSampler(database, counts).sample()

    series = await read(database, **{"from": NOON.isoformat(), "step": "300"})
    assert [(p.accepted, p.waiting) for p in series.points[:2]] == [(1, 4), (0, 0)]


async def test_sample_leaves_out_an_instance_that_is_deleted_meanwhile(
    operator: AsyncConnection, database: Database
) -> None:
    deleted, other = await add_instances(operator, 2)
    for each in (deleted, other):
        await queue_up(operator, each.id, "pending", 1)
    async with operator.transaction():
        await operator.execute("delete from instances where id = %s", [deleted.id])
        sampling = asyncio.create_task(
            WaitingSampler(database, TrafficCounts(ManualClock())).sample()
        )
        await until(lambda: blocked_sessions(operator), lambda count: count == 1)
    await sampling

    assert await rows(operator, WAITING) == [("", NOON, 2), (other.id, NOON, 1)]


# --- Reading ----------------------------------------------------------------------------------


async def add_traffic(operator: AsyncConnection, instance_id: str, at: datetime) -> None:
    await operator.execute(
        """insert into traffic
           select 'acme', id, %s, 3, 1, 4, 5, 6, '{"refused": 2}', 700,
                  '{0,1,0,0,0,0,0,0,0,0,0,0,0}'
           from unnest(array['', %s]) as ids (id)""",
        [at, instance_id],
    )


async def test_series_has_zeros_where_nothing_happened(
    operator: AsyncConnection, database: Database
) -> None:
    one, two = await add_instances(operator, 2)
    for instance, minutes in ((one, 0), (one, 5), (two, 10), (one, 40)):
        await add_traffic(operator, instance.id, NOON + timedelta(minutes=minutes))

    asked = {"from": NOON.isoformat(), "to": (NOON + HOUR).isoformat(), "step": "900"}
    series = await read(database, **asked)
    of_two = await read(database, **asked, instanceId=two.id)

    assert [(p.at, p.accepted, p.failed) for p in series.points] == [
        (NOON, 9, 6),
        (NOON + timedelta(minutes=15), 0, 0),
        (NOON + timedelta(minutes=30), 3, 2),
        (NOON + timedelta(minutes=45), 0, 0),
    ]
    assert series.points[0].failures == {"refused": 6}
    assert series.points[0].latency_counts[:2] == (0, 3)
    assert series.points[1].latency_counts == (0,) * 13
    assert [p.accepted for p in of_two.points] == [3, 0, 0, 0]


async def test_export_reads_the_sums_of_an_instance_by_page(
    operator: AsyncConnection, database: Database
) -> None:
    one, two = await add_instances(operator, 2)
    for instance, minutes in ((one, 0), (two, 10), (one, 5)):
        await add_traffic(operator, instance.id, NOON + timedelta(minutes=minutes))

    pages, after = [], ""
    while page := await database.fetch_dicts(
        query("export", "export_traffic"), instance_id=one.id, after=after, max_count=1
    ):
        pages.append(page)
        after = page[-1]["at"]

    assert [[row["at"] for row in page] for page in pages] == [
        ["2026-01-31T12:00:00Z"],
        ["2026-01-31T12:05:00Z"],
    ]
    assert (pages[0][0]["accepted"], pages[0][0]["failures"]) == (3, {"refused": 2})


async def test_series_of_a_day_is_the_default(
    operator: AsyncConnection, database: Database
) -> None:
    (instance,) = await add_instances(operator, 1)
    await add_traffic(operator, instance.id, NOON)

    series = await read(database)
    year = await read(database, **{"from": "2025-01-31T12:00:00-03:00"})

    assert (series.step_seconds, len(series.points)) == (300, 288)
    assert series.since == NOON + HOUR - timedelta(days=1)
    assert sum(p.accepted for p in series.points) == 3
    assert (year.step_seconds, len(year.points)) == (2 * 86_400, 184)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"from": "2026-01-31T12:00:00Z", "to": "2026-01-31T12:00:00Z"}, "before `to`"),
        ({"from": "2025-01-01T00:00:00Z", "step": 300}, "at most 1000"),
    ],
)
async def test_series_that_cannot_be_answered_is_refused(
    database: Database, asked: dict[str, Any], error: str
) -> None:
    with pytest.raises(InvalidRequest, match=error):
        await read(database, **asked)


@pytest.mark.parametrize("step", [0, -300, 301, "5m", 300 * 10**30, 367 * 86_400])
def test_step_that_is_no_multiple_of_the_period_is_refused(step: object) -> None:
    with pytest.raises(ValidationError, match="multiple of 300 seconds"):
        ReadTraffic.model_validate({"step": step})


@pytest.mark.parametrize("at", ["1999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"])
def test_time_far_from_now_is_refused(at: str) -> None:
    with pytest.raises(ValidationError, match="between the years"):
        ReadTraffic.model_validate({"to": at})


async def test_series_shows_no_instance_of_another_account(
    operator: AsyncConnection, database: Database
) -> None:
    (instance,) = await add_instances(operator, 1)
    await add_traffic(operator, instance.id, NOON)

    assert sum(p.accepted for p in (await read(database, account="other")).points) == 0
    with pytest.raises(UnknownInstance):
        await read(database, account="other", instanceId=instance.id)
