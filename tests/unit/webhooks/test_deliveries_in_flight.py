"""An account leaves deliveries to others: those that are claimed are few while others have work."""

import asyncio

from gateway.webhooks.claimed_callback import OWN_WEBHOOKS, QueueKey
from gateway.webhooks.deliveries_in_flight import MAX_BESIDE_OTHERS, DeliveriesInFlight

MAX_PER_SOURCE = 3


def queue_of(instance_id: str) -> QueueKey:
    return QueueKey(OWN_WEBHOOKS, instance_id, "5511999999999")


class Deliveries:
    """Deliveries that last until the test ends them."""

    def __init__(self, max_count: int) -> None:
        self.is_shared, self.freed = True, 0
        self.ending = asyncio.Event()
        self.in_flight = DeliveriesInFlight(
            max_count,
            max_per_source=MAX_PER_SOURCE,
            is_shared=lambda: self.is_shared,
            on_freed=self._note,
        )

    def begin(self, account_id: str, count: int) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._last()) for _ in range(count)]
        for task in tasks:
            self.in_flight.add(task, account_id, queue_of(account_id))
            self.in_flight.posted(queue_of(account_id))
        return tasks

    async def _last(self) -> None:
        await self.ending.wait()

    def _note(self) -> None:
        self.freed += 1


async def test_account_is_full_only_while_others_have_work() -> None:
    deliveries = Deliveries(256)
    tasks = deliveries.begin("a", MAX_BESIDE_OTHERS) + deliveries.begin("b", 1)

    assert deliveries.in_flight.full_accounts() == ["a"]
    assert deliveries.in_flight.count_free() == MAX_BESIDE_OTHERS
    deliveries.is_shared = False
    assert deliveries.in_flight.full_accounts() == []
    assert deliveries.in_flight.count_free() == 256 - MAX_BESIDE_OTHERS - 1

    deliveries.ending.set()
    await asyncio.wait(tasks)


async def test_end_of_a_delivery_is_told_where_others_may_have_waited() -> None:
    deliveries = Deliveries(MAX_BESIDE_OTHERS + 10)
    tasks = deliveries.begin("b", 9)
    deliveries.ending.set()
    await asyncio.wait(tasks)
    assert deliveries.freed == 0

    deliveries.ending.clear()
    tasks = deliveries.begin("a", MAX_BESIDE_OTHERS)
    deliveries.ending.set()
    await asyncio.wait(tasks)
    assert deliveries.freed == 1

    deliveries.ending.clear()
    tasks = deliveries.begin("a", MAX_BESIDE_OTHERS - 1) + deliveries.begin("b", 11)
    assert deliveries.in_flight.count_free() == 0
    deliveries.ending.set()
    await asyncio.wait(tasks)
    assert deliveries.freed == 2
    assert deliveries.in_flight.count_free() == MAX_BESIDE_OTHERS


async def test_source_is_full_until_a_delivery_of_it_is_posted() -> None:
    deliveries = Deliveries(256)
    tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(MAX_PER_SOURCE + 1)]
    for task in tasks[:-1]:
        deliveries.in_flight.add(task, "acme", queue_of("a"))
    deliveries.in_flight.add(tasks[-1], "acme", queue_of("b"))
    full = deliveries.in_flight.full_sources()
    await asyncio.wait(tasks)

    assert full == [f"{OWN_WEBHOOKS} a"]
    assert deliveries.in_flight.full_sources() == full  # their tasks ended, but nothing was posted
    deliveries.in_flight.posted(queue_of("b"))
    assert deliveries.freed == 0
    deliveries.in_flight.posted(queue_of("a"))
    assert deliveries.freed == 1
    assert deliveries.in_flight.full_sources() == []


async def test_source_stays_full_for_a_moment_while_its_receiver_is_down() -> None:
    freed = asyncio.Event()
    in_flight = DeliveriesInFlight(
        256, max_per_source=1, is_shared=lambda: False, on_freed=freed.set
    )
    task = asyncio.create_task(asyncio.sleep(0))
    in_flight.add(task, "acme", queue_of("a"))
    await task
    in_flight.posted(queue_of("a"), is_down=True)

    assert in_flight.full_sources() == [f"{OWN_WEBHOOKS} a"]
    await freed.wait()
    assert in_flight.full_sources() == []
