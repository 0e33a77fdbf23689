"""One plain message has statements of its own in `enqueue`, and the result of those for many."""

import uuid
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from gateway.database.queries import query
from tests.fixtures.queue import add_instances, rows

_ENQUEUE = query("send_queue", "enqueue")
_QUEUED = """select message_id like 'M%%', type, version, phone, payload, priority, max_attempts,
                    sequence_number, position, status, attempts, due_at = created_at,
                    round(extract(epoch from expires_at - created_at))
             from message_queue where instance_id = %s order by sequence_number"""
_QUEUE = "select next_sequence, idle from instance_lines where instance_id = %s"


async def enqueue(
    operator: AsyncConnection, instance_id: str, *, key: str | None, **changes: Any
) -> list[dict[str, Any]]:
    """Enqueues one message; with a *key* in the way of many. Returns the results."""
    parameters: dict[str, Any] = {
        "flush_id": uuid.uuid4(),
        "node_id": "a",
        "ordinals": [7],
        "instance_ids": [instance_id],
        "zaap_ids": [f"Z{uuid.uuid4().hex}"],
        "message_ids": [f"M{uuid.uuid4().hex}"],
        "types": ["send-text"],
        "versions": [1],
        "phones": ["5511999999999"],
        "payloads": ['{"message": "Hello"}'],
        "priorities": [1],
        "due_ats": [None],
        "expires_ats": [None],
        "expires_ins": [None],
        "refuse_disconnected": [False],
        "idempotency_keys": [key],
        "body_hashes": [key and b"hash"],
        "max_waiting": 2,
        "max_waiting_disconnected": 1,
        "max_attempts": 3,
        "max_age_seconds": None,
    }
    async with operator.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_ENQUEUE, parameters | changes)
        found = await cursor.fetchall()
    assert all(row["message_id"] in parameters["message_ids"] for row in found)
    return [
        {k: v for k, v in row.items() if not k.endswith("_id") or k == "holder_node_id"}
        for row in found
    ]


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("idle", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_waiting": 0, "max_waiting_disconnected": 0},
        {"refuse_disconnected": [True]},
        {"expires_ins": [60.0], "max_age_seconds": 90.0},
        {"expires_ins": [90.0], "max_age_seconds": 60.0},
        {"node_id": "b"},
    ],
)
async def test_message_alone_is_accepted_as_one_of_many(
    operator: AsyncConnection, changes: dict[str, Any], *, connected: bool, idle: bool
) -> None:
    alone, together = [i.id for i in await add_instances(operator, 2, connected=connected)]
    await operator.execute("update instance_lines set idle = %s", [idle])
    for turn in range(4):
        found = [
            await enqueue(operator, instance_id, key=key and f"{key} {turn}", **changes)
            for instance_id, key in ((alone, None), (together, "key"))
        ]
        assert found[0] == found[1]
        assert len(found[0]) == 1

    assert await rows(operator, _QUEUED, alone) == await rows(operator, _QUEUED, together)
    assert await rows(operator, _QUEUE, alone) == await rows(operator, _QUEUE, together)


async def test_message_alone_wakes_the_node_that_holds_its_queue(
    operator: AsyncConnection, database_url: str
) -> None:
    (instance,) = await add_instances(operator, 1, holder="other")
    await operator.execute("update instance_lines set idle = true")
    async with await AsyncConnection.connect(database_url, autocommit=True) as listener:
        await listener.execute('listen "node:other"')
        for _ in range(2):  # the second finds a queue that is awake
            await enqueue(operator, instance.id, key=None)
        await operator.execute("""select pg_notify('node:other', 'the end')""")
        heard = [note.payload async for note in listener.notifies(stop_after=2)]

    assert heard == [instance.id, "the end"]


async def test_message_alone_of_an_abandoned_flush_is_not_written(
    operator: AsyncConnection,
) -> None:
    (instance,) = await add_instances(operator, 1)
    flush_id = uuid.uuid4()
    await operator.execute(query("send_queue", "abandon_flush"), {"flush_id": flush_id})

    assert await enqueue(operator, instance.id, key=None, flush_id=flush_id) == []
    assert await rows(operator, "select count(*) from message_queue") == [0]


async def test_message_alone_leaves_a_locked_queue_to_the_next_flush(
    operator: AsyncConnection, database_url: str
) -> None:
    (instance,) = await add_instances(operator, 1)
    async with await AsyncConnection.connect(database_url) as other:
        await other.execute("select from instance_lines for update")
        assert await enqueue(operator, instance.id, key=None) == []
    assert len(await enqueue(operator, instance.id, key=None)) == 1
