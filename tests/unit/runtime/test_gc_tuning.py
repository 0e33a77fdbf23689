"""When old objects are collected, and what is frozen afterwards."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway.clock import Clock
from gateway.runtime.gc_tuning import GarbageCollection, freeze_startup_objects

BUSY_SHARE, HOUR_SECONDS = 0.5, 3_600.0


class Ring:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


class Process:
    """A clock, and how much of the time the process was busy."""

    def __init__(self) -> None:
        self.seconds = self.used = 0.0

    def passes(self, seconds: float, *, busy: float) -> None:
        self.seconds += seconds
        self.used += seconds * busy


class SteppedClock(Clock):
    """Lets each pause take no time, and notes that one began."""

    def __init__(self, process: Process) -> None:
        self.process, self.paused, self.going_on = process, asyncio.Event(), asyncio.Event()

    def monotonic_seconds(self) -> float:
        return self.process.seconds

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        if not timeout_seconds:
            return event.is_set()
        self.paused.set()
        await self.going_on.wait()
        self.going_on.clear()
        return event.is_set()


class Collections:
    """Counts full collections."""

    def __init__(self) -> None:
        self.full = 0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        self.full += phase == "start" and info["generation"] == 2


@pytest.fixture
def collections() -> Iterator[Collections]:
    counted, thresholds = Collections(), gc.get_threshold()
    freeze_startup_objects()
    gc.callbacks.append(counted)
    try:
        yield counted
    finally:
        gc.callbacks.remove(counted)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def looks(process: Process, *passing: tuple[float, float], middle_collections: int) -> None:
    """Lets a GarbageCollection look once after each pair of seconds and busy share."""
    clock, stopping = SteppedClock(process), asyncio.Event()
    garbage = GarbageCollection(clock, processor_seconds=lambda: process.used)
    for _ in range(middle_collections):
        gc.collect(1)
    async with asyncio.TaskGroup() as tasks:
        process.passes(passing[0][0], busy=passing[0][1])
        tasks.create_task(garbage.run_until(stopping))
        await clock.paused.wait()
        for seconds, busy in passing[1:]:
            process.passes(seconds, busy=busy)
            clock.paused.clear()
            clock.going_on.set()
            await clock.paused.wait()
        stopping.set()
        clock.going_on.set()


def test_a_start_leaves_full_collections_to_the_process(collections: Collections) -> None:
    before = collections.full
    kept = [[number] for number in range(300_000)]

    assert collections.full == before
    assert gc.get_freeze_count() > 0
    assert len(kept) == 300_000


async def test_idle_process_with_old_objects_collects_them(collections: Collections) -> None:
    process = Process()
    gc.collect()
    before = collections.full

    await looks(process, (1.0, 0.0), middle_collections=20)

    assert collections.full == before + 1


async def test_busy_process_collects_later(collections: Collections) -> None:
    process = Process()
    gc.collect()
    before = collections.full

    await looks(process, (1.0, BUSY_SHARE), (1.0, BUSY_SHARE), middle_collections=20)
    assert collections.full == before
    await looks(process, (1.0, BUSY_SHARE), middle_collections=200)
    assert collections.full == before + 1


async def test_idle_process_without_old_objects_does_nothing(collections: Collections) -> None:
    process = Process()
    gc.collect()
    before = collections.full

    await looks(process, (1.0, 0.0), (1.0, 0.0), middle_collections=0)

    assert collections.full == before


async def test_frozen_ring_is_freed_within_an_hour_or_six(collections: Collections) -> None:
    """It became garbage after it was frozen."""
    for busy, hours in ((0.0, 1), (BUSY_SHARE, 6)):
        ring, freed = Ring(), list[str]()
        weakref.finalize(ring, freed.append, "freed")
        gc.freeze()
        del ring
        gc.collect()
        assert freed == []

        await looks(Process(), (HOUR_SECONDS * hours - 1, busy), middle_collections=0)
        assert freed == []
        await looks(Process(), (HOUR_SECONDS * hours + 1, busy), middle_collections=0)
        assert freed == ["freed"]


async def test_end_gives_the_collector_back(collections: Collections) -> None:
    mine = gc.get_threshold()

    await looks(Process(), (1.0, 0.0), middle_collections=0)

    assert gc.get_threshold() == mine
    assert gc.get_freeze_count() == 0
    assert collections.full >= 0
