"""What is done now and then for all, by one node at a time: the first to see that it is due."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger

_TAKE = query("chores", "take")

_MIN_REST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class MaintenanceTask:
    """Work that may be cut off anywhere and done twice without harm."""

    name: str
    every_seconds: float
    work: Callable[[], Awaitable[None]]


class Housekeeping:
    """Part of the service."""

    def __init__(
        self, database: Database, clock: Clock, tasks: Sequence[MaintenanceTask], *, node_id: str
    ) -> None:
        self._database, self._clock, self._node_id = database, clock, node_id
        self._tasks = tasks

    async def run_until(self, stopping: asyncio.Event) -> None:
        next_look = dict.fromkeys(self._tasks, 0.0)
        while not stopping.is_set():
            now = self._clock.monotonic_seconds()
            for task in self._tasks:
                if next_look[task] <= now and not stopping.is_set():
                    next_look[task] = now + task.every_seconds
                    await self._do(task)
            rest = min(next_look.values()) - self._clock.monotonic_seconds()
            await self._clock.wait(stopping, max(_MIN_REST_SECONDS, rest))

    async def _do(self, task: MaintenanceTask) -> None:
        try:
            if await self._database.execute(
                _TAKE, name=task.name, node_id=self._node_id, seconds=task.every_seconds
            ):
                await task.work()
        except DatabaseUnavailable as error:
            logger.warning("chore_waits_for_database", task=task.name, error=str(error))
        except Exception as error:  # noqa: BLE001 - one chore must not keep the others from being done
            report_error(error, component=f"chore {task.name}")
