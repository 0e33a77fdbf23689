"""Opens the session of a lease, reads its events to the end, and opens it again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from gateway.clock import Clock
from gateway.contract.extensions.proxies import Proxy
from gateway.errors import DatabaseUnavailable
from gateway.instances.store import Instance, Instances
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.sessions.connection import ConnectionState
from gateway.sessions.inbound import Inbound
from gateway.sessions.leases import Lease, Leases
from gateway.sessions.live import ConnectedSessions, LiveSession
from gateway.sessions.provider import (
    ConnectionChanged,
    Engine,
    Event,
    Provider,
    ReportedEvent,
    SessionSpec,
)
from gateway.sessions.subscribers import EventSubscribers

_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1.0, 60.0
_MAX_DATABASE_PAUSE_SECONDS = 4.0  # the session does nothing wrong, and is to go on with Postgres
_ACKNOWLEDGE_AGAIN_SECONDS = 0.5
_MAX_OPENING_AT_ONCE = 16  # a node that starts has thousands to open

OnOpened = Callable[[str], None]
"""Is called with the id of an instance whose session has opened."""


@dataclass(slots=True, eq=False)
class OwnedLease:
    """A lease of this node, and the task that keeps its session open."""

    lease: Lease
    task: asyncio.Task[None] = field(init=False)
    is_releasing: bool = False
    live: LiveSession | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    reopening: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Timeout | None = None

    def reopen(self) -> None:
        """Closes the session once the event in hand is stored, and opens it again.

        Without an open session, it ends the pause before the next opening.
        """
        self.opened.clear()
        self.reopening.set()
        if self._reading:
            self._reading.reschedule(0)  # a time long past: `next_event` returns at once
            self._reading = None

    async def next_event(self, events: AsyncIterator[ReportedEvent]) -> ReportedEvent | None:
        """Returns the session's next event; None at its end, or when `reopen` was called."""
        if self.reopening.is_set():
            return None
        try:
            async with asyncio.timeout(None) as self._reading:
                return await anext(events, None)
        except TimeoutError:
            if self._reading:  # `reopen` did not end the read: the timeout is the engine's
                raise
            return None
        finally:
            self._reading = None


class Opener:
    """Keeps sessions open; `connected` holds those that may send now."""

    def __init__(
        self,
        *,
        leases: Leases,
        instances: Instances,
        inbound: Inbound,
        subscribers: EventSubscribers,
        providers: Mapping[str, Provider],
        engines: Mapping[str, Engine],
        proxy_of: Callable[[Instance], Proxy | None],
        settings_of: Callable[[Instance], Mapping[str, Any]],
        clock: Clock,
    ) -> None:
        """Opens nothing before `keep_open`.

        Args:
            leases: of this node; say until when a session may act.
            instances: finds the settings of instances.
            inbound: stores and processes events.
            subscribers: get each event once it is stored.
            providers: by name.
            engines: by the same names.
            proxy_of: decrypts the proxy of an instance; raises if it cannot, and the session
                stays closed.
            settings_of: decrypts the provider settings of an instance, likewise.
            clock: time.
        """
        self._settings_of = settings_of
        self._leases, self._instances, self._inbound = leases, instances, inbound
        self._subscribers, self._proxy_of = subscribers, proxy_of
        self._providers, self._engines, self._clock = providers, engines, clock
        self._openings = asyncio.Semaphore(_MAX_OPENING_AT_ONCE)
        self.connected = ConnectedSessions()

    async def keep_open(self, owned: OwnedLease, *, on_opened: OnOpened) -> None:
        """Opens the session again whenever it fails or ends; runs until it is canceled.

        This is no PeriodicLoop: a run lasts as long as the session, and the pause after it
        doubles with each opening that fails, up to the limit for the kind of failure.
        """
        instance_id, pause = owned.lease.instance_id, _MIN_PAUSE_SECONDS
        try:
            while True:
                pause = min(pause, await self._try_session(owned, on_opened))
                self.connected.remove(instance_id)
                if await self._clock.wait(owned.reopening, pause):
                    owned.reopening.clear()
                    pause = _MIN_PAUSE_SECONDS
                    continue
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)
        finally:
            self.connected.remove(instance_id)

    async def _try_session(self, owned: OwnedLease, on_opened: OnOpened) -> float:
        """Runs one session to its end; returns the longest pause before the next, in seconds."""
        instance_id = owned.lease.instance_id
        try:
            if await self._run_session(owned, on_opened):
                return _MIN_PAUSE_SECONDS
        except DatabaseUnavailable as error:
            logger.warning(
                "database_unavailable",
                component="session",
                instance_id=instance_id,
                error=str(error),
            )
            return _MAX_DATABASE_PAUSE_SECONDS
        except Exception as error:  # noqa: BLE001 - one session must not end the others
            report_error(error, component="session", instance_id=instance_id)
        return _MAX_PAUSE_SECONDS

    async def _run_session(self, owned: OwnedLease, on_opened: OnOpened) -> bool:
        """Returns False if the instance does not exist, otherwise True at the session's end."""
        lease = owned.lease
        async with AsyncExitStack() as opened:
            async with self._openings:
                instance = await self._instances.find(lease.instance_id)
                if instance is None:
                    return False
                provider = self._providers[instance.provider]
                engine = self._engines[instance.provider]
                spec = SessionSpec(
                    instance.id,
                    lease.epoch,
                    self._settings_of(instance),
                    may_act_until=lambda: self._leases.may_act_until,
                    proxy=self._proxy_of(instance),
                )
                session = await opened.enter_async_context(engine.open_session(spec))
            owned.live = LiveSession(
                instance,
                lease.epoch,
                session,
                provider.can_repeat_send,
                self._leases,
                self._clock,
                connection_id=instance.connection_id,
            )
            owned.reopening.clear()
            owned.opened.set()
            on_opened(instance.id)
            try:
                await self._read(owned, owned.live)
            finally:
                owned.live.closed = True
                owned.live = None
                owned.opened.clear()
        return True

    async def _read(self, owned: OwnedLease, live: LiveSession) -> None:
        """Acknowledges each event after it is stored and published."""
        events = live.session.events()
        async with self._inbound.receiving(live) as intake:
            while reported := await owned.next_event(events):
                live.events.reported += 1
                if await intake.store(reported):
                    live.events.stored += 1
                else:
                    live.events.reported -= 1  # an earlier session reported it
                self._follow_connection(owned, live, reported.event)
                self._subscribers.publish(live.instance, reported.event)
                await self._acknowledge(reported)

    async def _acknowledge(self, reported: ReportedEvent) -> None:
        """Repeats it while a provider cannot reach its store: the session must not end for that."""
        while True:
            try:
                return await reported.acknowledge()
            except DatabaseUnavailable as error:
                logger.warning("database_unavailable", component="session", error=str(error))
                await self._clock.sleep(_ACKNOWLEDGE_AGAIN_SECONDS)

    def _follow_connection(self, owned: OwnedLease, live: LiveSession, event: Event) -> None:
        if not isinstance(event, ConnectionChanged):
            return
        live.state = event.state
        if event.state is ConnectionState.CONNECTED and not owned.is_releasing:
            self.connected.add(live)
        else:
            self.connected.remove(live.instance.id)
        logger.info("connection_changed", instance_id=live.instance.id, state=event.state.value)
