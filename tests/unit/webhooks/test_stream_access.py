"""A stream whose access is revoked ends, although no event comes and no loop runs."""

import asyncio
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.webhooks.event_log import EventLog, Position
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
