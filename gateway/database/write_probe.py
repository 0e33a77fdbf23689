"""Says for /ready whether Postgres takes writes now."""

import asyncio

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable

_WRITE = query("chores", "write_probe")

_RESULT_LASTS_SECONDS = 1.0
# A small write may fit into a page that exists, while every larger one fails.
_DISK_STAYS_FULL_SECONDS = 15.0


class WriteProbe:
    """Writes one row, at most once a second however often it is asked."""

    def __init__(self, apart: Database, pool: Database, clock: Clock, *, node_id: str) -> None:
        """Writes nothing yet.

        Args:
            apart: has a connection when all of the pool are in use, and a deadline.
            pool: runs the statements of this node; knows whether one met a full disk.
            clock: time.
            node_id: the name of this node.
        """
        self._apart, self._pool, self._clock, self._node_id = apart, pool, clock, node_id
        self._turn = asyncio.Lock()
        self._problem: str | None = None
        self._valid_until = float("-inf")

    async def problem(self) -> str | None:
        """Returns why Postgres takes no writes; None if it does."""
        async with self._turn:
            if self._clock.monotonic_seconds() >= self._valid_until:
                self._problem = await self._write()
                self._valid_until = self._clock.monotonic_seconds() + _RESULT_LASTS_SECONDS
        return self._problem

    async def _write(self) -> str | None:
        try:
            await self._apart.execute(_WRITE, node_id=self._node_id)
        except DatabaseUnavailable as error:
            return str(error)
        if self._pool.seconds_since_disk_full() < _DISK_STAYS_FULL_SECONDS:
            return "The disk of Postgres is full"
        return None
