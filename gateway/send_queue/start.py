"""Commits that an attempt begins; only then may the worker call the provider."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.batching import Batch
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.send_queue.claim_cursor import ClaimedMessage

_START_ATTEMPTS = query("send_queue", "start_attempts")


@dataclass(frozen=True, slots=True)
class _Started:
    instance_id: str
    id: int


@dataclass(frozen=True, slots=True)
class _Start:
    row: ClaimedMessage
    connection_id: str | None


class Starter:
    """Starts attempts, one statement for all workers of this process."""

    def __init__(self, database: Database, *, interval_seconds: float = 0.0) -> None:
        """Prepares the starts; *interval_seconds* is that of their batch."""
        self._database = database
        self._batch = Batch[_Start, bool](self._flush, interval_seconds=interval_seconds)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def due(self) -> None:
        """Waits until the interval of the batch is over."""
        await self._batch.due()

    async def start(self, claimed: ClaimedMessage, connection_id: str | None = None) -> bool:
        """Stores by which connection the attempt goes, and says whether it may begin now.

        False if the message was canceled or has expired, if the queue is paused or on hold, if
        this node lost the lease, or if a later claim took the row.

        Raises:
            DatabaseUnavailable: the attempt may have been committed as started. The message must
                not be sent.
        """
        return await self._batch.submit(_Start(claimed, connection_id))

    async def _flush(self, starts: list[_Start]) -> Sequence[bool]:
        rows = [start.row for start in starts]
        started = await self._database.fetch_all(
            _Started,
            _START_ATTEMPTS,
            instance_ids=[row.instance_id for row in rows],
            ids=[row.id for row in rows],
            epochs=[row.claimed_epoch for row in rows],
            claim_ids=[row.claim_id for row in rows],
            connection_ids=[start.connection_id for start in starts],
        )
        started_rows = {(row.instance_id, row.id) for row in started}
        return [(row.instance_id, row.id) in started_rows for row in rows]
