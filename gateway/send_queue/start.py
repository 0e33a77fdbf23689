"""Commits that an attempt begins, immediately before the provider is called. No row, no call."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.batching import Batch
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.send_queue.claim import Claimed

_START_ATTEMPTS = query("send_queue", "start_attempts")


@dataclass(frozen=True, slots=True)
class _Started:
    instance_id: str
    id: int


class Starter:
    """Part of the service."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batch = Batch[Claimed, bool](self._flush)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def start(self, claimed: Claimed) -> bool:
        """Whether the message may be sent now.

        False: it was cancelled, the line is paused or held, this node lost the lease, or a later
        claim has the row.

        Raises:
            DatabaseUnavailable: it may or may not count as started; it must not be sent.
        """
        return await self._batch.submit(claimed)

    async def _flush(self, rows: list[Claimed]) -> Sequence[bool]:
        started = await self._database.fetch_all(
            _Started,
            _START_ATTEMPTS,
            instance_ids=[row.instance_id for row in rows],
            ids=[row.id for row in rows],
            epochs=[row.claimed_epoch for row in rows],
            claim_ids=[row.claim_id for row in rows],
        )
        ours = {(row.instance_id, row.id) for row in started}
        return [(row.instance_id, row.id) in ours for row in rows]
