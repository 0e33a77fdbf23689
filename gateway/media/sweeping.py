"""Forgets files in time."""

import asyncio

import psycopg

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.media.storing import MediaStore
from gateway.observability.logging import logger

_SWEEP_SECONDS = 600.0


class Sweeper:
    """Part of the service."""

    def __init__(self, store: MediaStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def run_until(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self._store.sweep()
            except (Unavailable, OSError, psycopg.Error) as error:
                logger.warning("media_sweep_delayed", error=str(error))
            await self._clock.wait(stopping, _SWEEP_SECONDS)
