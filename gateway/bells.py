"""Waiting for one of two things without making a task for each wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def ringing(bell: asyncio.Event, *, when: asyncio.Event) -> AsyncIterator[None]:
    """Sets *bell* as soon as *when* is set, for as long as the block lasts."""

    async def ring() -> None:
        await when.wait()
        bell.set()

    ringer = asyncio.create_task(ring(), name="bell")
    try:
        yield
    finally:
        ringer.cancel()
