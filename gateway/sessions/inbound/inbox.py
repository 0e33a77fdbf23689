"""The table every event goes to first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query

_ADD = query("inbox", "add_event")
_KEEP = query("inbox", "keep_event")
_NEXT = query("inbox", "next_event")
_SETTLE = query("inbox", "settle_event")
_NOTE_ERROR = query("inbox", "note_event_error")
_RETRY = query("inbox", "retry_events")
_CHATS = query("inbox", "unsettled_chats")
_FORGET = query("inbox", "forget_settled")
_GIVE_UP = query("inbox", "give_up_events")


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event that is kept and not told of yet."""

    event_id: str
    own_phone: str | None
    body: Mapping[str, Any]
    waited_seconds: float


@dataclass(frozen=True, slots=True)
class _Added:
    at_once: bool


@dataclass(frozen=True, slots=True)
class _Chat:
    chat: str


@dataclass(frozen=True, slots=True)
class _Settled:
    event_id: str


class Inbox:
    """The events of one instance; every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database, instance_id: str) -> None:
        self.database, self._instance_id = database, instance_id

    async def add(
        self,
        connection: AsyncConnection,
        event_id: str,
        chat: str,
        body: Mapping[str, Any],
        *,
        own_phone: str | None,
        at_once: bool,
    ) -> bool | None:
        """Whether to settle it in this transaction; None where it was told before."""
        added = await fetch_all(
            connection,
            _Added,
            _ADD,
            instance_id=self._instance_id,
            event_id=event_id,
            chat=chat,
            body=Jsonb(body),
            own_phone=own_phone,
            at_once=at_once,
        )
        return added[0].at_once if added else None

    async def keep(
        self, connection: AsyncConnection, event_id: str, body: Mapping[str, Any]
    ) -> None:
        """It could not be settled in its own transaction."""
        await connection.execute(
            _KEEP, {"instance_id": self._instance_id, "event_id": event_id, "body": Jsonb(body)}
        )

    async def next(self, chat: str) -> PendingEvent | None:
        return await self.database.fetch_one(
            PendingEvent, _NEXT, instance_id=self._instance_id, chat=chat
        )

    async def process(self, connection: AsyncConnection, event_id: str) -> bool:
        """False where it is settled already."""
        rows = await fetch_all(
            connection, _Settled, _SETTLE, instance_id=self._instance_id, event_id=event_id
        )
        return bool(rows)

    async def note_error(self, event_id: str, error: str) -> None:
        await self.database.execute(
            _NOTE_ERROR, instance_id=self._instance_id, event_id=event_id, error=error
        )

    async def pending_chats(self) -> list[str]:
        """The chats that wait; what failed is tried again."""
        await self.database.execute(_RETRY, instance_id=self._instance_id)
        rows = await self.database.fetch_all(_Chat, _CHATS, instance_id=self._instance_id)
        return [row.chat for row in rows]


async def forget_settled(database: Database, *, older_than_seconds: float, max_count: int) -> int:
    """Removes events nobody will tell again; how many."""
    return await database.execute(_FORGET, seconds=older_than_seconds, max_count=max_count)


async def give_up(database: Database, *, older_than_seconds: float, max_count: int) -> int:
    """Removes events at which we failed for so long; how many."""
    return await database.execute(_GIVE_UP, seconds=older_than_seconds, max_count=max_count)
