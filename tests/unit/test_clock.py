"""Time as something handed in."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.clock import Clock, epoch_ms
from tests.fixtures.patience import PATIENCE_SECONDS


def test_now_names_its_offset() -> None:
    before = datetime.now(UTC)
    now = Clock().now()

    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_epoch_ms_does_not_depend_on_the_zone() -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)

    assert epoch_ms(at) == 1_769_860_800_250
    assert epoch_ms(at.astimezone(timezone(timedelta(hours=-3)))) == epoch_ms(at)


def test_milliseconds_are_of_the_same_clock() -> None:
    clock = Clock()
    before, milliseconds, after = clock.now(), clock.now_ms(), clock.now()

    assert epoch_ms(before) <= milliseconds <= epoch_ms(after)


@pytest.mark.parametrize("milliseconds", [0, 1, 1_700_000_000_001, 1_712_345_678_999])
def test_epoch_ms_of_whole_milliseconds_is_exact(milliseconds: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)

    assert epoch_ms(at) == milliseconds
    assert epoch_ms(at + timedelta(microseconds=999)) == milliseconds
    assert epoch_ms(at.astimezone(timezone(timedelta(hours=-3)))) == milliseconds


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
