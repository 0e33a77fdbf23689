"""Parts on floors: each leans on those below, so the highest floor is stopped first.

A part that ends by itself is a crash, and takes the process down with its error.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.runtime.part import Part


class Floor(IntEnum):
    """From what everything stands on, to what the world sees."""

    POSTGRES = 0
    DATABASE = 1
    BATCHES = 2
    SESSIONS = 3
    SENDERS = 4
    EDGES = 5


@dataclass(slots=True)
class _Stage:
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Stages:
    """Runs parts as children of one task group."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._stages = {floor: _Stage() for floor in Floor}

    def start(self, floor: Floor, parts: Mapping[str, Part]) -> None:
        stage = self._stages[floor]
        for name, part in parts.items():
            stage.tasks.append(self._group.create_task(_run(name, part, stage.stopping), name=name))

    async def stop(self) -> None:
        """Returns when every part has drained."""
        for floor in sorted(Floor, reverse=True):
            stage = self._stages[floor]
            stage.stopping.set()
            if stage.tasks:
                await asyncio.wait(stage.tasks)


async def _run(name: str, part: Part, stopping: asyncio.Event) -> None:
    await part.run_until(stopping)
    if not stopping.is_set():
        raise RuntimeError(f"{name} ended on its own")
