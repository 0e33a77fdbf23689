"""Expires queued messages, archives old dead letters and deletes expired keys."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.database.pool import Count, Database, fetch_all
from gateway.database.queries import query
from gateway.observability.traffic import TrafficCounts
from gateway.send_queue.callbacks import delivery_body
from gateway.webhooks.notifier import CallbackNotifier

_FIND_EXPIRED = query("send_queue", "find_expired")
_EXPIRE = query("send_queue", "expire")
_ARCHIVE_FAILED = query("send_queue", "archive_failed")
_DELETE_EXPIRED_KEYS = query("send_queue", "delete_expired_keys")
_DELETE_EXPIRED_FLUSHES = query("send_queue", "delete_expired_flushes")

_BATCH_SIZE = 500


@dataclass(frozen=True, slots=True)
class _Expired:
    instance_id: str
    id: int
    zaap_id: str
    message_id: str
    phone: str
    track_id: str | None


class QueueMaintenance:
    """Works in small batches, so that no queue waits long for its locks."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        new_uuid: Callable[[], uuid.UUID],
        *,
        failed_days: int,
        notifier: CallbackNotifier | None = None,
        traffic: TrafficCounts | None = None,
    ) -> None:
        self._database, self._clock, self._new_uuid = database, clock, new_uuid
        self._failed_days, self._notifier = failed_days, notifier or CallbackNotifier()
        self._traffic = traffic or TrafficCounts(clock)

    async def expire(self) -> None:
        """Fails messages that waited too long, connected or not, and enqueues their callbacks."""
        while await self._expire_batch() == _BATCH_SIZE:
            pass

    async def delete_expired(self) -> None:
        """Moves old dead letters to history; deletes expired keys and abandoned flushes."""
        while await self._archive_batch() == _BATCH_SIZE:
            pass
        while (
            await self._database.execute(_DELETE_EXPIRED_KEYS, max_count=_BATCH_SIZE) == _BATCH_SIZE
        ):
            pass
        await self._database.execute(_DELETE_EXPIRED_FLUSHES)

    async def _expire_batch(self) -> int:
        async with self._database.transaction() as connection:
            expired = await fetch_all(connection, _Expired, _FIND_EXPIRED, max_count=_BATCH_SIZE)
            if expired:
                await connection.execute(
                    _EXPIRE,
                    {
                        "instance_ids": [row.instance_id for row in expired],
                        "ids": [row.id for row in expired],
                        "callback_ids": [self._new_uuid() for _ in expired],
                        "callbacks": [self._callback(row) for row in expired],
                    },
                )
        for row in expired:
            self._traffic.failed(row.instance_id, "expired")
        if expired:
            self._notifier.callbacks_written()
        return len(expired)

    async def _archive_batch(self) -> int:
        row = await self._database.fetch_one(
            Count,
            _ARCHIVE_FAILED,
            instance_id=None,
            type=None,
            phones=None,
            days=self._failed_days,
            max_count=_BATCH_SIZE,
        )
        return row.count if row else 0

    def _callback(self, row: _Expired) -> str:
        return delivery_body(row, at_ms=self._clock.now_ms(), error="expired")
