"""Each maintenance task runs when its node takes it, whatever becomes of the other tasks."""

import asyncio
from typing import cast

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable
from gateway.runtime.housekeeping import Housekeeping, MaintenanceTask
from tests.fixtures.patience import PATIENCE_SECONDS


class TakenTasks:
    """A database on which this node takes the named tasks."""

    def __init__(self, *names: str) -> None:
        self._names = names

    async def execute(self, _statement: object, **parameters: object) -> int:
        return int(parameters["name"] in self._names)


class QuickClock(Clock):
    """Ends the pause after a failure at once, and waits out the interval of a task."""

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        await asyncio.sleep(0)
        is_short = timeout_seconds is not None and timeout_seconds <= 1.0
        return await super().wait(event, 0.0 if is_short else timeout_seconds)


class RecordedWork:
    """Counts the runs of a task, and fails in the first ones."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.runs = 0
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        self.runs += 1
        if self._errors:
            raise self._errors.pop(0)
        self.done.set()


def housekeeping(taken: TakenTasks, **works: RecordedWork) -> Housekeeping:
    tasks = [MaintenanceTask(name, 3_600.0, work) for name, work in works.items()]
    return Housekeeping(cast("Database", taken), QuickClock(), tasks, node_id="node")


async def run_until_done(part: Housekeeping, *works: RecordedWork) -> None:
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(part.run_until(stopping))
        for work in works:
            await work.done.wait()
        stopping.set()


async def test_housekeeping_failing_task_leaves_others_running() -> None:
    failing, away, healthy = (
        RecordedWork(ValueError("broken")),
        RecordedWork(DatabaseUnavailable("away")),
        RecordedWork(),
    )
    taken = TakenTasks("failing", "away", "healthy")

    part = housekeeping(taken, failing=failing, away=away, healthy=healthy)
    await run_until_done(part, failing, away, healthy)

    assert (failing.runs, away.runs, healthy.runs) == (2, 2, 1)


async def test_housekeeping_task_of_another_node_does_not_run() -> None:
    own, foreign = RecordedWork(), RecordedWork()

    await run_until_done(housekeeping(TakenTasks("own"), foreign=foreign, own=own), own)

    assert foreign.runs == 0


async def test_housekeeping_tasks_of_one_node_take_turns() -> None:
    working = 0
    max_at_once = 0

    class Turn(RecordedWork):
        async def __call__(self) -> None:
            nonlocal working, max_at_once
            working += 1
            max_at_once = max(max_at_once, working)
            await asyncio.sleep(0)
            working -= 1
            await super().__call__()

    first, second = Turn(), Turn()

    await run_until_done(
        housekeeping(TakenTasks("first", "second"), first=first, second=second), first, second
    )

    assert max_at_once == 1
