"""One delivery loop for all sessions of this process.

                       +--> session's queue --> events() --> acknowledge: the row is deleted
sandbox.events --> loop
                       ^ sleeps until: the nearest due row, a signal from another node,
                         something a session did here, or half a minute
"""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Router

from gateway.periodic_loop import PeriodicLoop
from gateway.providers.sandbox.control import control_routes
from gateway.providers.sandbox.entities import Entities
from gateway.providers.sandbox.messages import sends
from gateway.providers.sandbox.operations import operations
from gateway.providers.sandbox.people import People
from gateway.providers.sandbox.session import SandboxContext, SandboxSession
from gateway.providers.sandbox.settings import SandboxSettings
from gateway.providers.sandbox.world import DueEvent, World
from gateway.randomness import RandomBytes, Uniform
from gateway.sessions.provider import Authorise, Ingress, ProviderContext, Session, SessionSpec

_MAX_PAUSE_SECONDS = 30.0
_MIN_PAUSE_SECONDS = 0.05  # events of many sessions are read in one statement
_PAUSE_FOR_FULL_SESSIONS_SECONDS = 1.0
_DELETE_EXPIRED_EVERY_SECONDS = 3_600.0
_MAX_AT_ONCE = 1_000
_EVERY_INSTANCE = ""
_UNIFORM: Uniform = secrets.SystemRandom().uniform


class SandboxEngine:
    """Opens sessions, and delivers the events of the simulated phones to them."""

    def __init__(
        self,
        provider_context: ProviderContext,
        settings: SandboxSettings,
        *,
        uniform: Uniform = _UNIFORM,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store, self._clock = provider_context.store, provider_context.clock
        self._random_bytes = random_bytes
        self._world = World(self._store, random_bytes)
        self._context = SandboxContext(
            self._world,
            Entities(self._store),
            settings,
            self._clock,
            uniform,
            random_bytes,
            self._wake_within,
            sends,
            operations,
        )
        self._name = random_bytes(16).hex()
        self._openings = itertools.count(1)
        self._open: dict[str, SandboxSession] = {}
        self._without_session: set[str] = set()
        """Closed here, not yet opened elsewhere: this engine owns their events and skips them."""
        self._deliver_at = 0.0
        self._delivery = PeriodicLoop(
            "sandbox_events",
            self._deliver_when_due,
            self._clock,
            min_pause_seconds=_MIN_PAUSE_SECONDS,
        )
        self._retention = PeriodicLoop("sandbox_retention", self._delete_expired, self._clock)

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[Session]:
        phone = await self._world.open_phone(
            spec.instance_id,
            epoch=spec.epoch,
            holder=self._name,
            paired=spec.settings.get("paired") is True,
        )
        session = SandboxSession(
            spec, phone, self._context, f"opening-{self._name}-{next(self._openings)}"
        )
        if phone:
            self._open[spec.instance_id] = session
            self._without_session.discard(spec.instance_id)
            self._wake_within(0)
        try:
            yield session
        finally:
            session.close()
            if self._open.get(spec.instance_id) is session:
                del self._open[spec.instance_id]

    def ingress(self, authorise: Authorise) -> Ingress:
        """Returns the routes that control the simulation."""
        people = People(self._store, self._random_bytes)
        return Router(control_routes(people, authorise, self._clock), redirect_slashes=False)

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(), name="sandbox signals")
            tasks.create_task(self._retention.run_until(stopping), name="sandbox retention")
            await self._delivery.run_until(stopping)
            listening.cancel()

    async def _deliver_when_due(self) -> float:
        """Delivers if it is time; returns the seconds until it is."""
        now = self._clock.monotonic_seconds()
        if now >= self._deliver_at:
            self._deliver_at = now + _MAX_PAUSE_SECONDS
            try:
                await self._deliver_due()
            except Exception:
                self._deliver_at = now  # the loop retries
                raise
        # The loop adds its shortest pause.
        pause = self._deliver_at - self._clock.monotonic_seconds() - _MIN_PAUSE_SECONDS
        return max(0.0, pause)

    async def _deliver_due(self) -> None:
        sessions = self._open.values()
        full = [s.spec.instance_id for s in sessions if not s.has_capacity()]
        if full:
            self._wake_within(_PAUSE_FOR_FULL_SESSIONS_SECONDS)
        due, next_seconds = await self._world.due(
            self._name,
            in_flight=[event_id for session in sessions for event_id in session.in_flight],
            skipped=[*self._without_session, *full],
            max_count=_MAX_AT_ONCE,
        )
        if next_seconds is not None:
            self._wake_within(next_seconds)
        if len(due) >= _MAX_AT_ONCE:
            self._wake_within(0)
        for event in due:
            await self._deliver(event)

    async def _delete_expired(self) -> float:
        await self._world.delete_expired()
        return _DELETE_EXPIRED_EVERY_SECONDS

    async def _deliver(self, event: DueEvent) -> None:
        session = self._open.get(event.instance_id)
        if session is None:
            self._without_session.add(event.instance_id)
        elif not session.may_act():  # its lease lapsed while the events were read
            self._wake_within(_PAUSE_FOR_FULL_SESSIONS_SECONDS)
        elif not session.deliver(event):
            await self._world.delete_events(event.instance_id, (event.id,))

    def _wake_within(self, seconds: float) -> None:
        at = self._clock.monotonic_seconds() + seconds
        if at < self._deliver_at:
            self._deliver_at = at
            self._delivery.wake()

    async def _listen(self) -> None:
        async with self._store.signals() as signals:
            async for instance_id in signals:
                if instance_id == _EVERY_INSTANCE or instance_id in self._open:
                    self._wake_within(0)
