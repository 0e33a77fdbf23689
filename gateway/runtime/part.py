"""The one verb of anything long-lived."""

import asyncio
from typing import Protocol


class Part(Protocol):
    """Something long-lived."""

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Returns only when told to stop and done draining; returning earlier is a crash."""
        ...
