"""Deletes an instance and its rows.

delete its row  -->  wait for the attempt in flight  -->  answer
      |
      +--> queue, lease and connection go with it: nothing is enqueued, claimed or started
      +--> the node that owns the session closes it
      +--> other rows are deleted in batches, and again when the session must have ended
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final

from psycopg import OperationalError
from psycopg.sql import SQL, Identifier

from gateway.administration.provider_data import ProviderData
from gateway.clock import Clock
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import UnknownInstance
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop

_LOCK_INSTANCE_ID = query("instances", "lock_instance_id")
_LOCK_INSTANCE = query("removal", "lock_instance")
_END_LEASE = query("removal", "end_lease")
_NOTE_REMOVAL = query("removal", "note_removal")
_DELETE_INSTANCE = query("removal", "delete_instance")
_IN_FLIGHT = query("removal", "list_attempts_in_flight")
_UNFINISHED = query("removal", "list_unfinished")
_FINISH = query("removal", "finish")

# The gateway's own tables that have an instance_id and no foreign key to its row.
_TABLES: Final = (
    "message_queue",
    "message_attempts",
    "idempotency_keys",
    "webhook_lines",
    "webhook_outbox",
    "further_delivery_queues",
    "further_outbox",
    "webhook_dead_letters",
    "webhook_deliveries",
    "webhook_events",
    "media",
    "identities",
    "whatsapp_numbers",
    "profile_pictures",
    "chats",
    "chat_listings",
    "contacts",
    "tags",
    "consents",
    "inbox",
    "message_receipts",
    "message_ids",
    "messages",
    "traffic",
)
# A ctid is unique only within one partition, so the outer delete may find another partition's row.
# It belongs to the same instance, by instance_id, and is to be deleted anyway.
_CLEAR = SQL("""
    delete from {table}
    where instance_id = %(id)s::text and ctid = any(array(
        select ctid from {table} where instance_id = %(id)s::text limit %(max_count)s::int
    ))
""")

_ROWS_AT_ONCE = 1_000
_POLL_SECONDS = 0.05
_MAX_WAIT_SECONDS = 25.0  # for the attempt in flight: callers hang up after half a minute
_PAUSE_SECONDS = 60.0
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


@dataclass(frozen=True, slots=True)
class _Owner:
    node_id: str


@dataclass(frozen=True, slots=True)
class _InFlight:
    message_id: str


class Remover:
    """Deletes instances, and clears their rows in the background.

    `lapse_seconds` is how long a session may outlive its lease. Until then no new instance may have
    the id of the deleted one.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        provider_data: ProviderData,
        *,
        lapse_seconds: float,
        rows_at_once: int = _ROWS_AT_ONCE,
    ) -> None:
        self._database, self._clock, self._provider_data = database, clock, provider_data
        self._lapse_seconds, self._rows_at_once = lapse_seconds, rows_at_once
        self._wakeup = asyncio.Event()
        self._removed: list[str] = []

    async def remove(self, instance_id: str, *, account_id: str | None = None) -> None:
        """Deletes an instance; returns when no attempt is in flight. Its rows are cleared later.

        Args:
            instance_id: the instance.
            account_id: the account that must own it; None allows any.

        Raises:
            UnknownInstance: the instance does not exist, or another account owns it.
            DatabaseUnavailable: the instance may be deleted or not.
        """
        node_id = await self._delete(instance_id, account_id)
        logger.info("instance_deleted", instance_id=instance_id)
        if node_id is not None:
            await self._wait_for_attempt(instance_id, node_id)
        self._removed.append(instance_id)
        self._wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        step = partial(self._clear_and_finish, stopping)
        loop = PeriodicLoop("removal", step, self._clock, wakeup=self._wakeup)
        await loop.run_until(stopping)

    async def _clear_and_finish(self, stopping: asyncio.Event) -> float:
        try:
            cleared = await self.clear_removed(stopping)
            await self.finish_removals(stopping)
        except OperationalError as error:  # such as a deadlock with a transaction of the instance
            logger.warning("removal_interrupted", error=type(error).__name__)
            return _RETRY_SECONDS
        return self._lapse_seconds if cleared else _PAUSE_SECONDS

    async def clear_removed(self, stopping: asyncio.Event | None = None) -> int:
        """Clears the rows of removed instances; returns the number of instances."""
        cleared = 0
        while self._removed:
            await self._clear(self._removed[-1], stopping)
            self._removed.pop()
            cleared += 1
        return cleared

    async def finish_removals(self, stopping: asyncio.Event | None = None) -> None:
        """Finishes removals whose sessions have ended, also those of nodes that died."""
        for row in await self._database.fetch_all(_Id, _UNFINISHED, seconds=self._lapse_seconds):
            if await self._clear(row.id, stopping):
                await self._database.execute(_FINISH, id=row.id)

    async def _delete(self, instance_id: str, account_id: str | None) -> str | None:
        """Deletes the row; returns the node that owned the session, if any."""
        named = {"id": instance_id}
        erasing = self._database.within(DatabaseDeadline.ERASURE)
        async with erasing.transaction() as connection:
            await connection.execute(_LOCK_INSTANCE_ID, named)
            if not await fetch_all(
                connection, _Id, _LOCK_INSTANCE, id=instance_id, account_id=account_id
            ):
                raise UnknownInstance
            owners = await fetch_all(connection, _Owner, _END_LEASE, id=instance_id)
            await connection.execute(_NOTE_REMOVAL, named)
            await connection.execute(_DELETE_INSTANCE, named)
        return owners[0].node_id if owners else None

    async def _wait_for_attempt(self, instance_id: str, node_id: str) -> None:
        give_up_at = self._clock.monotonic_seconds() + _MAX_WAIT_SECONDS
        while await self._database.fetch_all(
            _InFlight, _IN_FLIGHT, id=instance_id, node_id=node_id
        ):
            if self._clock.monotonic_seconds() > give_up_at:
                logger.warning("removal_wait_ended", instance_id=instance_id)
                return
            await self._clock.sleep(_POLL_SECONDS)

    async def _clear(self, instance_id: str, stopping: asyncio.Event | None) -> bool:
        """Deletes rows in batches; returns False if *stopping* was set before the end."""
        pruning = self._database.within(DatabaseDeadline.PRUNING)
        for table in _TABLES:
            statement = _CLEAR.format(table=Identifier(table))
            while await pruning.execute(statement, id=instance_id, max_count=self._rows_at_once):
                if stopping and stopping.is_set():
                    return False
        while await self._provider_data.delete_instance(instance_id, max_rows=self._rows_at_once):
            if stopping and stopping.is_set():
                return False
        return True
