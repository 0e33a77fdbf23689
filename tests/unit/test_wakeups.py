"""One event that sets another."""

import asyncio

from gateway.wakeups import waking


async def test_waking_sets_the_wakeup_when_the_other_event_is_set() -> None:
    wakeup, stopping = asyncio.Event(), asyncio.Event()

    async with asyncio.timeout(60), waking(wakeup, when=stopping):
        assert not wakeup.is_set()
        stopping.set()
        await wakeup.wait()


async def test_waking_leaves_no_task_and_no_effect_after_its_block() -> None:
    wakeup, stopping = asyncio.Event(), asyncio.Event()
    before = asyncio.all_tasks()

    async with waking(wakeup, when=stopping):
        pass
    stopping.set()

    assert asyncio.all_tasks() == before
    await asyncio.sleep(0)
    assert not wakeup.is_set()
