"""The engine: opens sessions, and ends every child process whose leases have lapsed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Router

from gateway.observability.error_reports import report_error
from gateway.providers.baileys.children import NodeChildren
from gateway.providers.baileys.client_context import BaileysContext
from gateway.providers.baileys.node_program import program_of
from gateway.providers.baileys.operations import operations
from gateway.providers.baileys.session import BaileysSession
from gateway.providers.baileys.settings import BaileysSettings
from gateway.providers.baileys.store import BaileysStore
from gateway.sessions.provider import Authorise, Ingress, ProviderContext, Session, SessionSpec
from gateway.whatsapp_web.messages import sends

_TICK_SECONDS = 0.5
_DAY_SECONDS = 86_400.0


class BaileysEngine:
    """Runs the sessions of this process in child processes."""

    def __init__(self, provider_context: ProviderContext, settings: BaileysSettings) -> None:
        self._clock = provider_context.clock
        self._children = NodeChildren(
            lambda: program_of(settings),
            provider_context.environment,
            self._clock,
            sessions_per_process=settings.sessions_per_process,
            check_seconds=settings.probe_seconds,
            answer_seconds=settings.probe_timeout_seconds,
            inherited=provider_context.inherited,
        )
        self._store = BaileysStore(provider_context.store, self._clock)
        self._context = BaileysContext(
            self._children,
            self._store,
            settings,
            self._clock,
            provider_context.picture,
            provider_context.metrics,
        )
        self._specs: dict[str, SessionSpec] = {}

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[Session]:
        session = BaileysSession(spec, self._context, sends=sends, operations=operations)
        self._specs[spec.instance_id] = spec
        supervisor = asyncio.create_task(
            session.supervisor.run(), name=f"baileys session {spec.instance_id}"
        )
        supervisor.add_done_callback(lambda _ended: session.close())
        try:
            yield session
        finally:
            session.close()
            supervisor.cancel()
            await asyncio.wait({supervisor})
            if not supervisor.cancelled() and (error := supervisor.exception()):
                report_error(error, component="baileys", instance_id=spec.instance_id)
            if self._specs.get(spec.instance_id) is spec:
                del self._specs[spec.instance_id]

    def ingress(self, authorise: Authorise) -> Ingress:
        """Has no route: WhatsApp does not call the gateway."""
        del authorise
        return Router()

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            # Tasks of their own: they wait while the database is away, and deadlines must not.
            others = [
                group.create_task(self._delete_expired_daily()),
                group.create_task(self._children.watch()),
            ]
            while not await self._clock.wait(stopping, _TICK_SECONDS):
                self._children.enforce_deadlines(self._deadline, self._clock.monotonic_seconds())
            for task in others:
                task.cancel()
        await self._children.end()

    async def _delete_expired_daily(self) -> None:
        while True:
            await self._store.delete_expired()
            await self._clock.sleep(_DAY_SECONDS)

    def _deadline(self, instance_id: str) -> float:
        spec = self._specs.get(instance_id)
        return spec.may_act_until() if spec else 0.0
