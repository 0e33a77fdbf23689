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
from gateway.database.functions import SqlFunction, missing_functions
from gateway.database.migrations import Migration, migrate, missing_migrations
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
from gateway.random import Stock
from gateway.runtime.callbacks import build_callbacks
from gateway.runtime.demo import ensure_demo
from gateway.runtime.garbage import spare_the_collector
from gateway.runtime.gauges import Gauges, LoopProbe
from gateway.runtime.ground import Ground
from gateway.runtime.http_server import HttpServer
from gateway.runtime.media import Media
from gateway.runtime.offer import offered_providers
from gateway.runtime.queue import build_queue
from gateway.runtime.rooms import build_services
from gateway.runtime.secret import secrets_of
from gateway.runtime.sessions import build_sessions
from gateway.runtime.stages import Floor, Stages
from gateway.sessions.provider import Engine, Surroundings
from gateway.sessions.relay import RelayDesk
from gateway.settings import Settings

_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 1.0
_LONGEST_HOST_NAME = 30
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
            random_bytes=Stock(os.urandom),
            metrics=self._metrics,
            further_routes=[
                media_route(lambda: self._media.shelf if self._media else None),
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
        self._relay_desk: RelayDesk | None = None
        self._internal_http = HttpServer(
            build_internal_app(
                self._metrics, Readiness(lambda: self._checks), lambda: self._relay_desk
            ),
            host=settings.internal_host,
            port=_internal_port(settings, worker),
            drain_seconds=settings.drain_seconds,
            variable="GATEWAY_INTERNAL_PORT",
        )

    @property
    def base_url(self) -> str:
        return url_of(self._settings.host, self._http.port if self._http else self._settings.port)

    async def start(self, stages: Stages) -> None:
        """Starts everything, from the bottom up; the HTTP edge first of all, not ready yet."""
        if self._http:
            stages.start(Floor.EDGES, {"http": self._http})
        stages.start(Floor.DATABASE, {"internal http": self._internal_http})
        url = await self._postgres(stages)
        await self._migrate(self._settings.direct_database_url or url)
        database = Database(
            url,
            max_size=self._settings.database_pool_size,
            prepare=self._settings.prepares_statements(),
        )
        await database.open()
        stages.start(Floor.DATABASE, {"database": database})
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
        stages.start(Floor.BATCHES, {"media": self._media})
        engines = self._engines(database, notifications, self._media.pictures, url)
        ground = Ground(
            settings=self._settings,
            stages=stages,
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
        callbacks = build_callbacks(ground)
        sessions = build_sessions(ground, callbacks.told)
        queue = build_queue(ground, sessions, callbacks.told)
        self._services = build_services(ground, callbacks, sessions, queue)
        self._relay_desk = sessions.relay_desk
        stages.start(Floor.DATABASE, {"notifications": notifications})
        gauges = Gauges(database, self._metrics, self._clock)
        self._metrics.watch_pool(database.pool.get_stats)
        stages.start(
            Floor.SENDERS, {"gauges": gauges, "loop probe": LoopProbe(self._metrics, self._clock)}
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
        spare_the_collector()
        logger.info("ready", address=self.base_url)

    async def _postgres(self, stages: Stages) -> str:
        if self._settings.database_url:
            return self._settings.database_url
        self._phase = "starting the embedded Postgres"
        embedded = EmbeddedPostgres(self._settings.data_dir / "postgres")
        await embedded.start()
        stages.start(Floor.POSTGRES, {"postgres": embedded})
        return embedded.url

    async def _migrate(self, url: str) -> None:
        while True:
            self._phase = "migrating the database"
            try:
                for applied in await migrate(url):
                    _log_applied(applied)
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
                Surroundings(
                    environment=self._environment,
                    data_dir=self._settings.data_dir,
                    clock=self._clock,
                    store=PostgresProviderStore(database, notifications, room=name),
                    database_url=url_for_others(url, schema=name),
                    picture=pictures.jpeg,
                    metrics=self._metrics,
                )
            )
            for name in offered_providers(self._settings)
        }

    def _node_id(self) -> str:
        host = socket.gethostname()[:_LONGEST_HOST_NAME]
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
            {name: load_provider(name).supports for name in offered_providers(self._settings)},
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


def _log_applied(applied: Migration | SqlFunction) -> None:
    if isinstance(applied, Migration):
        logger.info("migrated", number=applied.number, name=applied.name)
    else:
        logger.info("sql_function_created", name=applied.name)


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
