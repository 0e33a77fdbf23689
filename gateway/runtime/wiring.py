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
from gateway.database.embedded import EmbeddedPostgres
from gateway.database.migrations import migrate, missing_migrations
from gateway.database.notifications import Notifications
from gateway.database.pool import Database, url_for_others
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import DatabaseUnavailable, Unavailable
from gateway.instances.creation import Registry
from gateway.instances.store import Instances
from gateway.instances.tokens import TokenVault
from gateway.media.pictures import Pictures
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.providers import load_provider
from gateway.randomness import RandomBuffer
from gateway.runtime.callbacks import build_callbacks
from gateway.runtime.demo import ensure_demo
from gateway.runtime.gauges import Gauges, LoopProbe
from gateway.runtime.gc_tuning import freeze_startup_objects
from gateway.runtime.http_server import HttpServer
from gateway.runtime.media import Media
from gateway.runtime.node_context import NodeContext
from gateway.runtime.operation_wiring import build_services
from gateway.runtime.provider_selection import enabled_providers
from gateway.runtime.queue import build_queue
from gateway.runtime.secret import secrets_of
from gateway.runtime.sessions import build_sessions
from gateway.runtime.supervisor import Stage, Supervisor
from gateway.sessions.provider import Engine, ProviderContext
from gateway.sessions.relay import RelayReceiver
from gateway.settings import Settings

_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 1.0
_MAX_HOST_NAME_LENGTH = 30
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_FIRST = (None, 1)  # who does for all workers what is done once


class Gateway:
    """One process of the gateway; it listens from the moment it is made."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        announce: Callable[[str], None] = lambda _text: None,
        worker: int | None = None,
        clock: Clock | None = None,
        randomness: random.Random | None = None,
    ) -> None:
        """Binds its ports.

        Args:
            settings: everything read from the environment.
            environment: for providers, which read their own.
            announce: shows the operator a text.
            worker: its number, from 1, among the processes of one parent; None without a parent.
            clock: time.
            randomness: for pauses.
        """
        self._settings, self._environment, self._announce = settings, environment, announce
        self._role, self._worker = settings.role, worker
        self._clock = clock or Clock()
        self._random = randomness or random.SystemRandom()
        self._services: Services | None = None
        self._media: Media | None = None
        self._checks: dict[str, Check] = {"startup": self._still_starting}
        self._phase = "starting"
        self._metrics = Metrics(by_instance=settings.metrics_by_instance)
        self._app = build_app(
            catalogue=catalogue(),
            services=lambda: self._services,
            checks=lambda: self._checks,
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
            build_internal_app(
                self._metrics, Readiness(lambda: self._checks), lambda: self._relay_receiver
            ),
            host=settings.internal_host,
            port=_internal_port(settings, worker),
            drain_seconds=settings.drain_seconds,
            variable="GATEWAY_INTERNAL_PORT",
        )

    @property
    def base_url(self) -> str:
        return url_of(self._settings.host, self._http.port if self._http else self._settings.port)

    async def start(self, supervisor: Supervisor) -> None:
        """Starts everything, from the bottom up; the HTTP edge first of all, not ready yet."""
        if self._http:
            supervisor.start(Stage.EDGES, {"http": self._http})
        supervisor.start(Stage.DATABASE, {"internal http": self._internal_http})
        url = await self._postgres(supervisor)
        await self._migrate(self._settings.direct_database_url or url)
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
        self._media = Media.build(
            self._settings,
            database,
            self._clock,
            base_url=self.base_url,
            secrets=secrets,
        )
        supervisor.start(Stage.BATCHES, {"media": self._media})
        engines = self._engines(database, notifications, self._media.pictures, url)
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
            vault=TokenVault(secrets, os.urandom),
            secrets=secrets,
            node_id=self._node_id(),
            internal_address=self._internal_address(),
        )
        callbacks = build_callbacks(node)
        sessions = build_sessions(node, callbacks.notifier)
        queue = build_queue(node, sessions, callbacks.notifier)
        self._services = build_services(node, callbacks, sessions, queue)
        self._relay_receiver = sessions.relay_receiver
        supervisor.start(Stage.DATABASE, {"notifications": notifications})
        gauges = Gauges(database, self._metrics, self._clock)
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
        if self._settings.database_url:
            return self._settings.database_url
        self._phase = "starting the embedded Postgres"
        embedded = EmbeddedPostgres(self._settings.data_dir / "postgres")
        await embedded.start()
        supervisor.start(Stage.POSTGRES, {"postgres": embedded})
        return embedded.url

    async def _migrate(self, url: str) -> None:
        while True:
            self._phase = "migrating the database"
            try:
                for migration in await migrate(url):
                    logger.info("migrated", number=migration.number, name=migration.name)
            except DatabaseUnavailable as error:
                self._phase = "waiting for the database"
                logger.warning("waiting_for_database", error=str(error))
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                return

    def _engines(
        self, database: Database, notifications: Notifications, pictures: Pictures, url: str
    ) -> dict[str, Engine]:
        return {
            name: load_provider(name).start(
                ProviderContext(
                    environment=self._environment,
                    data_dir=self._settings.data_dir,
                    clock=self._clock,
                    store=PostgresProviderStore(database, notifications, room=name),
                    database_url=url_for_others(url, schema=name),
                    picture=pictures.jpeg,
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
        if host in _EVERY_ADDRESS:
            host = socket.getfqdn()
        return settings.internal_address or url_of(host, self._internal_http.port)

    async def _welcome(self, database: Database) -> None:
        if self._settings.env != "development" or self._worker not in _FIRST:
            return
        vault = TokenVault(secrets_of(self._settings, os.urandom), os.urandom)
        demo = await ensure_demo(
            Registry(database, vault, os.urandom), self._settings.data_dir, self.base_url
        )
        self._announce(demo.as_welcome())

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
        missing = await missing_migrations(database)
    except DatabaseUnavailable as error:
        return str(error)
    return f"{missing} migrations are missing: run `gateway migrate`" if missing else None


async def _answers(database: Database) -> str | None:
    try:
        await database.ping()
    except DatabaseUnavailable as error:
        return str(error)
    return None
