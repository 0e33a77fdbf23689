"""One pump for all sessions of this process.

                       +--> session's queue --> events() --> acknowledge: the row goes
sandbox.events --> pump
                       ^ sleeps until: the nearest due row, a signal from another node,
                         something a session did here, or half a minute
"""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Router

from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.providers.sandbox.control import control_routes
from gateway.providers.sandbox.entities import Entities
from gateway.providers.sandbox.messages import sends
from gateway.providers.sandbox.operations import operations
from gateway.providers.sandbox.people import People
from gateway.providers.sandbox.session import ClientContext, SandboxSession
from gateway.providers.sandbox.settings import SandboxSettings
from gateway.providers.sandbox.world import DueEvent, World
from gateway.randomness import RandomBytes, Uniform
from gateway.sessions.provider import Authorise, Ingress, ProviderContext, Session, SessionSpec
from gateway.wakeups import waking

_REST_SECONDS = 30.0
_GAP_SECONDS = 0.05
_PAUSE_AFTER_TROUBLE_SECONDS = 1.0
_FORGET_EVERY_SECONDS = 3_600.0
_MAX_AT_ONCE = 1_000
_EVERYTHING = ""
_UNIFORM: Uniform = secrets.SystemRandom().uniform


class SandboxEngine:
    """Part of the service."""

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
        self._context = ClientContext(
            self._world,
            Entities(self._store),
            settings,
            self._clock,
            uniform,
            random_bytes,
            self._look_within,
            sends,
            operations,
        )
        self._name = random_bytes(16).hex()
        self._openings = itertools.count(1)
        self._open: dict[str, SandboxSession] = {}
        self._left: set[str] = set()
        """Instances we closed that still have events: ours by name until another opens them."""
        self._look_at = 0.0
        self._wakeup = asyncio.Event()

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[Session]:
        phone = await self._world.take_seat(
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
            self._left.discard(spec.instance_id)
            self._look_within(0)
        try:
            yield session
        finally:
            session.close()
            if self._open.get(spec.instance_id) is session:
                del self._open[spec.instance_id]

    def ingress(self, authorise: Authorise) -> Ingress:
        """The routes by which people steer the simulation."""
        people = People(self._store, self._random_bytes)
        return Router(control_routes(people, authorise, self._clock), redirect_slashes=False)

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks, waking(self._wakeup, when=stopping):
            listening = tasks.create_task(self._listen(), name="sandbox signals")
            tasks.create_task(self._forget(stopping), name="sandbox retention")
            await self._pump(stopping)
            listening.cancel()

    async def _pump(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            if (seconds := self._look_at - self._clock.monotonic_seconds()) > 0:
                await self._clock.wait(self._wakeup, seconds)
                self._wakeup.clear()
                continue
            self._look_at = self._clock.monotonic_seconds() + _REST_SECONDS
            try:
                await self._hand_out()
            except DatabaseUnavailable as error:
                logger.warning("sandbox_waits_for_database", error=str(error))
                await self._clock.wait(stopping, _PAUSE_AFTER_TROUBLE_SECONDS)
                self._look_within(0)
            else:
                # What many sessions do at once is looked for once.
                await self._clock.wait(stopping, _GAP_SECONDS)

    async def _hand_out(self) -> None:
        sessions = self._open.values()
        shut = [s.spec.instance_id for s in sessions if not s.can_take()]
        if shut:
            self._look_within(_PAUSE_AFTER_TROUBLE_SECONDS)
        due, next_seconds = await self._world.due(
            self._name,
            in_hand=[event_id for session in sessions for event_id in session.in_hand],
            passed_over=[*self._left, *shut],
            max_count=_MAX_AT_ONCE,
        )
        if next_seconds is not None:
            self._look_within(next_seconds)
        if len(due) >= _MAX_AT_ONCE:
            self._look_within(0)
        for event in due:
            await self._hand_on(event)

    async def _forget(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self._world.forget_what_is_old()
            except DatabaseUnavailable as error:
                logger.warning("sandbox_forgets_later", error=str(error))
            await self._clock.wait(stopping, _FORGET_EVERY_SECONDS)

    async def _hand_on(self, event: DueEvent) -> None:
        session = self._open.get(event.instance_id)
        if session is None:
            self._left.add(event.instance_id)
        elif not session.tell(event):
            await self._world.forget(event.instance_id, (event.id,))

    def _look_within(self, seconds: float) -> None:
        at = self._clock.monotonic_seconds() + seconds
        if at < self._look_at:
            self._look_at = at
            self._wakeup.set()

    async def _listen(self) -> None:
        async with self._store.signals() as signals:
            async for instance_id in signals:
                if instance_id == _EVERYTHING or instance_id in self._open:
                    self._look_within(0)
