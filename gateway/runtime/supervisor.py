"""Parts on floors: each leans on those below, so the highest floor is stopped first.

A part that ends by itself is a crash, and takes the process down with its error.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.runtime.part import Part


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

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running = {stage: _RunningStage() for stage in Stage}

    def start(self, stage: Stage, parts: Mapping[str, Part]) -> None:
        running = self._running[stage]
        for name, part in parts.items():
            running.tasks.append(
                self._group.create_task(_run(name, part, running.stopping), name=name)
            )

    async def stop(self) -> None:
        """Returns when every part has drained."""
        for stage in sorted(Stage, reverse=True):
            running = self._running[stage]
            running.stopping.set()
            if running.tasks:
                await asyncio.wait(running.tasks)


async def _run(name: str, part: Part, stopping: asyncio.Event) -> None:
    await part.run_until(stopping)
    if not stopping.is_set():
        raise RuntimeError(f"{name} ended on its own")
