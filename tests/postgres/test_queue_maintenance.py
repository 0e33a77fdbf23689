"""Maintenance removes expired rows only, and the cost of the queue stays the same."""

import json
import uuid
from collections.abc import Awaitable, Callable

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from gateway.clock import Clock
from gateway.database.queries import query
from gateway.history.partitions import HistoryPartitions
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.enqueue import QueueLimits
from gateway.send_queue.enqueue_request import IdempotencyKey
from gateway.send_queue.maintenance import QueueMaintenance
from gateway.send_queue.outcome import Failed, Sent
from gateway.sessions.provider import Receipt
from tests.fixtures.queue import (
    Node,
    add_instances,
    blocked_sessions,
    rows,
    running_node,
    taken,
)

_MANY = 30_000


def maintenance_of(node: Node) -> QueueMaintenance:
    return QueueMaintenance(node.database, Clock(), uuid.uuid4, failed_days=30)


async def add_past(operator: AsyncConnection, month: str, instance_id: str, count: int) -> None:
    """Adds a month of history, given by its first day."""
    await operator.execute(
        SQL("create table {} partition of messages for values from ({}) to ({})").format(
            Identifier("messages_" + month[:7].replace("-", "_")),
            f"{month} 00:00Z",
            f"{month[:5]}{int(month[5:7]) + 1:02}-01 00:00Z",
        )
    )
    await operator.execute(
        """with ids as (
               insert into message_ids (instance_id, message_id, recorded_at)
               select %(instance_id)s, %(month)s || n, (%(month)s || ' 01:00Z')::timestamptz
               from generate_series(1, %(count)s) n
               returning *
           )
           insert into messages (instance_id, message_id, recorded_at, created_at, version,
                                 from_me, status, phone, type, payload)
           select instance_id, message_id, recorded_at, recorded_at, 1, true, 'sent', '551199',
                  'send-text', '{}'
           from ids""",
        {"instance_id": instance_id, "month": month, "count": count},
    )


async def test_expired_month_is_dropped_with_its_ids(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await add_past(operator, "2020-01-01", instance.id, 5_000)
    await add_past(operator, "2020-02-01", instance.id, 3)
    (days,) = await rows(operator, "select now()::date - date '2020-02-15'")

    async with running_node(database_url) as node:
        await HistoryPartitions(node.database, Clock(), retention_days=days).maintain()
        left = await rows(operator, "select distinct left(message_id, 7) from message_ids")
        in_history = await rows(operator, "select count(*) from messages")
        await HistoryPartitions(node.database, Clock(), retention_days=0).maintain()
        after_keeping_all = await rows(operator, "select count(*) from messages")

    assert left == ["2020-02"]
    assert (in_history, after_keeping_all) == ([3], [3])


async def test_group_receipts_go_with_the_month_of_their_message(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    for month in ("2020-01-01", "2020-02-01"):
        await add_past(operator, month, instance.id, 20)
    await operator.execute(
        """insert into message_receipts (instance_id, message_id, participant, recorded_at)
           select instance_id, message_id, '5511' || n, recorded_at
           from messages, generate_series(1, 250) n"""
    )
    (days,) = await rows(operator, "select now()::date - date '2020-02-15'")

    async with running_node(database_url) as node:
        await HistoryPartitions(node.database, Clock(), retention_days=0).maintain()
        before = await rows(operator, "select count(*) from message_receipts")
        await HistoryPartitions(node.database, Clock(), retention_days=days).maintain()

    assert before == [10_000]
    assert await rows(
        operator,
        "select distinct left(message_id, 7), count(*) over () from message_receipts",
    ) == [("2020-02", 5_000)]


class PausesOf(Clock):
    """Runs something in each pause, which takes no time else."""

    def __init__(self, in_pause: Callable[[int], Awaitable[None]]) -> None:
        self._in_pause, self.pauses = in_pause, 0

    async def sleep(self, seconds: float) -> None:
        self.pauses += 1
        await self._in_pause(self.pauses)


async def test_reader_of_history_postpones_a_drop(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await add_past(operator, "2020-01-01", instance.id, 1)

    async def nothing(_pause: int) -> None:
        return

    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as reader,
    ):
        partitions = HistoryPartitions(node.database, PausesOf(nothing), retention_days=365)
        await reader.execute("select count(*) from messages")
        await partitions.maintain()
        while_read = await rows(operator, "select to_regclass('messages_2020_01') is not null")
        await reader.rollback()
        await partitions.maintain()

    assert while_read == [True]
    assert await rows(operator, "select to_regclass('messages_2020_01') is null") == [True]


async def test_drop_that_waits_for_a_reader_lets_sends_be_recorded(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await add_past(operator, "2020-01-01", instance.id, 1)
    recorded: list[int] = []
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as reader,
    ):
        await reader.execute("select count(*) from messages")

        async def record(pause: int) -> None:
            recorded.append(await blocked_sessions(operator))
            await node.enqueue(instance, f"{pause}")
            claimed = await node.claim(ClaimCursor(instance.id, 1))
            assert await node.starter.start(claimed)
            await node.recorder.record(claimed, Sent(Receipt(claimed.message_id)))
            if pause == 3:
                await reader.rollback()

        clock = PausesOf(record)
        await HistoryPartitions(node.database, clock, retention_days=365).maintain()

    assert recorded == [0, 0, 0]
    assert await rows(operator, "select to_regclass('messages_2020_01') is null") == [True]
    assert await rows(operator, "select count(*) from messages where status = 'sent'") == [3]


async def test_reader_of_history_postpones_new_months(
    database_url: str, operator: AsyncConnection
) -> None:
    (month,) = await rows(
        operator, "select to_char(now() + interval '2 months', '\"messages_\"YYYY_MM')"
    )
    await operator.execute(SQL("drop table {}").format(Identifier(month)))
    async with (
        running_node(database_url) as node,
        await AsyncConnection.connect(database_url) as reader,
    ):
        await reader.execute("select count(*) from messages")

        async def leave(pause: int) -> None:
            if pause == 2:
                await reader.rollback()

        clock = PausesOf(leave)
        await HistoryPartitions(node.database, clock, retention_days=0).maintain()

    assert clock.pauses == 2
    assert await rows(operator, "select to_regclass(%s) is not null", month) == [True]


async def test_only_expired_dead_letters_and_keys_are_removed(
    database_url: str, operator: AsyncConnection
) -> None:
    old, young = await add_instances(operator, 2)
    async with running_node(database_url) as node:
        for instance in (old, young):
            await node.enqueue(instance, "no", key=IdempotencyKey("key", b"body"))
            claimed = await node.claim(ClaimCursor(instance.id, 1))
            assert await node.starter.start(claimed)
            await node.recorder.record(claimed, Failed("refused", "no"))
        await operator.execute(
            """update message_queue set updated_at = now() - interval '31 days'
               where instance_id = %s""",
            [old.id],
        )
        await operator.execute(
            """update idempotency_keys set created_at = now() - interval '2 days'
               where instance_id = %s""",
            [old.id],
        )

        await maintenance_of(node).delete_expired()

    assert await rows(operator, "select instance_id from message_queue") == [young.id]
    assert await rows(operator, "select instance_id from idempotency_keys") == [young.id]
    assert await rows(
        operator, "select instance_id, status, error from messages where failed_at is not null"
    ) == [(old.id, "failed", "no")]


async def test_only_messages_that_waited_too_long_expire(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1, connected=False)
    await operator.execute("update instances set delivery_callback_url = 'https://example.com'")
    limits = QueueLimits(0, 0, 3, max_age_seconds=60.0)
    async with running_node(database_url, limits=limits) as node:
        late = await node.enqueue(instance, "late")
        await node.enqueue(instance, "young")
        await operator.execute(
            "update message_queue set expires_at = now() where message_id = %s", [late.message_id]
        )

        await maintenance_of(node).expire()

    assert await rows(
        operator, "select status, last_error from message_queue order by sequence_number"
    ) == [("failed", "expired"), ("pending", None)]
    callbacks = [json.loads(b) for b in await rows(operator, "select body from webhook_outbox")]
    assert [(c["messageId"], c["error"]) for c in callbacks] == [(late.message_id, "expired")]


# --- The cost of the queue does not depend on history -------------------------------------------


async def pages_touched(connection: AsyncConnection, statement: SQL, **parameters: object) -> int:
    """Counts the pages that a statement touches, and undoes its changes."""
    async with connection.transaction(force_rollback=True):
        cursor = await connection.execute(
            SQL("explain (analyze, buffers, format json) {}").format(statement), parameters
        )
        ((plan,),) = await cursor.fetchall()
    root = plan[0]["Plan"]
    return int(root["Shared Hit Blocks"] + root["Shared Read Blocks"])


async def costs_of_statements(operator: AsyncConnection, node: Node) -> dict[str, int]:
    """Counts the pages of one claim, list, record and receipt, with warm caches."""
    (instance,) = await rows(operator, "select id from instances limit 1")
    (row,) = await rows(
        operator, "select id, message_id from message_queue where status = 'pending' limit 1"
    )
    (sent,) = await rows(
        operator, "select message_id from messages where status = 'sent' and sequence_number = 1"
    )
    one = {
        "claim": (
            "send_queue",
            {
                "instance_ids": [instance],
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
        ),
        "list_waiting": (
            "send_queue",
            {
                **dict.fromkeys(("status", "type", "phones", "track_id")),
                "instance_id": instance,
                "after": 0,
                "limit": 21,
                "offset": 0,
            },
        ),
        "find_places": (
            "send_queue",
            {"instance_id": instance, "ids": [row[0]], "max_count": 1_000},
        ),
        "record_sent": (
            "send_queue",
            {
                "instance_ids": [instance],
                "ids": [row[0]],
                "epochs": [1],
                "claim_ids": [None],
                "provider_message_ids": [row[1]],
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
        ),
        "acknowledge": (
            "history",
            {
                "ordinals": [0],
                "instance_ids": [instance],
                "provider_ids": [sent],
                "statuses": ["read"],
                "ats": [Clock().now()],
                "participants": [None],
            },
        ),
    }
    found = {}
    for name, (file, parameters) in one.items():
        async with operator.transaction(force_rollback=True):
            if name == "record_sent":
                await operator.execute(
                    """update message_queue set status = 'processing', claimed_epoch = 1
                       where id = %s""",
                    [row[0]],
                )
            for _ in range(2):  # the first run fills the caches of the catalogue
                found[name] = await pages_touched(operator, query(file, name), **parameters)
    return found


async def test_cost_of_the_queue_does_not_depend_on_history(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with running_node(database_url) as node:
        await node.enqueue(instance, "sent")
        claimed = await node.claim(ClaimCursor(instance.id, 1))
        await node.recorder.record(claimed, taken(claimed))
        for n in range(30):
            await node.enqueue(instance, f"text {n}")
        await operator.execute("vacuum analyze")
        small = await costs_of_statements(operator, node)

        await add_past(operator, "2020-01-01", instance.id, _MANY)
        await operator.execute("vacuum analyze")
        large = await costs_of_statements(operator, node)

    # A page may be touched again to set a hint bit.
    assert large["claim"] <= small["claim"] + 2, (small, large)
    assert large["list_waiting"] <= small["list_waiting"] + 2, (small, large)
    assert large["find_places"] <= small["find_places"] + 2, (small, large)
    # The indexes of all ids are one or two levels higher.
    assert large["record_sent"] <= small["record_sent"] + 4, (small, large)
    assert large["acknowledge"] <= small["acknowledge"] + 6, (small, large)
