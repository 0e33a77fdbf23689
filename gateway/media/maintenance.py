"""Deletes expired files every ten minutes."""

import asyncio

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable, Unavailable
from gateway.media.storing import MediaStore
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop

_PAUSE_SECONDS = 600.0


class MediaMaintenance:
    """Runs `MediaStore.delete_expired` periodically."""

    def __init__(self, store: MediaStore, clock: Clock) -> None:
        self._store = store
        self._loop = PeriodicLoop("media_maintenance", self._step, clock)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _step(self) -> float:
        try:
            await self._store.delete_expired()
        except DatabaseUnavailable:
            raise
        except (Unavailable, OSError) as error:
            logger.warning("media_storage_unavailable", error=str(error))
        return _PAUSE_SECONDS
