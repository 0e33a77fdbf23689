"""Runs the parts of a process in stages, and stops them in the opposite order.

A part uses parts of its own stage and of lower ones, so the highest stage stops first. A part that
returns or fails by itself ends the process with its error. Only where the database failed it does
the supervisor run the part again after a pause; the other parts go on.
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
_STEADY_SECONDS = 60.0  # the pause is short again after a part ran for so long


class Stage(IntEnum):
    """The order of the parts: lower stages start first and stop last."""

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
    """Runs each part as a task of one task group."""

    def __init__(self, group: asyncio.TaskGroup, clock: Clock | None = None) -> None:
        self._group, self._clock = group, clock or Clock()
        self._running = {stage: _RunningStage() for stage in Stage}

    def start(self, stage: Stage, parts: Mapping[str, Part]) -> None:
        """Starts parts, by name; a part of a stage that was stopped drains at once."""
        running = self._running[stage]
        for name, part in parts.items():
            run = _run(name, part, running.stopping, self._clock)
            running.tasks.append(self._group.create_task(run, name=name))

    async def stop(self) -> None:
        """Stops stage after stage, the highest first; returns when every part has drained."""
        for stage in sorted(Stage, reverse=True):
            running = self._running[stage]
            running.stopping.set()
            if running.tasks:
                await asyncio.wait(running.tasks)


async def _run(name: str, part: Part, stopping: asyncio.Event, clock: Clock) -> None:
    """Runs a part until *stopping* is set; runs it again after an error of the database.

    This is no PeriodicLoop: a run lasts until the stop, and any other error must end the process.
    """
    failures = _DatabaseFailures(name)
    while True:
        began = clock.monotonic_seconds()
        try:
            await part.run_until(stopping)
        except Exception as error:
            ran_seconds = clock.monotonic_seconds() - began
            if not failures.is_counted(error, ran_seconds=ran_seconds):
                raise
            if stopping.is_set():
                return
            await clock.wait(stopping, failures.pause_seconds)
        else:
            if not stopping.is_set():
                raise RuntimeError(f"{name} ended on its own")
            return


@dataclass(slots=True)
class _DatabaseFailures:
    """Counts the errors of the database in a part; reports each kind of error once."""

    name: str
    pause_seconds: float = 0.0
    reported: set[str] = field(default_factory=set)

    def is_counted(self, error: Exception, *, ran_seconds: float) -> bool:
        """Counts an error of the database and sets the pause; returns False for other errors."""
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
    """Returns the kinds of the errors of the database; empty where there is any other error."""
    if isinstance(error, BaseExceptionGroup):
        kinds = [_database_errors(each) for each in error.exceptions]
        return set().union(*kinds) if all(kinds) else set()
    is_database_error = isinstance(error, (psycopg.Error, DatabaseUnavailable))
    return {type(error).__name__} if is_database_error else set()
