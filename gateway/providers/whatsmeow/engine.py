"""One engine per process: opens sessions, and holds every child to its lease."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Router

from gateway.observability.error_reports import report_error
from gateway.providers.whatsmeow.messages import sends
from gateway.providers.whatsmeow.operations import operations
from gateway.providers.whatsmeow.process import Children
from gateway.providers.whatsmeow.session import WhatsmeowSession
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store
from gateway.providers.whatsmeow.surrounding import Surrounding
from gateway.sessions.provider import Authorise, Ingress, Seat, Session, Surroundings

_TICK_SECONDS = 1.0
_DAY_SECONDS = 86_400.0


class WhatsmeowEngine:
    """Part of the service."""

    def __init__(self, surroundings: Surroundings, settings: WhatsmeowSettings) -> None:
        self._clock = surroundings.clock
        folder = (surroundings.data_dir / "whatsmeow").absolute()
        self._children = Children(
            surroundings.environment,
            folder,
            instances_per_process=settings.instances_per_process,
            starts_at_once=settings.starts_at_once,
            inherited=surroundings.inherited,
        )
        self._store = Store(surroundings.store, self._clock)
        self._around = Surrounding(
            self._children,
            self._store,
            settings,
            self._clock,
            folder,
            surroundings.database_url,
            surroundings.picture,
            surroundings.metrics,
        )
        self._seats: dict[str, Seat] = {}

    @asynccontextmanager
    async def open_session(self, seat: Seat) -> AsyncIterator[Session]:
        session = WhatsmeowSession(seat, self._around, sends=sends, operations=operations)
        self._seats[seat.instance_id] = seat
        upkeep = asyncio.create_task(
            session.upkeep.run(), name=f"whatsmeow session {seat.instance_id}"
        )
        upkeep.add_done_callback(lambda _ended: session.close())
        try:
            yield session
        finally:
            session.close()
            upkeep.cancel()
            await asyncio.wait({upkeep})
            if not upkeep.cancelled() and (error := upkeep.exception()):
                report_error(error, component="whatsmeow", instance_id=seat.instance_id)
            if self._seats.get(seat.instance_id) is seat:
                del self._seats[seat.instance_id]

    def ingress(self, authorise: Authorise) -> Ingress:
        """WhatsApp never calls us."""
        del authorise
        return Router()

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            # Apart: without a database it waits, and leases must be kept to all the same.
            forgetting = group.create_task(self._forget_daily())
            while not await self._clock.wait(stopping, _TICK_SECONDS):
                self._children.hold_to(self._deadline, self._clock.monotonic_seconds())
            forgetting.cancel()
        await self._children.end()

    async def _forget_daily(self) -> None:
        while True:
            await self._store.forget_what_is_old()
            await self._clock.sleep(_DAY_SECONDS)

    def _deadline(self, instance_id: str) -> float:
        seat = self._seats.get(instance_id)
        return seat.may_act_until() if seat else 0.0
