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

_SHORTEST_REST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that may be cut off anywhere and done twice without harm."""

    name: str
    every_seconds: float
    work: Callable[[], Awaitable[None]]


class Housekeeping:
    """Part of the service."""

    def __init__(
        self, database: Database, clock: Clock, chores: Sequence[Chore], *, node_id: str
    ) -> None:
        self._database, self._clock, self._node_id = database, clock, node_id
        self._chores = chores

    async def run_until(self, stopping: asyncio.Event) -> None:
        next_look = dict.fromkeys(self._chores, 0.0)
        while not stopping.is_set():
            now = self._clock.monotonic_seconds()
            for chore in self._chores:
                if next_look[chore] <= now and not stopping.is_set():
                    next_look[chore] = now + chore.every_seconds
                    await self._do(chore)
            rest = min(next_look.values()) - self._clock.monotonic_seconds()
            await self._clock.wait(stopping, max(_SHORTEST_REST_SECONDS, rest))

    async def _do(self, chore: Chore) -> None:
        try:
            if await self._database.execute(
                _TAKE, name=chore.name, node_id=self._node_id, seconds=chore.every_seconds
            ):
                await chore.work()
        except DatabaseUnavailable as error:
            logger.warning("chore_waits_for_database", chore=chore.name, error=str(error))
        except Exception as error:  # noqa: BLE001 - one chore must not keep the others from being done
            report_error(error, component=f"chore {chore.name}")
