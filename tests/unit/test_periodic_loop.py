"""A loop that goes on whatever its step does."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.periodic_loop import PeriodicLoop


class RecordedPauses(Clock):
    """Never waits for time; notes each pause that was asked for."""

    def __init__(self) -> None:
        self.pauses: list[float | None] = []

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        self.pauses.append(timeout_seconds)
        await asyncio.sleep(0)
        if timeout_seconds is None:
            await event.wait()
        return event.is_set()


class Steps:
    """Plays one outcome for each run, then stops the loop."""

    def __init__(self, *outcomes: float | Exception | None) -> None:
        self.left = list(outcomes)
        self.stopping = asyncio.Event()
        self.runs = 0
        self.ran = asyncio.Semaphore(0)

    async def __call__(self) -> float | None:
        self.runs += 1
        self.ran.release()
        outcome = self.left.pop(0)
        if not self.left:
            self.stopping.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def finished(loop: PeriodicLoop, steps: Steps) -> None:
    async with asyncio.timeout(60):
        await loop.run_until(steps.stopping)


async def test_loop_pauses_as_long_as_the_step_says() -> None:
    clock, steps = RecordedPauses(), Steps(3.0, 0.5, 0.0)

    await finished(PeriodicLoop("test", steps, clock), steps)

    assert steps.runs == 3
    assert [pause for pause in clock.pauses if pause] == [3.0, 0.5]


async def test_loop_logs_one_outage_of_the_database_once() -> None:
    away = DatabaseUnavailable("Postgres did not answer")
    clock, steps = RecordedPauses(), Steps(away, away, away, 1.0, 1.0)

    with capture_logs() as logs:
        await finished(PeriodicLoop("test", steps, clock, retry_seconds=7.0), steps)

    assert [entry["event"] for entry in logs] == ["database_unavailable", "database_available"]
    assert {entry["component"] for entry in logs} == {"test"}
    assert clock.pauses.count(7.0) == 3


async def test_loop_reports_an_unexpected_error_and_goes_on() -> None:
    clock, steps = RecordedPauses(), Steps(ValueError("broken"), 1.0)

    with capture_logs() as logs:
        await finished(PeriodicLoop("test", steps, clock), steps)

    assert steps.runs == 2
    assert [(entry["event"], entry["component"]) for entry in logs] == [
        ("unexpected_error", "test")
    ]


async def test_loop_ends_with_a_fatal_error() -> None:
    steps = Steps(1.0, KeyError("replaced"), 1.0)

    with pytest.raises(KeyError):
        await finished(PeriodicLoop("test", steps, RecordedPauses(), fatal=(KeyError,)), steps)

    assert steps.runs == 2


async def test_loop_that_waits_for_ever_runs_again_when_woken() -> None:
    steps = Steps(None, None)
    loop = PeriodicLoop("test", steps, Clock())

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(loop.run_until(steps.stopping))
        await steps.ran.acquire()
        loop.wake()
        await steps.ran.acquire()


async def test_loop_woken_while_its_step_runs_runs_again() -> None:
    entered, release = asyncio.Event(), asyncio.Event()
    stopping = asyncio.Event()
    runs = 0

    async def step() -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            stopping.set()
        entered.set()
        await release.wait()

    loop = PeriodicLoop("test", step, Clock())
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(loop.run_until(stopping))
        await entered.wait()
        loop.wake()
        release.set()

    assert runs == 2


@pytest.mark.parametrize("pause", [None, 3600.0])
async def test_loop_stops_during_a_pause_of_any_length(pause: float | None) -> None:
    steps = Steps(pause, pause)
    loop = PeriodicLoop("test", steps, Clock(), min_pause_seconds=3600.0)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(loop.run_until(steps.stopping))
        await steps.ran.acquire()
        steps.stopping.set()
