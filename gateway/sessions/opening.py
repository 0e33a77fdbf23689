"""Opens the session of a lease, reads it to its end, and opens it again."""

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
from gateway.sessions.live import Connected, LiveSession
from gateway.sessions.provider import (
    ConnectionChanged,
    Delivery,
    Engine,
    Event,
    Provider,
    SessionSpec,
)

_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1.0, 60.0
_MAX_OPENING_AT_ONCE = 16  # a node that starts has thousands to open


@dataclass(slots=True, eq=False)
class Held:
    """A lease of ours, and the work of keeping its session open."""

    lease: Lease
    task: asyncio.Task[None] = field(init=False)
    giving: bool = False
    live: LiveSession | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    again: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Timeout | None = None

    def reopen(self) -> None:
        """Ends the session as soon as what it told is written, or the pause before the next one."""
        self.opened.clear()
        self.again.set()
        if self.waiting:
            self.waiting.reschedule(0)  # long past: at once
            self.waiting = None

    async def next(self, events: AsyncIterator[Delivery]) -> Delivery | None:
        """What the session tells next; None at its end, or when it is to be opened again."""
        if self.again.is_set():
            return None
        try:
            async with asyncio.timeout(None) as self.waiting:
                return await anext(events, None)
        except TimeoutError:
            if self.waiting:  # not ours
                raise
            return None
        finally:
            self.waiting = None


class Opener:
    """Holds sessions open.

    `connected` are those that may send now; `listeners` hear of every event once it is written
    down.
    """

    def __init__(
        self,
        *,
        leases: Leases,
        instances: Instances,
        inbound: Inbound,
        providers: Mapping[str, Provider],
        engines: Mapping[str, Engine],
        proxy_of: Callable[[Instance], Proxy | None],
        settings_of: Callable[[Instance], Mapping[str, Any]],
        clock: Clock,
    ) -> None:
        """Takes nothing before it holds.

        Args:
            leases: this node's.
            instances: finds settings.
            inbound: takes what sessions tell.
            providers: by name.
            engines: by the same names.
            proxy_of: decrypts; an instance whose proxy it cannot read stays disconnected.
            settings_of: decrypts the provider settings; an instance whose secret settings it
                cannot read stays disconnected.
            clock: time.
        """
        self._settings_of = settings_of
        self._proxy_of = proxy_of
        self._leases, self._instances, self._inbound = leases, instances, inbound
        self._providers, self._engines, self._clock = providers, engines, clock
        self._openings = asyncio.Semaphore(_MAX_OPENING_AT_ONCE)
        self.connected = Connected()
        self.after_opening: Callable[[str], None] = lambda _instance_id: None
        self.listeners: list[Callable[[Instance, Event], None]] = []

    async def hold(self, held: Held) -> None:
        """Until it is canceled; a session that fails or ends is opened again after a pause."""
        instance_id, pause = held.lease.instance_id, _MIN_PAUSE_SECONDS
        try:
            while True:
                try:
                    if await self._keep_open(held):
                        pause = _MIN_PAUSE_SECONDS
                except DatabaseUnavailable as error:
                    logger.warning(
                        "session_waits_for_database",
                        instance_id=instance_id,
                        error=str(error),
                    )
                except Exception as error:  # noqa: BLE001 - one session must not end the others
                    report_error(error, component="session", instance_id=instance_id)
                self.connected.remove(instance_id)
                if await self._clock.wait(held.again, pause):
                    held.again.clear()
                    pause = _MIN_PAUSE_SECONDS
                    continue
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)
        finally:
            self.connected.remove(instance_id)

    async def _keep_open(self, held: Held) -> bool:
        """Runs one session to its end; says whether it was ever open."""
        lease = held.lease
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
            held.live = LiveSession(
                instance, lease.epoch, session, provider.can_repeat_send, self._leases, self._clock
            )
            held.again.clear()
            held.opened.set()
            self.after_opening(instance.id)  # it may have changed since it was looked up
            try:
                await self._read(held, held.live)
            finally:
                held.live.closed = True
                held.live = None
                held.opened.clear()
        return True

    async def _read(self, held: Held, live: LiveSession) -> None:
        events = live.session.events()
        async with self._inbound.listening(live) as intake:
            while delivery := await held.next(events):
                await intake.take(delivery)
                self._follow(held, live, delivery.event)
                for hear in self.listeners:
                    hear(live.instance, delivery.event)
                await delivery.acknowledge()

    def _follow(self, held: Held, live: LiveSession, event: Event) -> None:
        if not isinstance(event, ConnectionChanged):
            return
        if event.state is ConnectionState.CONNECTED and not held.giving:
            self.connected.add(live)
        else:
            self.connected.remove(live.instance.id)
        logger.info("connection_changed", instance_id=live.instance.id, state=event.state.value)
