"""Moves the files that the bucket did not take, as soon as it takes them."""

import asyncio

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable, Unavailable
from gateway.media.deferred_files import DeferredFiles
from gateway.media.storing import MediaStore
from gateway.observability.logging import logger
from gateway.observability.media_metrics import MediaMetrics
from gateway.periodic_loop import PeriodicLoop

_PAUSE_SECONDS = 30.0


class DeferredFileMover:
    """Runs `DeferredFiles.move_to` periodically, and shows how many files wait."""

    def __init__(
        self, deferred: DeferredFiles, store: MediaStore, clock: Clock, metrics: MediaMetrics
    ) -> None:
        self._deferred, self._store, self._metrics = deferred, store, metrics
        self._loop = PeriodicLoop("deferred_file_mover", self._step, clock)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _step(self) -> float:
        try:
            await self._deferred.move_to(self._store)
        except DatabaseUnavailable:
            raise
        except (Unavailable, OSError) as error:
            logger.warning("deferred_files_wait", error=str(error))
        waiting = await self._deferred.count()
        self._metrics.deferred(waiting.files, waiting.size_bytes)
        return _PAUSE_SECONDS
