"""Floors start as they are told and stop from the highest down; a part that leaves is a crash."""

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from gateway.runtime.part import Part
from gateway.runtime.service import run_until
from gateway.runtime.supervisor import Stage, Supervisor
from gateway.runtime.wiring import Gateway


class Recorded:
    """A part that writes down when it was told to stop and when it ended."""

    def __init__(self, name: str, events: list[str], *, drains: int = 0) -> None:
        self._name, self._events, self._drains = name, events, drains

    async def run_until(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._events.append(f"stop {self._name}")
        for _ in range(self._drains):
            await asyncio.sleep(0)
        self._events.append(f"end {self._name}")


class Leaving:
    """A part that ends, or fails, by itself."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def run_until(self, stopping: asyncio.Event) -> None:
        await asyncio.sleep(0)
        if self._error:
            raise self._error


class Stubborn:
    """A part that does not drain."""

    def __init__(self) -> None:
        self.cancelled = False

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_the_highest_floor_is_stopped_first_and_drained_before_the_next() -> None:
    events: list[str] = []

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        for stage in (Stage.EDGES, Stage.POSTGRES, Stage.SENDERS):
            name = stage.name.lower()
            supervisor.start(stage, {name: Recorded(name, events, drains=10)})
        await asyncio.sleep(0)
        await supervisor.stop()
        events.append("stopped")

    assert events == [
        *("stop edges", "end edges"),
        *("stop senders", "end senders"),
        *("stop postgres", "end postgres"),
        "stopped",
    ]


async def test_parts_of_one_floor_stop_together() -> None:
    events: list[str] = []

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        supervisor.start(Stage.BATCHES, {"slow": Recorded("slow", events, drains=10)})
        supervisor.start(Stage.BATCHES, {"quick": Recorded("quick", events)})
        await asyncio.sleep(0)
        await supervisor.stop()

    assert events == ["stop slow", "stop quick", "end quick", "end slow"]


async def test_a_part_on_a_stopped_floor_is_told_at_once() -> None:
    events: list[str] = []

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        await supervisor.stop()
        supervisor.start(Stage.DATABASE, {"late": Recorded("late", events)})

    assert events == ["stop late", "end late"]


async def crash(below: Mapping[str, Part], above: Mapping[str, Part]) -> None:
    """Runs parts that nobody stops."""
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        supervisor.start(Stage.DATABASE, below)
        supervisor.start(Stage.BATCHES, above)


async def test_a_part_that_ends_by_itself_is_a_crash_and_takes_the_others_down() -> None:
    stubborn = Stubborn()

    with pytest.raises(ExceptionGroup) as caught:
        await crash({"stays": stubborn}, {"leaves": Leaving()})

    assert [str(error) for error in caught.value.exceptions] == ["leaves ended on its own"]
    assert stubborn.cancelled


async def test_a_part_that_fails_takes_the_process_down_with_its_error() -> None:
    error = ValueError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        await crash({}, {"fails": Leaving(error)})

    assert caught.value.exceptions == (error,)


class Building:
    """Stands in for a Gateway: starts the parts it was given."""

    def __init__(self, stage: Stage, parts: dict[str, Part], *, hangs: bool = False) -> None:
        self._floor, self._parts, self._hangs = stage, parts, hangs
        self.started = asyncio.Event()

    async def start(self, supervisor: Supervisor) -> None:
        supervisor.start(self._floor, self._parts)
        self.started.set()
        if self._hangs:
            await asyncio.Event().wait()


async def run(building: Building, stopping: asyncio.Event, *, drain_seconds: float = 5.0) -> None:
    async with asyncio.timeout(10):
        await run_until(cast("Gateway", building), stopping, drain_seconds=drain_seconds)


async def test_a_service_runs_until_it_is_told_to_stop() -> None:
    events: list[str] = []
    stopping = asyncio.Event()
    building = Building(Stage.EDGES, {"http": Recorded("http", events)})
    running = asyncio.create_task(run(building, stopping))
    await building.started.wait()
    assert not running.done()

    stopping.set()
    await running

    assert events == ["stop http", "end http"]


async def test_a_stop_during_the_start_ends_the_start() -> None:
    events: list[str] = []
    stopping = asyncio.Event()
    building = Building(Stage.DATABASE, {"database": Recorded("database", events)}, hangs=True)
    running = asyncio.create_task(run(building, stopping))
    await building.started.wait()

    stopping.set()
    await running

    assert events == ["stop database", "end database"]


async def test_whoever_does_not_drain_in_time_is_cut() -> None:
    stubborn, stopping = Stubborn(), asyncio.Event()
    building = Building(Stage.SENDERS, {"workers": stubborn})
    running = asyncio.create_task(run(building, stopping, drain_seconds=0.05))
    await building.started.wait()
    stopping.set()

    with pytest.raises(TimeoutError):
        await running

    assert stubborn.cancelled


async def test_a_crash_ends_the_service_without_being_told() -> None:
    building = Building(Stage.SENDERS, {"workers": Leaving(ValueError("broken"))})

    with pytest.raises(ExceptionGroup) as caught:
        await run(building, asyncio.Event())

    assert caught.group_contains(ValueError, match="broken")
