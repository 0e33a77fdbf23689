"""Parts on floors: each leans on those below, so the highest floor is stopped first.

A part that ends by itself is a crash, and takes the process down with its error. An error of the
database is none: the part runs again after a pause, and the others do not notice.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import psycopg

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.runtime.part import Part

_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1.0, 30.0
_STEADY_SECONDS = 60.0


class Stage(IntEnum):
    """From what everything stands on, to what the world sees."""

    POSTGRES = 0
    DATABASE = 1
    BATCHES = 2
    SESSIONS = 3
    SENDERS = 4
    EDGES = 5


@dataclass(slots=True)
class _RunningStage:
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Supervisor:
    """Runs parts as children of one task group."""

    def __init__(self, group: asyncio.TaskGroup, clock: Clock | None = None) -> None:
        self._group, self._clock = group, clock or Clock()
        self._running = {stage: _RunningStage() for stage in Stage}

    def start(self, stage: Stage, parts: Mapping[str, Part]) -> None:
        running = self._running[stage]
        for name, part in parts.items():
            life = _run(name, part, running.stopping, self._clock)
            running.tasks.append(self._group.create_task(life, name=name))

    async def stop(self) -> None:
        """Returns when every part has drained."""
        for stage in sorted(Stage, reverse=True):
            running = self._running[stage]
            running.stopping.set()
            if running.tasks:
                await asyncio.wait(running.tasks)


async def _run(name: str, part: Part, stopping: asyncio.Event, clock: Clock) -> None:
    """Runs a part until it is told to stop, again and again where the database fails it."""
    failures = _Failures(name)
    while True:
        began = clock.monotonic_seconds()
        try:
            await part.run_until(stopping)
        except Exception as error:
            ran_seconds = clock.monotonic_seconds() - began
            if not failures.note(error, ran_seconds=ran_seconds):
                raise
            if stopping.is_set():
                return
            await clock.wait(stopping, failures.pause_seconds)
        else:
            if not stopping.is_set():
                raise RuntimeError(f"{name} ended on its own")
            return


@dataclass(slots=True)
class _Failures:
    """How often the database failed a part; each kind of error is reported once."""

    name: str
    pause_seconds: float = 0.0
    reported: set[str] = field(default_factory=set)

    def note(self, error: Exception, *, ran_seconds: float) -> bool:
        """Says whether it was an error of the database, and nothing else."""
        kinds = _database_errors(error)
        if not kinds:
            return False
        if ran_seconds > _STEADY_SECONDS:
            self.pause_seconds = 0.0
        self.pause_seconds = min(2 * self.pause_seconds or _FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS)
        logger.warning(
            "part_failed",
            component=self.name,
            error=" ".join(sorted(kinds)),
            again_in_seconds=self.pause_seconds,
        )
        if kinds - self.reported:
            self.reported |= kinds
            report_error(error, component=self.name)
        return True


def _database_errors(error: BaseException) -> set[str]:
    """Their kinds; empty where anything else went wrong, too."""
    if isinstance(error, BaseExceptionGroup):
        kinds = [_database_errors(each) for each in error.exceptions]
        return set().union(*kinds) if all(kinds) else set()
    is_database_error = isinstance(error, (psycopg.Error, DatabaseUnavailable))
    return {type(error).__name__} if is_database_error else set()
