"""The inbox: the table in which every event is stored first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query

_ADD_EVENTS = query("inbox", "add_events")
_ADD_EVENT_BODY = query("inbox", "add_event_body")
_NEXT_EVENT = query("inbox", "next_event")
_FINISH_EVENT = query("inbox", "finish_event")
_RECORD_EVENT_ERROR = query("inbox", "record_event_error")
_RETRY_EVENTS = query("inbox", "retry_events")
_PENDING_CHATS = query("inbox", "pending_chats")
_DELETE_PROCESSED_EVENTS = query("inbox", "delete_processed_events")
_DELETE_FAILED_EVENTS = query("inbox", "delete_failed_events")


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event that is stored and not processed yet; `waited_seconds` since it was stored."""

    event_id: str
    own_phone: str | None
    body: Mapping[str, Any]
    waited_seconds: float


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as its session reported it.

    Attributes:
        instance_id: whose session it was.
        event_id: the provider's id of the event.
        chat: whose events are processed in order.
        body: the stored form of the event.
        own_phone: of the instance, when the event was reported.
    """

    instance_id: str
    event_id: str
    chat: str
    body: Mapping[str, Any]
    own_phone: str | None


@dataclass(frozen=True, slots=True)
class _AddedEvent:
    instance_id: str
    at_once: bool


@dataclass(frozen=True, slots=True)
class _PendingChat:
    chat: str


@dataclass(frozen=True, slots=True)
class _FinishedEvent:
    event_id: str


class Inbox:
    """The events of one instance; every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database, instance_id: str) -> None:
        self.database, self._instance_id = database, instance_id

    async def next(self, chat: str) -> PendingEvent | None:
        """Returns the oldest pending event of a chat that has not failed."""
        return await self.database.fetch_one(
            PendingEvent, _NEXT_EVENT, instance_id=self._instance_id, chat=chat
        )

    async def finish(self, connection: AsyncConnection, event_id: str) -> bool:
        """Ends a pending event; returns False if it is not pending any more."""
        rows = await fetch_all(
            connection,
            _FinishedEvent,
            _FINISH_EVENT,
            instance_id=self._instance_id,
            event_id=event_id,
        )
        return bool(rows)

    async def record_error(self, event_id: str, error: str) -> None:
        """Lets the later events of the chat pass this one until `pending_chats` is called."""
        await self.database.execute(
            _RECORD_EVENT_ERROR, instance_id=self._instance_id, event_id=event_id, error=error
        )

    async def pending_chats(self) -> list[str]:
        """Makes failed events pending again, and returns the chats with pending events."""
        await self.database.execute(_RETRY_EVENTS, instance_id=self._instance_id)
        rows = await self.database.fetch_all(
            _PendingChat, _PENDING_CHATS, instance_id=self._instance_id
        )
        return [row.chat for row in rows]


async def add_events(
    connection: AsyncConnection, events: Sequence[NewEvent], *, at_once: bool
) -> dict[str, bool]:
    """Stores events, at most one of each instance; those that are not processed here are pending.

    Args:
        connection: has the transaction.
        events: what was reported.
        at_once: whether they can be processed in this transaction, as far as the caller knows.

    Returns:
        For each instance whose event is not repeated, whether to process it in this transaction:
        not while earlier events of its chat are pending.
    """
    rows = await fetch_all(
        connection,
        _AddedEvent,
        _ADD_EVENTS,
        instance_ids=[event.instance_id for event in events],
        event_ids=[event.event_id for event in events],
        chats=[event.chat for event in events],
        own_phones=[event.own_phone for event in events],
        bodies=[Jsonb(event.body) for event in events],
        at_once=at_once,
    )
    return {row.instance_id: row.at_once for row in rows}


async def make_pending(connection: AsyncConnection, event: NewEvent) -> None:
    """Stores the body of an event that could not be processed in its transaction after all."""
    await connection.execute(
        _ADD_EVENT_BODY,
        {
            "instance_id": event.instance_id,
            "event_id": event.event_id,
            "body": Jsonb(event.body),
        },
    )


async def delete_processed_events(
    database: Database, *, older_than_seconds: float, max_count: int
) -> int:
    """Deletes the ids of processed events, by which repeated events are found; returns how many."""
    return await database.execute(
        _DELETE_PROCESSED_EVENTS, seconds=older_than_seconds, max_count=max_count
    )


async def delete_failed_events(
    database: Database, *, older_than_seconds: float, max_count: int
) -> int:
    """Deletes events that could not be processed; returns how many."""
    return await database.execute(
        _DELETE_FAILED_EVENTS, seconds=older_than_seconds, max_count=max_count
    )
