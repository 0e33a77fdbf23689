"""Stores the events that a session reports, and processes each at once if nothing delays it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from psycopg import AsyncConnection, OperationalError, Rollback

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.contract.callbacks import CONNECTION_CHAT
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.payload_seal import SealBroken, Unopened
from gateway.database.pool import Database
from gateway.errors import Unavailable
from gateway.instances.store import Instance
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.observability.traffic import TrafficCounts
from gateway.periodic_loop import PeriodicLoop
from gateway.sessions.connection import ConnectionState
from gateway.sessions.events import (
    ConnectionChanged,
    Event,
    HistoryReceived,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
    ReceivedFile,
    event_from,
    stored_event,
)
from gateway.sessions.health import EventCounter
from gateway.sessions.inbound.chat_queues import ChatQueues
from gateway.sessions.inbound.event_context import EventContext, FetchedFile
from gateway.sessions.inbound.files import Files
from gateway.sessions.inbound.inbox import (
    Inbox,
    NewEvent,
    PendingEvent,
    add_events,
    delete_failed_events,
    delete_processed_events,
    make_pending,
)
from gateway.sessions.inbound.pictures import SessionPictures, delete_expired_pictures
from gateway.sessions.inbound.processing import process
from gateway.sessions.inbound.receipt_batch import ReceiptBatch, ReportedReceipt
from gateway.sessions.provider import ReportedEvent, Session
from gateway.webhooks.outbox import Outbox

_MAX_WAIT_FOR_RECORD_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_BACKLOG_SECONDS = 0.02
_PROCESSED_RETENTION_SECONDS = 2 * 86_400.0  # far longer than a provider repeats an event
_FAILED_RETENTION_SECONDS = 30 * 86_400.0  # time for a version that can process it
_DELETE_INTERVAL_SECONDS = 60.0
_MAX_DELETED_AT_ONCE = 5_000


class SessionInUse(Protocol):
    """An open session. The settings of its instance may change while it is open."""

    instance: Instance
    epoch: int
    session: Session
    events: EventCounter


class Inbound:
    """Receives the events of all sessions of this node, and deletes old ones."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        files: Files,
        receipts: ReceiptBatch,
        clock: Clock,
        *,
        turns: AccountTurns | None = None,
        looks_up_pictures: bool = False,
        traffic: TrafficCounts | None = None,
    ) -> None:
        self.database, self.outbox, self.files, self.clock = database, outbox, files, clock
        self._receipts = receipts
        self._turns = turns or AccountTurns()
        self.traffic = traffic or TrafficCounts(clock)
        self.looks_up_pictures = looks_up_pictures
        self._loop = PeriodicLoop("inbox", self._run_deletion, clock)

    @asynccontextmanager
    async def receiving(self, live: SessionInUse) -> AsyncIterator["EventIntake"]:
        """Makes the intake of a session; its chat queues and look-ups end with the block."""
        intake = EventIntake(self, live)
        try:
            yield intake
        finally:
            await intake.chat_queues.close()
            await intake.pictures.close()

    async def store_receipt(
        self, account_id: str, receipt: ReportedReceipt, *, at_once: bool
    ) -> bool | None:
        """Stores it when it is the account's turn; without *at_once*, when it is due, too."""
        if not at_once:
            await self._receipts.due()
        async with self._turns.turn(account_id):
            return await self._receipts.store(receipt)

    @asynccontextmanager
    async def transaction(self, account_id: str) -> AsyncIterator[AsyncConnection]:
        """Begins a transaction when it is the account's turn; it commits with the block."""
        async with self._turns.turn(account_id), self.database.transaction() as connection:
            yield connection

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _run_deletion(self) -> float:
        await self.delete_expired()
        return _DELETE_INTERVAL_SECONDS

    async def delete_expired(self) -> None:
        """Deletes events past their retention; raises DatabaseUnavailable."""
        pruning = self.database.within(DatabaseDeadline.PRUNING)
        while await delete_processed_events(
            pruning,
            older_than_seconds=_PROCESSED_RETENTION_SECONDS,
            max_count=_MAX_DELETED_AT_ONCE,
        ):
            pass
        while count := await delete_failed_events(
            pruning,
            older_than_seconds=_FAILED_RETENTION_SECONDS,
            max_count=_MAX_DELETED_AT_ONCE,
        ):
            logger.error("events_given_up", count=count)
        while await delete_expired_pictures(pruning, max_count=_MAX_DELETED_AT_ONCE):
            pass


class EventIntake:
    """Stores the events of one session."""

    def __init__(self, inbound: Inbound, live: SessionInUse) -> None:
        self._inbound, self._live = inbound, live
        self._own_phone: str | None = None
        self._stored_at = float("-inf")
        self._inbox = Inbox(inbound.database, live.instance.id)
        self.pictures = SessionPictures(
            inbound.database, live, inbound.clock, looks_up=inbound.looks_up_pictures
        )
        self.chat_queues = ChatQueues(self._inbox, self._process_pending, inbound.clock)

    async def store(self, reported: ReportedEvent) -> bool:
        """Returns once the event is committed, however long Postgres is unavailable.

        Returns False if it had been stored before.
        """
        event = reported.event
        if isinstance(event, ConnectionChanged):
            self._own_phone = event.phone or self._own_phone
        is_new = await self._store(reported.event_id, stored_event(event))
        if isinstance(event, ConnectionChanged) and event.state is ConnectionState.CONNECTED:
            await self._retry(self.chat_queues.resume)
        self._stored_at = self._inbound.clock.monotonic_seconds()
        return is_new

    async def _store(self, event_id: str, body: dict[str, Any]) -> bool:
        event = event_from(body)  # the stored form, so that both ways of processing see the same
        at_once = not files_of(event)

        is_new = False

        async def write() -> None:
            nonlocal is_new
            is_new = await self._write(event_id, event, body, at_once=at_once) or is_new

        try:
            await self._retry(write)
        except Exception as error:  # noqa: BLE001 - an event that fails must be stored, not lost
            report_error(error, component="inbound", instance_id=self._live.instance.id)
            at_once = False
            await self._retry(write)
        return is_new

    async def _retry(self, write: Callable[[], Awaitable[None]]) -> None:
        """Repeats *write* until Postgres has committed it."""
        while True:
            try:
                await write()
            except (Unavailable, OperationalError) as error:
                logger.warning(
                    "event_delayed", instance_id=self._live.instance.id, error=str(error)
                )
                await self._inbound.clock.sleep(_RETRY_SECONDS)
            else:
                return

    async def _write(
        self, event_id: str, event: Event, body: dict[str, Any], *, at_once: bool
    ) -> bool:
        """Stores the event, and processes it in the same transaction if it can.

        Returns False for a repeated event.
        """
        new = NewEvent(self._live.instance.id, event_id, chat_of(event), body, self._own_phone)
        if at_once and isinstance(event, MessageAcknowledged):
            is_finished = await self._inbound.store_receipt(
                self._live.instance.account_id,
                ReportedReceipt(new, event),
                at_once=self._has_backlog(),
            )
        else:
            is_finished = await self._add(new, event, at_once=at_once)
        if is_finished:
            self._on_processed(event)
        else:
            # If the answer to the commit of a repeated event was lost, no task processes it yet.
            self.chat_queues.wake(new.chat)
        return is_finished is not None

    def _has_backlog(self) -> bool:
        """Says whether the event waited for the one before: those of a session come in turn."""
        now = self._inbound.clock.monotonic_seconds()
        return now - self._stored_at < _BACKLOG_SECONDS

    async def _add(self, new: NewEvent, event: Event, *, at_once: bool) -> bool | None:
        """Returns whether the event is processed; None for a repeated event."""
        async with self._inbound.transaction(self._live.instance.account_id) as connection:
            added = await add_events(connection, [new], at_once=at_once)
            is_finished = added.get(new.instance_id)
            if is_finished and not await process(self._context(connection, new.own_phone), event):
                await make_pending(connection, new)
                return False
        return is_finished

    async def _process_pending(self, pending: PendingEvent) -> bool:
        """Processes a pending event; returns False if it must wait for the record of its message.

        After a maximum wait it is processed without the record.
        """
        if isinstance(pending.body, Unopened):
            raise SealBroken(pending.body.reason)
        event = event_from(pending.body)
        files = await self._inbound.files.fetch(
            self._live.session, self._live.instance, files_of(event)
        )
        must_wait = False
        async with self._inbound.transaction(self._live.instance.account_id) as connection:
            if not await self._inbox.finish(connection, pending.event_id):
                return True
            context = self._context(connection, pending.own_phone, files)
            if not await process(context, event) and (
                pending.waited_seconds < _MAX_WAIT_FOR_RECORD_SECONDS
            ):
                must_wait = True
                raise Rollback  # leaves the block without an error
        if not must_wait:
            self._on_processed(event)
        return not must_wait

    def _on_processed(self, event: Event) -> None:
        self._live.events.processed += 1
        if isinstance(event, MessageReceived) and not event.from_me:
            self._inbound.traffic.received(self._live.instance.id)
        self._inbound.outbox.notifier.callbacks_written()
        self.pictures.start_look_ups()

    def _context(
        self,
        connection: AsyncConnection,
        own_phone: str | None,
        files: dict[str, FetchedFile] | None = None,
    ) -> EventContext:
        live = self._live
        return EventContext(
            connection,
            self._inbound.outbox,
            live.instance,
            live.epoch,
            own_phone,
            self.pictures,
            files or {},
        )


def files_of(event: Event) -> tuple[ReceivedFile, ...]:
    return event.files if isinstance(event, MessageReceived) else ()


def chat_of(event: Event) -> str:
    """Returns the chat within which events are processed in order.

    Events without a chat share one name.
    """
    match event:
        case ConnectionChanged() | HistoryReceived() | IdentityLearned():
            return CONNECTION_CHAT
        case _:
            return event.chat
