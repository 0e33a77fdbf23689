"""Time as something handed in."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.clock import Clock
from tests.fixtures.patience import PATIENCE_SECONDS


def test_now_names_its_offset() -> None:
    now = Clock().now()

    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


def test_milliseconds_are_of_the_same_clock() -> None:
    clock = Clock()

    assert abs(clock.now_ms() - clock.now().timestamp() * 1000) < 5_000


@pytest.mark.parametrize("seconds", [None, 0, 5])
async def test_an_event_that_came_is_not_waited_for(seconds: float | None) -> None:
    event = asyncio.Event()
    event.set()

    assert await Clock().wait(event, seconds)


@pytest.mark.parametrize("seconds", [-1, 0, 0.01])
async def test_the_wait_for_an_event_that_does_not_come_ends(seconds: float) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert not await Clock().wait(asyncio.Event(), seconds)


async def test_an_event_ends_the_wait() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await Clock().wait(event, None)
