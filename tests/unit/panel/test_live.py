"""The streams of open tabs: bounded for each user, and told what changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.clock import Clock
from gateway.errors import TooManyRequests
from gateway.panel.live import MAX_STREAMS_PER_USER, LiveHub


class Channels:
    """Passes notifications on as the connection that listens does."""

    def __init__(self) -> None:
        self.subscribers: dict[str, Callable[[str], None]] = {}

    def subscribe(
        self,
        channel: str,
        subscriber: Callable[[str], None],
        *,
        on_reconnect: Callable[[], None] | None = None,
    ) -> None:
        self.subscribers[channel] = subscriber


@asynccontextmanager
async def running_hub() -> AsyncIterator[tuple[LiveHub, Channels]]:
    hub, channels, stopping = LiveHub(Clock()), Channels(), asyncio.Event()
    hub.listen(channels)  # type: ignore[arg-type]  # only `subscribe` is called
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.run_until(stopping))
        try:
            yield hub, channels
        finally:
            stopping.set()


async def always() -> bool:
    return True


async def test_a_user_has_so_many_streams_and_another_has_his_own() -> None:
    async with running_hub() as (hub, _channels), asyncio.TaskGroup() as tasks:
        topics = frozenset({"queue:A"})
        streams = [hub.open("ana", "acme", topics, always) for _ in range(MAX_STREAMS_PER_USER)]
        assert [await anext(each) for each in streams] == ["queue:A"] * MAX_STREAMS_PER_USER

        with pytest.raises(TooManyRequests):
            hub.open("ana", "acme", topics, always)
        other = hub.open("eva", "acme", topics, always)
        assert await anext(other) == "queue:A"
        await streams.pop().aclose()  # type: ignore[attr-defined]  # a generator
        again = hub.open("ana", "acme", topics, always)
        assert await tasks.create_task(_first(again)) == "queue:A"


async def _first(stream: AsyncIterator[str]) -> str:
    return await anext(stream)


async def test_an_instance_that_changed_is_announced() -> None:
    async with running_hub() as (hub, channels), asyncio.TaskGroup() as tasks:
        stream = hub.open("ana", "acme", frozenset({"instance:A"}), always)
        first = tasks.create_task(_first(stream))
        await asyncio.sleep(0)  # the stream follows from its first step on
        channels.subscribers["instance_changed"]("B")
        channels.subscribers["instance_changed"]("A")
        assert await first == "instance:A"


async def test_a_session_that_ended_ends_its_stream() -> None:
    is_open = True

    async def look() -> bool:
        return is_open

    async with running_hub() as (hub, channels):
        stream = hub.open("ana", "acme", frozenset({"queue:A"}), look)
        assert await anext(stream) == "queue:A"
        is_open = False
        channels.subscribers["account_changed"]("acme")
        assert [topic async for topic in stream][-1] == "ended"
