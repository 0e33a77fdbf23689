"""A claim takes few queues of a source, and no callbacks that another claim just finished."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence

from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.webhooks.claimed_callback import OWN_WEBHOOKS, ClaimedCallback
from gateway.webhooks.delivery_recorder import DeliveryRecorder, QueueProgress
from tests.fixtures.delivery import add_instances_with_webhooks, enqueue
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.queue import blocked_sessions, rows
from tests.fixtures.service import until

_CLAIM = query("webhooks", "claim_delivery_queues")
_CALLBACKS, _NODES = 400, 6


async def claim(
    database: Database,
    claim_id: uuid.UUID,
    *,
    max_per_source: int = 10,
    full_sources: Sequence[str] = (),
) -> list[ClaimedCallback]:
    return await database.fetch_all(
        ClaimedCallback,
        _CLAIM,
        max_count=10,
        per_queue=3,
        claim_seconds=60.0,
        claim_id=claim_id,
        node_id="a",
        blocked=[],
        full_accounts=[],
        max_per_source=max_per_source,
        full_sources=list(full_sources),
    )


async def test_nodes_that_claim_and_finish_one_queue_get_each_callback_once(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances_with_webhooks(operator, 1, "http://127.0.0.1:1/")
    await enqueue(operator, instance, range(_CALLBACKS), chat="chat")
    claimed: Counter[int] = Counter()
    stopping = asyncio.Event()

    async def deliver() -> None:
        database = Database(database_url, min_size=2, max_size=2)
        await database.open()
        recorder = DeliveryRecorder(database, Clock())
        recording = asyncio.create_task(recorder.run_until(stopping))
        try:
            while claimed.total() < _CALLBACKS:
                claim_id = uuid.uuid4()
                if callbacks := await claim(database, claim_id):
                    claimed.update(callback.position for callback in callbacks)
                    last = callbacks[-1]
                    await recorder.finish(
                        QueueProgress(last.queue, claim_id, last.position, progressed=True)
                    )
        finally:
            recording.cancel()
            await asyncio.wait({recording})
            await database.pool.close()

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as nodes:
        for _ in range(_NODES):
            nodes.create_task(deliver())

    assert set(claimed.values()) == {1}
    assert await rows(operator, "select count(*) from webhook_outbox") == [0]


async def test_queue_that_gets_a_callback_while_it_is_finished_is_free_afterwards(
    database_url: str, operator: AsyncConnection
) -> None:
    """Its row changes while the statement waits for it; one of another partition is there, too.

    Postgres 18 loses such a row of a join with a partitioned table, under the plan for many rows.
    """
    (instance,) = await add_instances_with_webhooks(operator, 1, "http://127.0.0.1:1/")
    await operator.execute(
        """insert into webhook_lines (instance_id, chat, pending, next_position)
           select %s, 'another ' || n, 0, 1 from generate_series(1, 5000) n""",
        [instance.id],
    )
    webhook = uuid.uuid4()
    await operator.execute(
        "insert into webhooks (id, instance_id, url) values (%s, %s, 'http://127.0.0.1:1/')",
        [webhook, instance.id],
    )
    await enqueue(operator, instance, [0], chat="chat")  # for the further webhook, too
    await operator.execute("update webhooks set enabled = false where id = %s", [webhook])
    await operator.execute("analyze delivery_queues")
    database = Database(database_url, min_size=2, max_size=2)
    await database.open()
    claim_id, stopping = uuid.uuid4(), asyncio.Event()
    claimed = await claim(database, claim_id)
    recorder = DeliveryRecorder(database, Clock())
    recording = asyncio.create_task(recorder.run_until(stopping))

    async with await AsyncConnection.connect(database_url) as busy:
        await enqueue(busy, instance, [1], chat="chat")
        finishing = asyncio.gather(
            *(
                recorder.finish(QueueProgress(one.queue, claim_id, one.position, progressed=True))
                for one in claimed
            )
        )
        await until(lambda: blocked_sessions(operator), bool)
    has_more = await finishing
    stopping.set()
    await recording
    await database.pool.close()

    found = await rows(
        operator,
        "select pending, claim_id from delivery_queues where chat = 'chat' order by pending",
    )
    assert found == [(0, None), (1, None)]
    assert sorted(has_more) == [False, True]


async def test_claim_takes_few_queues_of_each_source_and_none_of_a_full_one(
    database_url: str, operator: AsyncConnection
) -> None:
    many, few, full = await add_instances_with_webhooks(operator, 3, "http://127.0.0.1:1/")
    for n in range(9):
        await enqueue(operator, full, [n], chat=f"full-{n}")
        await enqueue(operator, many, [n], chat=f"many-{n}")
    await enqueue(operator, few, [0], chat="few")
    database = Database(database_url, min_size=1, max_size=1)
    await database.open()
    claimed = await claim(
        database, uuid.uuid4(), max_per_source=3, full_sources=[f"{OWN_WEBHOOKS} {full.id}"]
    )
    await database.pool.close()

    assert {c.chat for c in claimed} == {"many-0", "many-1", "many-2", "few"}
