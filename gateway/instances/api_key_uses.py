"""Notes when each API key was used last: in memory at once, in Postgres once a minute."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop

_NOTE_KEY_USES = query("api_keys", "note_key_uses")
_FLUSH_SECONDS, _MOMENT_SECONDS = 60.0, 5.0


@dataclass(frozen=True, slots=True)
class _Use:
    at: datetime
    address: str | None


class ApiKeyUses:
    """Collects uses; a request only writes into memory."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._uses: dict[str, _Use] = {}
        self._due_seconds: dict[str, float] = {}
        self._loop = PeriodicLoop("API key uses", self._flush_and_wait, clock)

    def is_due(self, key_id: str) -> bool:
        """Returns whether a use of the key is worth noting: a moment later it is not."""
        return self._clock.monotonic_seconds() >= self._due_seconds.get(key_id, 0.0)

    def note(self, key_id: str, address: str | None) -> None:
        self._uses[key_id] = _Use(self._clock.now(), address)
        self._due_seconds[key_id] = self._clock.monotonic_seconds() + _MOMENT_SECONDS

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Writes once a minute until *stopping*, and once more then."""
        await self._loop.run_until(stopping)
        try:
            await self.flush()
        except DatabaseUnavailable as error:
            logger.warning("api_key_uses_not_stored", error=str(error))

    async def flush(self) -> None:
        """Writes what was collected; a failed write is tried again with the next one."""
        uses, self._uses = self._uses, {}
        self._due_seconds.clear()
        if not uses:
            return
        ids = sorted(uses)  # nodes lock rows in one order
        try:
            await self._database.execute(
                _NOTE_KEY_USES,
                ids=ids,
                times=[uses[key_id].at for key_id in ids],
                addresses=[uses[key_id].address for key_id in ids],
            )
        except DatabaseUnavailable:
            self._uses = {**uses, **self._uses}
            raise

    async def _flush_and_wait(self) -> float:
        await self.flush()
        return _FLUSH_SECONDS
