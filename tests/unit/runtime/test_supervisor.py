"""Stages stop from the highest down, and a part that ends by itself ends the process."""

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest
from psycopg import errors

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.runtime.part import Part
from gateway.runtime.service import run_until
from gateway.runtime.supervisor import Stage, Supervisor
from gateway.runtime.wiring import Gateway
from tests.fixtures.patience import PATIENCE_SECONDS


class Recorded:
    """A part that records its stop and its end."""

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


async def test_stop_drains_the_highest_stage_first() -> None:
    events: list[str] = []

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
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


async def test_stop_stops_the_parts_of_one_stage_together() -> None:
    events: list[str] = []

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        supervisor.start(Stage.BATCHES, {"slow": Recorded("slow", events, drains=10)})
        supervisor.start(Stage.BATCHES, {"quick": Recorded("quick", events)})
        await asyncio.sleep(0)
        await supervisor.stop()

    assert events == ["stop slow", "stop quick", "end quick", "end slow"]


async def test_part_of_a_stopped_stage_drains_at_once() -> None:
    events: list[str] = []

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        await supervisor.stop()
        supervisor.start(Stage.DATABASE, {"late": Recorded("late", events)})

    assert events == ["stop late", "end late"]


async def crash(below: Mapping[str, Part], above: Mapping[str, Part]) -> None:
    """Runs parts without stopping them."""
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        supervisor.start(Stage.DATABASE, below)
        supervisor.start(Stage.BATCHES, above)


async def test_part_that_returns_early_ends_the_others() -> None:
    stubborn = Stubborn()

    with pytest.raises(ExceptionGroup) as caught:
        await crash({"stays": stubborn}, {"leaves": Leaving()})

    assert [str(error) for error in caught.value.exceptions] == ["leaves ended on its own"]
    assert stubborn.cancelled


async def test_part_that_fails_ends_the_process_with_its_error() -> None:
    error = ValueError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        await crash({}, {"fails": Leaving(error)})

    assert caught.value.exceptions == (error,)


class Building:
    """Stands in for a Gateway: starts the given parts."""

    def __init__(self, stage: Stage, parts: dict[str, Part], *, hangs: bool = False) -> None:
        self._floor, self._parts, self._hangs = stage, parts, hangs
        self.started = asyncio.Event()

    async def start(self, supervisor: Supervisor) -> None:
        supervisor.start(self._floor, self._parts)
        self.started.set()
        if self._hangs:
            await asyncio.Event().wait()


async def run(building: Building, stopping: asyncio.Event, *, drain_seconds: float = 5.0) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await run_until(cast("Gateway", building), stopping, drain_seconds=drain_seconds)


async def test_run_until_runs_until_the_stop() -> None:
    events: list[str] = []
    stopping = asyncio.Event()
    building = Building(Stage.EDGES, {"http": Recorded("http", events)})
    running = asyncio.create_task(run(building, stopping))
    await building.started.wait()
    assert not running.done()

    stopping.set()
    await running

    assert events == ["stop http", "end http"]


async def test_run_until_stop_during_the_start_ends_the_start() -> None:
    events: list[str] = []
    stopping = asyncio.Event()
    building = Building(Stage.DATABASE, {"database": Recorded("database", events)}, hangs=True)
    running = asyncio.create_task(run(building, stopping))
    await building.started.wait()

    stopping.set()
    await running

    assert events == ["stop database", "end database"]


async def test_run_until_part_that_drains_too_long_is_cancelled() -> None:
    stubborn, stopping = Stubborn(), asyncio.Event()
    building = Building(Stage.SENDERS, {"workers": stubborn})
    running = asyncio.create_task(run(building, stopping, drain_seconds=0.05))
    await building.started.wait()
    stopping.set()

    with pytest.raises(TimeoutError):
        await running

    assert stubborn.cancelled


async def test_run_until_crash_ends_without_a_stop() -> None:
    building = Building(Stage.SENDERS, {"workers": Leaving(ValueError("broken"))})

    with pytest.raises(ExceptionGroup) as caught:
        await run(building, asyncio.Event())

    assert caught.group_contains(ValueError, match="broken")


# --- Errors of the database ---------------------------------------------------------------------


class Failing:
    """A part that fails with each of the errors in turn, then runs until the stop."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.steady = asyncio.Event()

    async def run_until(self, stopping: asyncio.Event) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.steady.set()
        await stopping.wait()


class NoPauses(Clock):
    def __init__(self) -> None:
        self.pauses: list[float | None] = []

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        self.pauses.append(timeout_seconds)
        return event.is_set()


async def test_part_that_fails_with_a_database_error_runs_again() -> None:
    events: list[str] = []
    part = Failing(
        errors.UndefinedTable("42P01"),
        ExceptionGroup("of a part's own group", [errors.UndefinedTable("42P01")]),
        DatabaseUnavailable("away"),
    )
    clock = NoPauses()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group, clock)
        supervisor.start(Stage.SENDERS, {"broken": part, "other": Recorded("other", events)})
        await part.steady.wait()
        assert events == []
        await supervisor.stop()

    assert clock.pauses == [1.0, 2.0, 4.0]


async def test_part_that_fails_with_another_error_too_ends_the_process() -> None:
    part = Failing(ExceptionGroup("both", [errors.UndefinedTable("42P01"), ValueError("bug")]))

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            Supervisor(group, NoPauses()).start(Stage.SENDERS, {"broken": part})

    assert raised.group_contains(ValueError, match="bug")


async def test_database_error_is_reported_once_and_logged_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported, logged = list[str](), list[str]()
    monkeypatch.setattr(
        "gateway.runtime.supervisor.report_error",
        lambda _error, component: reported.append(component),
    )
    monkeypatch.setattr(logger, "warning", lambda event, **_fields: logged.append(event))
    part = Failing(*(errors.UndefinedTable("42P01") for _ in range(3)))

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group, NoPauses())
        supervisor.start(Stage.SENDERS, {"broken": part})
        await part.steady.wait()
        await supervisor.stop()

    assert reported == ["broken"]
    assert logged == ["part_failed"] * 3


async def test_part_that_fails_while_stopping_does_not_run_again() -> None:
    class FailsAtTheEnd:
        times = 0

        async def run_until(self, stopping: asyncio.Event) -> None:
            await stopping.wait()
            self.times += 1
            raise errors.AdminShutdown("57P01")

    part = FailsAtTheEnd()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        supervisor = Supervisor(group, NoPauses())
        supervisor.start(Stage.SENDERS, {"part": part})
        await asyncio.sleep(0)
        await supervisor.stop()

    assert part.times == 1
