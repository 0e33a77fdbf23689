"""Ends an instance for good.

delete its row  -->  wait for the attempt under way  -->  answer
      |
      +--> line, lease and connection go with it: nothing is enqueued, claimed or started
      +--> its session is closed, on whichever node
      +--> everything else goes in batches, and once more when its session must have ended
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from psycopg import OperationalError
from psycopg.sql import SQL, Composed, Identifier

from gateway.clock import Clock
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, UnknownInstance
from gateway.observability.logging import logger
from gateway.wakeups import waking

_LOCK_INSTANCE_ID = query("instances", "lock_instance_id")
_LOCK_INSTANCE = query("removal", "lock_instance")
_END_LEASE = query("removal", "end_lease")
_NOTE_REMOVAL = query("removal", "note_removal")
_DELETE_INSTANCE = query("removal", "delete_instance")
_IN_FLIGHT = query("removal", "list_attempts_in_flight")
_UNFINISHED = query("removal", "list_unfinished")
_FINISH = query("removal", "finish")

# What has an instance_id and does not go with its row.
TABLES: Final = (
    ("message_queue",),
    ("message_attempts",),
    ("idempotency_keys",),
    ("webhook_lines",),
    ("webhook_outbox",),
    ("webhook_dead_letters",),
    ("webhook_deliveries",),
    ("webhook_events",),
    ("media",),
    ("identities",),
    ("chats",),
    ("chat_listings",),
    ("contacts",),
    ("tags",),
    ("consents",),
    ("inbox",),
    ("message_receipts",),
    ("message_ids",),
    ("messages",),
    ("sandbox", "entities"),
    ("sandbox", "events"),
    ("sandbox", "marks"),
    ("sandbox", "sent"),
    ("sandbox", "phones"),
    ("whatsmeow", "events"),
    ("whatsmeow", "sends"),
    ("whatsmeow", "polls"),
    ("whatsmeow", "devices"),
)
# All rows of the instance go, so it does no harm that a partition may have a row at the place
# of another's.
_CLEAR = SQL("""
    delete from {table}
    where instance_id = %(id)s::text and ctid = any(array(
        select ctid from {table} where instance_id = %(id)s::text limit %(max_count)s::int
    ))
""")

_ROWS_AT_ONCE = 1_000
_ROUND_SECONDS = 0.05
_PATIENCE_SECONDS = 25.0  # for the attempt under way: callers hang up after half a minute
_SWEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


@dataclass(frozen=True, slots=True)
class _Holder:
    node_id: str


@dataclass(frozen=True, slots=True)
class _InFlight:
    message_id: str


class Remover:
    """Part of the service.

    `lapse_seconds` is how long a session may outlive its lease: until then the id of a deleted
    instance is not given to another.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        lapse_seconds: float,
        rows_at_once: int = _ROWS_AT_ONCE,
    ) -> None:
        self._database, self._clock = database, clock
        self._lapse_seconds, self._rows_at_once = lapse_seconds, rows_at_once
        self._wakeup = asyncio.Event()
        self._removed: list[str] = []

    async def remove(self, instance_id: str, *, account_id: str | None = None) -> None:
        """Returns when nothing of the instance is sent any more; its rows are cleared later.

        Args:
            instance_id: the instance.
            account_id: whose it must be; None where that does not matter.

        Raises:
            UnknownInstance: there is none, or it is another account's.
            DatabaseUnavailable: it is there as before, or gone.
        """
        node_id = await self._delete(instance_id, account_id)
        logger.info("instance_deleted", instance_id=instance_id)
        if node_id is not None:
            await self._wait_for_attempt(instance_id, node_id)
        self._removed.append(instance_id)
        self._wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                pause = _SWEEP_SECONDS
                try:
                    if await self.clear_removed(stopping):
                        pause = self._lapse_seconds
                    await self.sweep(stopping)
                except (DatabaseUnavailable, OperationalError) as error:
                    logger.warning("removal_waits_for_database", error=type(error).__name__)
                    pause = 1.0
                await self._clock.wait(self._wakeup, pause)
                self._wakeup.clear()

    async def clear_removed(self, stopping: asyncio.Event | None = None) -> int:
        """Clears what `remove` left; returns how many instances that were."""
        cleared = 0
        while self._removed:
            await self._clear(self._removed[-1], stopping)
            self._removed.pop()
            cleared += 1
        return cleared

    async def sweep(self, stopping: asyncio.Event | None = None) -> None:
        """Finishes removals, those of nodes that died among them."""
        for row in await self._database.fetch_all(_Id, _UNFINISHED, seconds=self._lapse_seconds):
            if await self._clear(row.id, stopping):
                await self._database.execute(_FINISH, id=row.id)

    async def _delete(self, instance_id: str, account_id: str | None) -> str | None:
        """Returns the node that held the session, if any did."""
        named = {"id": instance_id}
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK_INSTANCE_ID, named)
            if not await fetch_all(
                connection, _Id, _LOCK_INSTANCE, id=instance_id, account_id=account_id
            ):
                raise UnknownInstance
            holders = await fetch_all(connection, _Holder, _END_LEASE, id=instance_id)
            await connection.execute(_NOTE_REMOVAL, named)
            await connection.execute(_DELETE_INSTANCE, named)
        return holders[0].node_id if holders else None

    async def _wait_for_attempt(self, instance_id: str, node_id: str) -> None:
        give_up_at = self._clock.monotonic_seconds() + _PATIENCE_SECONDS
        while await self._database.fetch_all(
            _InFlight, _IN_FLIGHT, id=instance_id, node_id=node_id
        ):
            if self._clock.monotonic_seconds() > give_up_at:
                logger.warning("removal_did_not_wait", instance_id=instance_id)
                return
            await self._clock.sleep(_ROUND_SECONDS)

    async def _clear(self, instance_id: str, stopping: asyncio.Event | None) -> bool:
        """Whether all is cleared; False when told to stop before."""
        for table in TABLES:
            statement = _clear_statement(table)
            while await self._database.execute(
                statement, id=instance_id, max_count=self._rows_at_once
            ):
                if stopping and stopping.is_set():
                    return False
        return True


def _clear_statement(table: tuple[str, ...]) -> Composed:
    return _CLEAR.format(table=Identifier(*table))
