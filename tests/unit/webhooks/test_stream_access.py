"""What followers share, and how their streams end."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, cast
from uuid import UUID

import pytest

from gateway.clock import Clock
from gateway.webhooks.event_log import EventLog, LoggedEvent, LogReader, Position, Reading
from gateway.webhooks.stream import Stream, StreamAccess
from tests.fixtures.patience import PATIENCE_SECONDS


class SilentLog:
    """A log in which nothing happens."""

    async def subscribe(self, _name: str, _accounts: list[str]) -> Position:
        return Position(10**17, 0)


async def allowed() -> bool:
    return True


async def test_revoked_access_ends_a_stream_that_waits() -> None:
    stream = Stream(cast("EventLog", SilentLog()), Clock(), max_followers=1)
    access = StreamAccess(allowed)
    async with stream.subscribe("account", None, access) as pages:
        waiting: asyncio.Task[Any] = asyncio.ensure_future(anext(pages))
        await asyncio.sleep(0)  # the task begins to wait
        assert not waiting.done()
        access.revoke()
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(StopAsyncIteration):
                await waiting


class CountingLog(SilentLog):
    """A log with two events, which notes how many readers each read asks for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.max_events = 0

    async def read(self, readers: Sequence[LogReader], *, max_count: int) -> Reading:
        assert max_count > 1
        self.asked.append(len(readers))
        self.max_events = max(self.max_events, max_count * len(readers))
        events = [
            LoggedEvent(reader, 10**17, number, "instance", "chat", UUID(int=number), "T", "{}")
            for reader, asked in enumerate(readers)
            for number in (1, 2)
            if number > asked.position.number
        ]
        return Reading(events)


async def test_followers_at_one_place_are_read_for_once_and_get_the_same() -> None:
    log, stopping = CountingLog(), asyncio.Event()
    stream = Stream(cast("EventLog", log), Clock(), max_followers=3)
    places = [None, None, Position(10**17, 1)]
    async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(
                stream.subscribe("account", place, StreamAccess(allowed))
            )
            for place in places
        ]
        waiting = [asyncio.ensure_future(anext(each)) for each in pages]
        await asyncio.sleep(0)  # all wait before the first read
        running = asyncio.create_task(stream.run_until(stopping))
        found = [[event.position.number for event in await each] for each in waiting]
        stopping.set()
        await running

    assert found == [[1, 2], [1, 2], [2]]
    assert max(log.asked) == 2


async def test_followers_at_many_places_are_given_short_pages() -> None:
    log, stopping = CountingLog(), asyncio.Event()
    stream = Stream(cast("EventLog", log), Clock(), max_followers=50)
    async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(
                stream.subscribe("account", Position(10**17, -place), StreamAccess(allowed))
            )
            for place in range(50)
        ]
        reading = asyncio.ensure_future(asyncio.gather(*map(anext, pages)))
        running = asyncio.create_task(stream.run_until(stopping))
        assert len(await reading) == 50
        stopping.set()
        await running
    assert max(log.asked) == 50
    assert log.max_events <= 1_000
