"""Builds everything once; the only module that names concrete classes."""

import os
import random
import socket
import uuid
from collections.abc import Callable, Collection, Mapping

from gateway.api.app import build_app
from gateway.api.endpoints import Services
from gateway.api.health import Check
from gateway.api.provider_ingress import authorise_control
from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.contract.handlers import Room
from gateway.database.embedded import EmbeddedPostgres
from gateway.database.migrations import migrate
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import DatabaseUnavailable
from gateway.history.store import History
from gateway.instances.creation import Registry
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import TokenVault
from gateway.observability.logging import logger
from gateway.providers import load_provider, provider_names
from gateway.runtime.demo import ensure_demo
from gateway.runtime.http_server import HttpServer
from gateway.runtime.part import Part
from gateway.runtime.secret import secrets_of
from gateway.runtime.stages import Floor, Stages
from gateway.send_queue import operations as queue_operations
from gateway.send_queue.claim import Claimer
from gateway.send_queue.coordinator import Coordinator
from gateway.send_queue.enqueue import Enqueuer, QueueLimits
from gateway.send_queue.operations import QueueDesk
from gateway.send_queue.outcome import Recorder, RetryPolicy
from gateway.send_queue.pacing import Backoff, Pace
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.schedule import Schedule
from gateway.send_queue.start import Starter
from gateway.send_queue.worker import Desk
from gateway.sessions.ask import Asker
from gateway.sessions.inbound import Inbound
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Leases
from gateway.sessions.provider import Engine, Surroundings
from gateway.settings import Settings

_RENEWALS_PER_LEASE = 3
_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 1.0
_LONGEST_HOST_NAME = 30


class Gateway:
    """One process of the gateway; it listens from the moment it is made."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        announce: Callable[[str], None] = lambda _text: None,
        clock: Clock | None = None,
        randomness: random.Random | None = None,
    ) -> None:
        self._settings, self._environment, self._announce = settings, environment, announce
        self._clock = clock or Clock()
        self._random = randomness or random.SystemRandom()
        self._services: Services | None = None
        self._checks: dict[str, Check] = {"startup": self._still_starting}
        self._phase = "starting"
        self._app = build_app(
            catalogue=catalogue(),
            services=lambda: self._services,
            checks=lambda: self._checks,
            settings=settings,
            clock=self._clock,
            random_bytes=os.urandom,
        )
        self._http = HttpServer(
            self._app,
            host=settings.host,
            port=settings.port,
            drain_seconds=settings.drain_seconds,
        )

    @property
    def base_url(self) -> str:
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"http://{host}:{self._http.port}"

    async def start(self, stages: Stages) -> None:
        """Starts everything, from the bottom up; the HTTP edge first of all, not ready yet."""
        stages.start(Floor.EDGES, {"http": self._http})
        url = await self._postgres(stages)
        await self._migrate(self._settings.direct_database_url or url)
        database = Database(
            url,
            max_size=self._settings.database_pool_size,
            prepare=self._settings.direct_database_url is None,
        )
        await database.open()
        stages.start(Floor.DATABASE, {"database": database})
        notifications = Notifications(self._settings.direct_database_url or url, self._clock)
        instances = Instances(database)
        instances.listen(notifications)
        engines = self._engines(database, notifications)
        self._build_spine(stages, database, notifications, instances, engines)
        stages.start(Floor.DATABASE, {"notifications": notifications, **engines})
        await self._welcome(database)
        self._checks = {"database": lambda: _answers(database)}
        self._mount_providers(engines, instances)
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
                for migration in await migrate(url):
                    logger.info("migrated", number=migration.number, name=migration.name)
            except DatabaseUnavailable as error:
                self._phase = "waiting for the database"
                logger.warning("waiting_for_database", error=str(error))
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                return

    def _engines(self, database: Database, notifications: Notifications) -> dict[str, Engine]:
        names = [n for n in provider_names() if self._offered(n)]
        return {
            name: load_provider(name).start(
                Surroundings(
                    environment=self._environment,
                    data_dir=self._settings.data_dir,
                    clock=self._clock,
                    store=PostgresProviderStore(database, notifications, room=name),
                )
            )
            for name in names
        }

    def _offered(self, provider: str) -> bool:
        """A simulator must not be mistaken for WhatsApp."""
        return provider != "sandbox" or self._settings.env == "development"

    def _build_spine(
        self,
        stages: Stages,
        database: Database,
        notifications: Notifications,
        instances: Instances,
        engines: Mapping[str, Engine],
    ) -> None:
        settings, clock = self._settings, self._clock
        node_id = (
            settings.node_name or f"{socket.gethostname()[:_LONGEST_HOST_NAME]}:{self._http.port}"
        )
        history = History(database)
        keeper = Keeper(
            leases=Leases(database, clock, node_id=node_id, lapse_seconds=settings.lease_seconds),
            instances=instances,
            inbound=Inbound(database, history, clock),
            providers={name: load_provider(name) for name in engines},
            engines=engines,
            clock=clock,
            renew_seconds=settings.lease_seconds / _RENEWALS_PER_LEASE,
        )
        keeper.listen(notifications)
        policy = RetryPolicy(
            Backoff(settings.retry_base_seconds, settings.retry_cap_seconds), self._random.uniform
        )
        claimer, starter = Claimer(database), Starter(database)
        recorder = Recorder(database, clock, uuid.uuid4)
        rescue = Rescue(database, recorder, policy)
        coordinator = Coordinator(
            keeper,
            Desk(
                claimer=claimer,
                starter=starter,
                recorder=recorder,
                history=history,
                clock=clock,
                uniform=self._random.uniform,
                policy=policy,
                pace=Pace(settings.pace_min_seconds, settings.pace_max_seconds),
                send_timeout_seconds=settings.send_timeout_seconds,
            ),
            rescue,
        )
        schedule = Schedule(database, clock, node_id=node_id, wake=coordinator.wake)

        def wake(instance_ids: Collection[str]) -> None:
            coordinator.wake(instance_ids)
            schedule.look_again()

        notifications.subscribe(f"node:{node_id}", lambda ids: wake(ids.split(",")))
        enqueuer = Enqueuer(
            database,
            node_id=node_id,
            limits=QueueLimits(
                settings.queue_max_waiting,
                settings.queue_max_waiting_disconnected,
                settings.max_attempts,
            ),
            clock=clock,
            random_bytes=os.urandom,
            wake=wake,
        )
        batches: dict[str, Part] = {
            "enqueue": enqueuer,
            "claim": claimer,
            "start": starter,
            "record": recorder,
            "rescue": rescue,
        }
        stages.start(Floor.BATCHES, batches)
        stages.start(Floor.SESSIONS, {"sessions": keeper})
        stages.start(Floor.SENDERS, {"workers": coordinator, "schedule": schedule})

        def queue_desk(instance: Instance) -> QueueDesk:
            return QueueDesk(database, clock, instance)

        self._services = Services(
            instances, enqueuer, (Room(queue_operations.handlers, queue_desk), Asker(keeper))
        )

    async def _welcome(self, database: Database) -> None:
        if self._settings.env != "development":
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

    async def _still_starting(self) -> str | None:
        return self._phase


async def _answers(database: Database) -> str | None:
    try:
        await database.ping()
    except DatabaseUnavailable as error:
        return str(error)
    return None
