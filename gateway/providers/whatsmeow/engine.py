"""The engine: opens sessions, and ends every child process whose leases have lapsed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Router

from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.providers.whatsmeow.children import Children
from gateway.providers.whatsmeow.client_context import ClientContext
from gateway.providers.whatsmeow.key_files import delete_orphaned_key_files
from gateway.providers.whatsmeow.library_pool import library_pool_options
from gateway.providers.whatsmeow.opening import LibraryTables
from gateway.providers.whatsmeow.session import WhatsmeowSession
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store
from gateway.sessions.provider import Authorise, Ingress, ProviderContext, Session, SessionSpec
from gateway.whatsapp_web.messages import sends
from gateway.whatsapp_web.operations import operations

_TICK_SECONDS = 0.5
_DAY_SECONDS = 86_400.0


class WhatsmeowEngine:
    """Runs the sessions of this process in child processes."""

    def __init__(self, provider_context: ProviderContext, settings: WhatsmeowSettings) -> None:
        self._clock = provider_context.clock
        folder = (provider_context.data_dir / "whatsmeow").absolute()
        self._children = Children(
            provider_context.environment,
            folder,
            instances_per_process=settings.instances_per_process,
            starts_at_once=settings.starts_at_once,
            inherited=provider_context.inherited,
        )
        self._store = Store(provider_context.store, self._clock)
        self._pool = (
            provider_context.library_pool(library_pool_options(settings, folder))
            if settings.keys == "postgres"
            else None
        )
        self._context = ClientContext(
            self._children,
            self._store,
            settings,
            self._clock,
            folder,
            self._pool,
            LibraryTables(are_shared=self._pool is not None),
            provider_context.picture,
            provider_context.metrics,
        )
        self._specs: dict[str, SessionSpec] = {}

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[Session]:
        session = WhatsmeowSession(spec, self._context, sends=sends, operations=operations)
        self._specs[spec.instance_id] = spec
        supervisor = asyncio.create_task(
            session.supervisor.run(), name=f"whatsmeow session {spec.instance_id}"
        )
        supervisor.add_done_callback(lambda _ended: session.close())
        try:
            yield session
        finally:
            session.close()
            supervisor.cancel()
            await asyncio.wait({supervisor})
            if not supervisor.cancelled() and (error := supervisor.exception()):
                report_error(error, component="whatsmeow", instance_id=spec.instance_id)
            if self._specs.get(spec.instance_id) is spec:
                del self._specs[spec.instance_id]

    def ingress(self, authorise: Authorise) -> Ingress:
        """Has no route: WhatsApp does not call the gateway."""
        del authorise
        return Router()

    async def run_until(self, stopping: asyncio.Event) -> None:
        children_ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            if self._pool:
                group.create_task(self._pool.run_until(children_ended))
            # A task of its own: it waits while the database is away, and deadlines must not.
            deleting = group.create_task(self._delete_expired_daily())
            while not await self._clock.wait(stopping, _TICK_SECONDS):
                self._children.enforce_deadlines(self._deadline, self._clock.monotonic_seconds())
            deleting.cancel()
            await self._children.end()
            children_ended.set()

    async def _delete_expired_daily(self) -> None:
        while True:
            await self._store.delete_expired()
            owners = await self._store.key_file_owners() | self._specs.keys()
            deleted = await asyncio.to_thread(
                delete_orphaned_key_files, self._context.folder, owners, self._clock.now()
            )
            for instance_id in deleted:
                logger.info("key_file_deleted", instance_id=instance_id)
            await self._clock.sleep(_DAY_SECONDS)

    def _deadline(self, instance_id: str) -> float:
        spec = self._specs.get(instance_id)
        return spec.may_act_until() if spec else 0.0
