"""Takes what a session tells: written down, and settled where nothing has to be waited for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from psycopg import AsyncConnection, OperationalError, Rollback

from gateway.clock import Clock
from gateway.contract.callbacks import CONNECTION_CHAT
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable, Unavailable
from gateway.instances.store import Instance
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.sessions.connection import ConnectionState
from gateway.sessions.events import (
    ConnectionChanged,
    Event,
    HistoryReceived,
    IdentityLearned,
    MessageReceived,
    ReceivedFile,
    event_from,
    stored_event,
)
from gateway.sessions.inbound.chat_queues import Lines
from gateway.sessions.inbound.event_context import EventContext, FetchedFile
from gateway.sessions.inbound.files import Files
from gateway.sessions.inbound.inbox import Inbox, PendingEvent, forget_settled, give_up
from gateway.sessions.inbound.processing import process
from gateway.sessions.provider import Delivery, Session
from gateway.wakeups import waking
from gateway.webhooks.outbox import Outbox

_WAIT_FOR_RECORD_SECONDS = 10.0
_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 0.5
_REMEMBERED_SECONDS = 2 * 86_400.0  # far longer than a provider takes to repeat itself
_TRIED_SECONDS = 30 * 86_400.0  # an event at which every version of ours has failed
_SWEEP_SECONDS = 60.0
_MAX_AT_ONCE = 5_000


class Live(Protocol):
    """An open session; the settings of its instance may change meanwhile."""

    instance: Instance
    epoch: int
    session: Session


class Inbound:
    """Part of the service: every event ends in the database, or is told again."""

    def __init__(self, database: Database, outbox: Outbox, files: Files, clock: Clock) -> None:
        self.database, self.outbox, self.files, self.clock = database, outbox, files, clock

    @asynccontextmanager
    async def listening(self, live: Live) -> AsyncIterator["Intake"]:
        """For as long as a session is open."""
        intake = Intake(self, live)
        try:
            yield intake
        finally:
            await intake.lines.close()

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Forgets the names of events that nobody will tell again, and what is beyond us."""
        wakeup = asyncio.Event()
        async with waking(wakeup, when=stopping):
            while not stopping.is_set():
                try:
                    await self.forget()
                except DatabaseUnavailable as error:
                    logger.warning("inbox_waits_for_database", error=str(error))
                await self.clock.wait(wakeup, _SWEEP_SECONDS)

    async def forget(self) -> None:
        """Raises DatabaseUnavailable."""
        while await forget_settled(
            self.database, older_than_seconds=_REMEMBERED_SECONDS, max_count=_MAX_AT_ONCE
        ):
            pass
        while count := await give_up(
            self.database, older_than_seconds=_TRIED_SECONDS, max_count=_MAX_AT_ONCE
        ):
            logger.error("events_given_up", count=count)


class Intake:
    """What one session tells."""

    def __init__(self, inbound: Inbound, live: Live) -> None:
        self._inbound, self._live = inbound, live
        self._own_phone: str | None = None
        self._inbox = Inbox(inbound.database, live.instance.id)
        self.lines = Lines(self._inbox, self._process_later, inbound.clock)

    async def take(self, delivery: Delivery) -> None:
        """Returns once the event is committed, however long the database is away."""
        event = delivery.event
        if isinstance(event, ConnectionChanged):
            self._own_phone = event.phone or self._own_phone
        await self._written(delivery.event_id, stored_event(event))
        if isinstance(event, ConnectionChanged) and event.state is ConnectionState.CONNECTED:
            await self._persist(self.lines.resume)

    async def _written(self, event_id: str, body: dict[str, Any]) -> None:
        event = event_from(body)  # as it would be read later
        at_once = not files_of(event)

        async def write() -> None:
            await self._write(event_id, event, body, at_once=at_once)

        try:
            await self._persist(write)
        except Exception as error:  # noqa: BLE001 - an event we fail at is kept, not lost
            report_error(error, component="inbound", instance_id=self._live.instance.id)
            at_once = False
            await self._persist(write)

    async def _persist(self, write: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await write()
            except (Unavailable, OperationalError) as error:
                logger.warning(
                    "event_delayed", instance_id=self._live.instance.id, error=str(error)
                )
                await self._inbound.clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                return

    async def _write(
        self, event_id: str, event: Event, body: dict[str, Any], *, at_once: bool
    ) -> None:
        chat = chat_of(event)
        async with self._inbound.database.transaction() as connection:
            settles = await self._inbox.add(
                connection, event_id, chat, body, own_phone=self._own_phone, at_once=at_once
            )
            if settles is None:
                return
            if settles and not await process(self._about(connection, self._own_phone), event):
                await self._inbox.keep(connection, event_id, body)
                settles = False
        if settles:
            self._inbound.outbox.notifier.callbacks_written()
        else:
            self.lines.go_on(chat)

    async def _process_later(self, pending: PendingEvent) -> bool:
        event = event_from(pending.body)
        files = await self._inbound.files.fetch(
            self._live.session, self._live.instance.id, files_of(event)
        )
        too_early = False
        async with self._inbound.database.transaction() as connection:
            if not await self._inbox.process(connection, pending.event_id):
                return True
            context = self._about(connection, pending.own_phone, files)
            if not await process(context, event) and (
                pending.waited_seconds < _WAIT_FOR_RECORD_SECONDS
            ):
                too_early = True
                raise Rollback  # ends the block, quietly
        if not too_early:
            self._inbound.outbox.notifier.callbacks_written()
        return not too_early

    def _about(
        self,
        connection: AsyncConnection,
        own_phone: str | None,
        files: dict[str, FetchedFile] | None = None,
    ) -> EventContext:
        live = self._live
        return EventContext(
            connection, self._inbound.outbox, live.instance, live.epoch, own_phone, files or {}
        )


def files_of(event: Event) -> tuple[ReceivedFile, ...]:
    return event.files if isinstance(event, MessageReceived) else ()


def chat_of(event: Event) -> str:
    """Events of one chat are settled in order; those of no chat have an order of their own."""
    match event:
        case ConnectionChanged() | HistoryReceived() | IdentityLearned():
            return CONNECTION_CHAT
        case _:
            return event.chat
