"""One event set by another, for as long as it is wanted."""

import asyncio

from gateway.bells import ringing
from tests.fixtures.patience import PATIENCE_SECONDS


async def test_the_bell_rings_when_the_other_event_comes() -> None:
    bell, stop = asyncio.Event(), asyncio.Event()

    async with asyncio.timeout(PATIENCE_SECONDS), ringing(bell, when=stop):
        assert not bell.is_set()
        stop.set()
        await bell.wait()


async def test_after_the_block_it_rings_no_more() -> None:
    bell, stop = asyncio.Event(), asyncio.Event()

    async with ringing(bell, when=stop):
        pass
    stop.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert not bell.is_set()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "bell"]
