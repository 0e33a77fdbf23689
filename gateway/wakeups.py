"""Wake-up events: one event sets another for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def waking(wakeup: asyncio.Event, *, when: asyncio.Event) -> AsyncIterator[None]:
    """Sets *wakeup* as soon as *when* is set.

    A loop then waits for one event instead of two, without a task for each wait. The task that
    watches *when* ends with the block.
    """

    async def watch() -> None:
        await when.wait()
        wakeup.set()

    watcher = asyncio.create_task(watch(), name="wakeup")
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.wait({watcher})
