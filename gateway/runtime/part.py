"""The interface of everything that runs as long as the process."""

import asyncio
from typing import Protocol


class Part(Protocol):
    """A component that the supervisor runs."""

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Works until *stopping* is set, drains, and returns; an earlier return is a crash."""
        ...
