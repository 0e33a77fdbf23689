"""A node of the previous release claims delivery queues beside a node of this one."""

import asyncio
import uuid
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from gateway.database.queries import query
from tests.fixtures.delivery import add_instances_with_webhooks, enqueue
from tests.fixtures.previous import PREVIOUS_QUERIES
from tests.fixtures.queue import rows
from tests.fixtures.service import until

_CLAIM = query("webhooks", "claim_delivery_queues")
_FINISH = query("webhooks", "finish_delivery_queues")
_LATE = {
    "max_count": 10,
    "per_queue": 10,
    "claim_seconds": 60.0,
    "blocked": [],
    "full_accounts": [],
    "max_per_source": 10,
    "full_sources": [],
}
_SLOW_CHAT, _CHAT = "5511900000001", "5511900000002"

# Stops the claim of the previous release between its snapshot and its lock of the second queue.
_STOP_AT_SLOW_CHAT = f"""
    create function stop() returns trigger language plpgsql as $$
    begin
        if new.claimed_by = 'previous' and new.chat = '{_SLOW_CHAT}' then
            perform pg_advisory_xact_lock(1);
        end if;
        return new;
    end $$;
    create trigger stop before update on webhook_lines for each row execute function stop();
"""
_WAITS = "select count(*) from pg_locks where locktype = 'advisory' and not granted"


async def claim_as_previous(url: str) -> list[dict[str, Any]]:
    async with await AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row
    ) as connection:
        # Row by row: a hash join would lock all queues before the first is updated.
        await connection.execute("set enable_hashjoin = off; set enable_mergejoin = off")
        cursor = await connection.execute(
            PREVIOUS_QUERIES["webhooks", "claim_lines"],
            {
                "held": [],
                "most": 10,
                "claim_seconds": 60.0,
                "claim_id": uuid.uuid4(),
                "node_id": "previous",
                "per_line": 10,
            },
        )
        return await cursor.fetchall()


async def deliver_as_current(operator: AsyncConnection) -> list[uuid.UUID]:
    """Claims what is due and records it as delivered; returns the ids of the callbacks."""
    claim_id = uuid.uuid4()
    parameters = {**_LATE, "claim_id": claim_id, "node_id": "current"}
    async with operator.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_CLAIM, parameters)
        claimed = await cursor.fetchall()
        done = {
            "webhook_ids": [row["webhook_id"] for row in claimed],
            "instance_ids": [row["instance_id"] for row in claimed],
            "chats": [row["chat"] for row in claimed],
            "claim_ids": [claim_id] * len(claimed),
            "up_to": [row["position"] for row in claimed],
            "progressed": [True] * len(claimed),
            "attempts": [0] * len(claimed),
            "pauses": [0.0] * len(claimed),
            "errors": [None] * len(claimed),
            "dead": [None] * len(claimed),
            "addresses": [None] * len(claimed),
        }
        logged = (
            "logged_instance_ids callback_ids types logged_chats targets numbers delivered statuses"
            " logged_errors answers durations_ms logged_webhook_ids are_repeated"
        )
        await cursor.execute(_FINISH, {**{name: [] for name in logged.split()}, **done})
    return [row["id"] for row in claimed]


async def test_previous_claim_reads_no_callback_that_was_delivered_during_it(
    operator: AsyncConnection, database_url: str
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, "https://receiver.example")
    await enqueue(operator, instance, [1], chat=_SLOW_CHAT)
    await enqueue(operator, instance, [2], chat=_CHAT)
    await operator.execute(_STOP_AT_SLOW_CHAT.encode())
    async with await AsyncConnection.connect(database_url) as early:
        await early.execute("select now()")  # its transaction begins before the claim
        await operator.execute("select pg_advisory_lock(1)")
        claiming = asyncio.create_task(claim_as_previous(database_url))
        await until(lambda: rows(operator, _WAITS), lambda found: found == [1])
        delivered = await deliver_as_current(operator)
        await enqueue(early, instance, [3], chat=_CHAT)
        await early.commit()
    await operator.execute("select pg_advisory_unlock(1)")
    claimed = await claiming

    assert len(delivered) == 1
    assert [row["chat"] for row in claimed] == [_SLOW_CHAT]
    assert await rows(operator, "select chat from webhook_lines where claim_id is null") == [_CHAT]
