"""Builds everything once; the only module that names concrete classes."""

import os
import random
import socket
from collections.abc import Callable, Mapping

from gateway.api.app import build_app
from gateway.api.docs import docs_routes
from gateway.api.endpoints import Services
from gateway.api.health import Check, Readiness
from gateway.api.internal import build_internal_app, metrics_route
from gateway.api.media import media_route
from gateway.api.provider_ingress import authorise_control
from gateway.api.provider_table import provider_route, provider_table
from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.database.functions import missing_functions
from gateway.database.library_url import library_url_of
from gateway.database.migrations import migrate, missing_migrations
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import DatabaseUnavailable, Unavailable
from gateway.instances.base_urls import BaseUrls
from gateway.instances.creation import Registry
from gateway.instances.store import Instances
from gateway.instances.tokens import TokenVault
from gateway.media.pictures import Pictures
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.providers import load_provider
from gateway.randomness import RandomBuffer
from gateway.runtime.callbacks import build_callbacks
from gateway.runtime.data_dir import data_dir_errors_named
from gateway.runtime.demo import ensure_demo
from gateway.runtime.development import leave_development_settings
from gateway.runtime.gauges import Gauges, LoopProbe
from gateway.runtime.gc_tuning import freeze_startup_objects
from gateway.runtime.http_server import HttpServer
from gateway.runtime.media import Media
from gateway.runtime.node_context import NodeContext
from gateway.runtime.operation_wiring import build_services
from gateway.runtime.postgres import embedded_postgres
from gateway.runtime.progress import Progress
from gateway.runtime.provider_selection import enabled_providers
from gateway.runtime.public_url import public_url_warning
from gateway.runtime.queue import build_queue
from gateway.runtime.secret import secrets_of
from gateway.runtime.secret_check import require_secret_that_fits
from gateway.runtime.sessions import build_sessions
from gateway.runtime.supervisor import Stage, Supervisor
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.provider import Engine, ProviderContext
from gateway.sessions.relay import RelayReceiver
from gateway.settings import Settings

_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 1.0
_MAX_HOST_NAME_LENGTH = 30
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
_FIRST = (None, 1)  # who does for all workers what is done once


class Gateway:
    """One process of the gateway; it listens from the moment it is made."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        announce: Callable[[str], None] = lambda _text: None,
        progress: Progress | None = None,
        worker: int | None = None,
        clock: Clock | None = None,
        randomness: random.Random | None = None,
    ) -> None:
        """Binds its ports.

        Args:
            settings: everything read from the environment.
            environment: for providers, which read their own.
            announce: shows the operator a text.
            progress: reports the steps of the start; by default to the log.
            worker: its number, from 1, among the processes of one parent; None without a parent.
            clock: time.
            randomness: for pauses.
        """
        self._settings, self._environment, self._announce = settings, environment, announce
        self._role, self._worker = settings.role, worker
        self._progress = progress or Progress()
        self._clock = clock or Clock()
        self._random = randomness or random.SystemRandom()
        self._services: Services | None = None
        self._media: Media | None = None
        self._checks: dict[str, Check] = {"startup": self._still_starting}
        self._phase = "starting"
        self._metrics = Metrics(by_instance=settings.metrics_by_instance)
        warning = public_url_warning(settings)
        readiness = Readiness(
            lambda: self._checks, warnings={"public URL": warning} if warning else {}
        )
        if warning and worker in _FIRST:
            logger.warning("public_url_missing", consequence=warning, host=settings.host)
        self._app = build_app(
            catalogue=catalogue(),
            services=lambda: self._services,
            readiness=readiness,
            settings=settings,
            clock=self._clock,
            random_bytes=RandomBuffer(os.urandom),
            metrics=self._metrics,
            further_routes=[
                media_route(lambda: self._media.media_context if self._media else None),
                provider_route(self._provider_table),
                *([metrics_route(self._metrics)] if settings.metrics_on_public else ()),
                *(docs_routes() if settings.docs else ()),
            ],
        )
        self._http = (
            HttpServer(
                self._app,
                host=settings.host,
                port=settings.port,
                drain_seconds=settings.drain_seconds,
                shared=worker is not None,
            )
            if self._role.serves
            else None
        )
        self._relay_receiver: RelayReceiver | None = None
        self._internal_http = HttpServer(
            build_internal_app(self._metrics, readiness, lambda: self._relay_receiver),
            host=settings.internal_host,
            port=_internal_port(settings, worker),
            drain_seconds=settings.drain_seconds,
            variable="GATEWAY_INTERNAL_PORT",
        )

    @property
    def base_url(self) -> str:
        """Where this machine reaches the gateway, also when it listens on every address."""
        host = _LOOPBACK_OF.get(self._settings.host, self._settings.host)
        return url_of(host, self._http.port if self._http else self._settings.port)

    async def start(self, supervisor: Supervisor) -> None:
        """Starts everything, from the bottom up; the HTTP edge first of all, not ready yet."""
        if self._http:
            supervisor.start(Stage.EDGES, {"http": self._http})
        supervisor.start(Stage.DATABASE, {"internal http": self._internal_http})
        url = await self._postgres(supervisor)
        await self._prepare_database(url)
        database = Database(
            url,
            max_size=self._settings.database_pool_size,
            prepare=self._settings.prepares_statements(),
        )
        await database.open()
        supervisor.start(Stage.DATABASE, {"database": database})
        notifications = Notifications(self._settings.direct_database_url or url, self._clock)
        instances = Instances(database)
        instances.listen(notifications)
        secrets = secrets_of(self._settings, os.urandom)
        base_urls = BaseUrls(
            database,
            self._clock,
            public_url=self._settings.public_url,
            fallback=self.base_url,
        )
        self._media = Media.build(
            self._settings,
            database,
            self._clock,
            base_url_of=base_urls.find,
            secrets=secrets,
        )
        supervisor.start(Stage.BATCHES, {"media": self._media})
        node_id = self._node_id()
        lock = NodeLock(self._settings.data_dir / "nodes", node_id)
        engines = self._engines(database, notifications, self._media.pictures, url, lock)
        node = NodeContext(
            settings=self._settings,
            supervisor=supervisor,
            clock=self._clock,
            uniform=self._random.uniform,
            metrics=self._metrics,
            database=database,
            notifications=notifications,
            instances=instances,
            engines=engines,
            media=self._media,
            base_urls=base_urls,
            vault=TokenVault(secrets, os.urandom),
            secrets=secrets,
            node_id=node_id,
            node_lock=lock,
            internal_address=self._internal_address(),
        )
        callbacks = build_callbacks(node)
        sessions = build_sessions(node, callbacks.notifier)
        queue = build_queue(node, sessions, callbacks.notifier)
        self._services = build_services(node, callbacks, sessions, queue)
        self._relay_receiver = sessions.relay_receiver
        supervisor.start(Stage.DATABASE, {"notifications": notifications})
        gauges = Gauges(
            database,
            self._metrics,
            self._clock,
            pace_max_seconds=self._settings.pace_max_seconds,
        )
        self._metrics.watch_pool(database.pool.get_stats)
        supervisor.start(
            Stage.SENDERS, {"gauges": gauges, "loop probe": LoopProbe(self._metrics, self._clock)}
        )
        await self._welcome(database)
        self._checks = {
            "postgres": lambda: _answers(database),
            "migrations": lambda: _migrated(database),
            "queue lag": gauges.queue_lag,
            "outbox lag": gauges.outbox_lag,
            "media storage": self._media.store.complaint,
        }
        self._mount_providers(engines, instances)
        freeze_startup_objects()
        logger.info("ready", address=self.base_url)

    async def _postgres(self, supervisor: Supervisor) -> str:
        if self._worker is None:  # else the parent did
            leave_development_settings(self._settings)
        if self._settings.database_url:
            return self._settings.database_url
        self._phase = "starting the embedded Postgres"
        embedded = embedded_postgres(self._settings, self._progress)
        await embedded.start()
        supervisor.start(Stage.POSTGRES, {"postgres": embedded})
        return embedded.url

    async def _prepare_database(self, url: str) -> None:
        """Waits for Postgres, migrates it, and refuses a secret that does not fit what it holds."""
        direct_url, reported = self._settings.direct_database_url or url, ""
        while True:
            self._phase = "migrating the database"
            try:
                applied = await migrate(direct_url, announce=self._progress.migrations_started)
                await require_secret_that_fits(self._settings, url)
            except DatabaseUnavailable as error:
                self._phase = "waiting for the database"
                if (reason := str(error)) != reported:
                    self._progress.database_awaited(reason)
                    reported = reason
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                break
        if reported:
            self._progress.database_answered()
        self._progress.migrations_applied(applied)

    def _engines(
        self,
        database: Database,
        notifications: Notifications,
        pictures: Pictures,
        url: str,
        lock: NodeLock,
    ) -> dict[str, Engine]:
        return {
            name: load_provider(name).start(
                ProviderContext(
                    environment=self._environment,
                    data_dir=self._settings.data_dir,
                    clock=self._clock,
                    store=PostgresProviderStore(database, notifications, provider=name),
                    # A library's sessions set parameters, which no transaction pooler passes on.
                    database_url=library_url_of(
                        self._settings.direct_database_url or url, schema=name
                    ),
                    picture=pictures.jpeg,
                    inherited=lock.inherited,
                    metrics=self._metrics,
                )
            )
            for name in enabled_providers(self._settings)
        }

    def _node_id(self) -> str:
        host = socket.gethostname()[:_MAX_HOST_NAME_LENGTH]
        port = (self._http or self._internal_http).port
        name = self._settings.node_name or f"{host}:{port}"
        return f"{name}/{self._worker}" if self._worker else name

    def _internal_address(self) -> str:
        """Where other nodes reach our internal listener."""
        settings = self._settings
        host = settings.internal_host
        if host in _LOOPBACK_OF:
            host = socket.getfqdn()
        return settings.internal_address or url_of(host, self._internal_http.port)

    async def _welcome(self, database: Database) -> None:
        if self._settings.env != "development" or self._worker not in _FIRST:
            return
        vault = TokenVault(secrets_of(self._settings, os.urandom), os.urandom)
        registry = Registry(database, vault, os.urandom)
        while True:
            try:
                with data_dir_errors_named(self._settings.data_dir):
                    demo = await ensure_demo(registry, self._settings.data_dir, self.base_url)
            except DatabaseUnavailable as error:
                logger.warning("database_unavailable", component="demo", error=str(error))
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                break
        self._announce(demo.as_welcome(docs=self._settings.docs))

    def _mount_providers(self, engines: Mapping[str, Engine], instances: Instances) -> None:
        authorise = authorise_control(lambda: instances)
        for name, engine in engines.items():
            self._app.router.mount(f"/{name}", engine.ingress(authorise))

    def _provider_table(self) -> Mapping[str, object]:
        if self._services is None:
            raise Unavailable("The gateway is starting")
        *rooms, _session = self._services.answers
        return provider_table(
            catalogue(),
            {name: load_provider(name).supports for name in enabled_providers(self._settings)},
            lambda operation: any(room.supports(operation) for room in rooms),
        )

    async def _still_starting(self) -> str | None:
        return self._phase


def _internal_port(settings: Settings, worker: int | None) -> int:
    """Each worker has the next; 0 stays any free one."""
    first = settings.internal_port
    return first and first + (worker or 1) - 1


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _migrated(database: Database) -> str | None:
    try:
        if missing := await missing_migrations(database):
            return f"{missing} migrations are missing: run `gateway migrate`"
        async with database.connection() as connection:
            names = await missing_functions(connection)
    except DatabaseUnavailable as error:
        return str(error)
    if names:
        return f"SQL functions are missing ({', '.join(names)}): run `gateway migrate`"
    return None


async def _answers(database: Database) -> str | None:
    try:
        await database.ping()
    except DatabaseUnavailable as error:
        return str(error)
    return None
