"""What the queue forgets: messages that waited too long, old dead letters, old keys."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.contract.callbacks import DeliveryCallback
from gateway.database.pool import Count, Database, fetch_all
from gateway.database.queries import query
from gateway.webhooks.notifier import CallbackNotifier

_FIND_EXPIRED = query("send_queue", "find_expired")
_EXPIRE = query("send_queue", "expire")
_BURY_FAILED = query("send_queue", "bury_failed")
_FORGET_KEYS = query("send_queue", "forget_keys")
_FORGET_ABANDONED_FLUSHES = query("send_queue", "forget_abandoned_flushes")

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Expired:
    instance_id: str
    id: int
    zaap_id: str
    message_id: str
    phone: str


class QueueMaintenance:
    """Works in small statements, so that no line waits for it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        new_uuid: Callable[[], uuid.UUID],
        *,
        failed_days: int,
        notifier: CallbackNotifier | None = None,
    ) -> None:
        self._database, self._clock, self._new_uuid = database, clock, new_uuid
        self._failed_days, self._notifier = failed_days, notifier or CallbackNotifier()

    async def expire(self) -> None:
        """Fails what is too old, whether its instance is connected or not, and tells so."""
        while await self._expire_some() == _AT_ONCE:
            pass

    async def delete_expired(self) -> None:
        """Moves old dead letters to history and deletes keys that count no more."""
        while await self._bury() == _AT_ONCE:
            pass
        while await self._database.execute(_FORGET_KEYS, max_count=_AT_ONCE) == _AT_ONCE:
            pass
        await self._database.execute(_FORGET_ABANDONED_FLUSHES)

    async def _expire_some(self) -> int:
        async with self._database.transaction() as connection:
            old = await fetch_all(connection, _Expired, _FIND_EXPIRED, max_count=_AT_ONCE)
            if old:
                await connection.execute(
                    _EXPIRE,
                    {
                        "instance_ids": [row.instance_id for row in old],
                        "ids": [row.id for row in old],
                        "callback_ids": [self._new_uuid() for _ in old],
                        "callbacks": [self._callback(row) for row in old],
                    },
                )
        if old:
            self._notifier.callbacks_written()
        return len(old)

    async def _bury(self) -> int:
        row = await self._database.fetch_one(
            Count,
            _BURY_FAILED,
            instance_id=None,
            type=None,
            phone=None,
            days=self._failed_days,
            max_count=_AT_ONCE,
        )
        return row.count if row else 0

    def _callback(self, row: _Expired) -> str:
        return DeliveryCallback(
            instance_id=row.instance_id,
            momment=self._clock.now_ms(),
            phone=row.phone,
            zaap_id=row.zaap_id,
            message_id=row.message_id,
            error="expired",
        ).body()
