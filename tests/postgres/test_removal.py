"""A removed instance leaves no row behind, and its id is free again."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from psycopg import AsyncConnection

from gateway.administration.provider_data import ProviderData
from gateway.administration.removal import Remover
from gateway.clock import Clock
from gateway.errors import UnknownInstance
from tests.fixtures.queue import Node, add_instances, running_node


class OneRunClock(Clock):
    """Ends a loop at its first pause."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.stopping = asyncio.Event()

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        if timeout_seconds:
            self.pauses.append(timeout_seconds)
            self.stopping.set()
        return event.is_set()


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    async with running_node(database_url) as node:
        yield node


@pytest.fixture
def remover(node: Node) -> Remover:
    """Clears two rows at once, so that the messages of a test take several batches."""
    return Remover(
        node.database, Clock(), ProviderData(node.database, list), lapse_seconds=0.0, rows_at_once=2
    )


async def count(operator: AsyncConnection, table: str) -> int:
    cursor = await operator.execute(f"select count(*) from {table}".encode())
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_remove_with_queued_messages_clears_their_rows(
    remover: Remover, node: Node, operator: AsyncConnection
) -> None:
    removed, other = await add_instances(operator, 2)
    for instance in (removed, other):
        for n in range(5):
            await node.enqueue(instance, f"text {n}")

    await remover.remove(removed.id)
    assert await remover.clear_removed() == 1

    cursor = await operator.execute("select distinct instance_id from message_queue")
    assert await cursor.fetchall() == [(other.id,)]


async def test_finish_removals_after_the_lapse_frees_the_id(
    remover: Remover, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await remover.remove(instance.id)
    assert await count(operator, "instance_removals") == 1

    await remover.finish_removals()

    assert await count(operator, "instance_removals") == 0


async def test_remover_loop_clears_rows_and_waits_for_the_lapse(
    node: Node, operator: AsyncConnection
) -> None:
    clock = OneRunClock()
    remover = Remover(node.database, clock, ProviderData(node.database, list), lapse_seconds=7.0)
    (instance,) = await add_instances(operator, 1)
    await node.enqueue(instance, "text")
    await remover.remove(instance.id)

    await remover.run_until(clock.stopping)

    assert await count(operator, "message_queue") == 0
    assert clock.pauses == [7.0]


async def test_remove_of_another_accounts_instance_is_refused(
    remover: Remover, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)

    with pytest.raises(UnknownInstance):
        await remover.remove(instance.id, account_id="another")

    assert await count(operator, "instances") == 1
