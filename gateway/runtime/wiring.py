"""Builds everything once; the only module that names concrete classes."""

import os
import random
import socket
import uuid
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from gateway.administration import audit as audit_operations
from gateway.administration import partner as partner_operations
from gateway.administration import people as people_operations
from gateway.administration import subscriptions as subscription_operations
from gateway.administration.audit import AccountDesk, Audit
from gateway.administration.partner import PartnerDesk
from gateway.administration.people import PeopleDesk
from gateway.administration.removal import Remover
from gateway.administration.subscriptions import SubscriptionDesk
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
from gateway.contract.handlers import Room
from gateway.contract.messages.text import SendText
from gateway.database.embedded import EmbeddedPostgres
from gateway.database.migrations import migrate, missing_migrations
from gateway.database.notifications import DistantBell, Notifications
from gateway.database.pool import Database, url_for_others
from gateway.database.provider_store import PostgresProviderStore
from gateway.directory import operations as directory_operations
from gateway.directory.desk import DirectoryDesk
from gateway.errors import DatabaseUnavailable, Unavailable
from gateway.history import operations as history_operations
from gateway.history import statuses
from gateway.history.months import Months
from gateway.history.operations import HistoryDesk
from gateway.history.statuses import StatusDesk
from gateway.history.store import History
from gateway.instances import operations as instance_operations
from gateway.instances.accounts import Account, Accounts
from gateway.instances.creation import Registry
from gateway.instances.operations import InstanceDesk
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import TokenVault
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.providers import load_provider
from gateway.runtime.demo import ensure_demo
from gateway.runtime.gauges import Gauges, LoopProbe
from gateway.runtime.housekeeping import Chore, Housekeeping
from gateway.runtime.http_server import HttpServer
from gateway.runtime.kafka import consumer_of, publisher_of
from gateway.runtime.media import Media
from gateway.runtime.offer import offer_of, offered_providers
from gateway.runtime.part import Part
from gateway.runtime.secret import secrets_of
from gateway.runtime.stages import Floor, Stages
from gateway.send_queue import acting, steering
from gateway.send_queue import operations as queue_operations
from gateway.send_queue.acting import MessageDesk
from gateway.send_queue.claim import Claimer
from gateway.send_queue.coordinator import Coordinator
from gateway.send_queue.enqueue import Enqueuer, QueueLimits
from gateway.send_queue.following import Followers
from gateway.send_queue.ids import message_id_named
from gateway.send_queue.operations import QueueDesk
from gateway.send_queue.outcome import Recorder, RetryPolicy
from gateway.send_queue.pacing import Backoff, Pace, Tempo
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.schedule import Schedule
from gateway.send_queue.start import Starter
from gateway.send_queue.upkeep import QueueUpkeep
from gateway.send_queue.worker import Desk
from gateway.sessions import operations as session_operations
from gateway.sessions.ask import Asker
from gateway.sessions.habits import Habits
from gateway.sessions.inbound import Inbound
from gateway.sessions.inbound.files import FileLimits, Files
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Leases
from gateway.sessions.operations import SessionDesk
from gateway.sessions.provider import Engine, Surroundings
from gateway.sessions.relay import Relay, RelayDesk, relay_client
from gateway.sessions.remembered import RememberingAsker
from gateway.settings import Settings
from gateway.webhooks import dead_letters, replay
from gateway.webhooks import operations as webhook_operations
from gateway.webhooks.addresses import Addresses, AddressLimits
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.delivery import Delivery, DeliveryLimits
from gateway.webhooks.ledger import Ledger
from gateway.webhooks.operations import WebhookDesk
from gateway.webhooks.outbox import Outbox
from gateway.webhooks.posting import Poster
from gateway.webhooks.retention import Retention
from gateway.webhooks.stream import Stream

if TYPE_CHECKING:
    from gateway.kafka.publisher import Publisher

_RENEWALS_PER_LEASE = 3
_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 1.0
_LONGEST_HOST_NAME = 30
_EXPIRE_EVERY_SECONDS = 15.0
_FORGET_EVERY_SECONDS = 300.0
_TIDY_EVERY_SECONDS = 3_600.0
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
            random_bytes=os.urandom,
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
        engines = self._engines(database, notifications, url)
        self._media = Media.build(
            self._settings,
            database,
            self._clock,
            base_url=self.base_url,
            secrets=secrets_of(self._settings, os.urandom),
        )
        stages.start(Floor.BATCHES, {"media": self._media})
        self._build_spine(stages, database, notifications, instances, engines)
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

    def _engines(
        self, database: Database, notifications: Notifications, url: str
    ) -> dict[str, Engine]:
        return {
            name: load_provider(name).start(
                Surroundings(
                    environment=self._environment,
                    data_dir=self._settings.data_dir,
                    clock=self._clock,
                    store=PostgresProviderStore(database, notifications, room=name),
                    database_url=url_for_others(url, schema=name),
                )
            )
            for name in offered_providers(self._settings)
        }

    def _build_spine(
        self,
        stages: Stages,
        database: Database,
        notifications: Notifications,
        instances: Instances,
        engines: Mapping[str, Engine],
    ) -> None:
        settings, clock, media = self._settings, self._clock, self._media
        assert media is not None
        node_id = self._node_id()
        history = History(database)
        secrets = secrets_of(settings, os.urandom)
        vault = TokenVault(secrets, os.urandom)
        poster = Poster(
            settings.address_policy(), clock, timeout_seconds=settings.webhook_timeout_seconds
        )
        ledger = Ledger(database, clock)
        delivery = self._delivery(database, poster, ledger, vault, node_id)
        stream = Stream(database, clock, days=settings.webhook_history_days)
        stages.start(Floor.EDGES, {"event stream": stream})  # its readers are connections
        publisher = publisher_of(settings, database, clock, node_id)
        told = _all(
            self._post_callbacks(stages, database, notifications, delivery, publisher),
            stream.look_again,
        )
        outbox = Outbox(database, uuid.uuid4, told)
        heartbeat = database.apart()
        stages.start(Floor.DATABASE, {"heartbeat": heartbeat})
        leases = Leases(
            heartbeat,
            clock,
            node_id=node_id,
            lapse_seconds=settings.lease_seconds,
            internal_address=self._internal_address(),
        )
        inbound = Inbound(
            database.at_most(self._settings.database_pool_size // 2),
            outbox,
            Files(media.receiver, clock, FileLimits()),
            clock,
        )
        keeper = Keeper(
            leases=leases,
            instances=instances,
            inbound=inbound,
            providers={name: load_provider(name) for name in engines},
            engines=engines,
            clock=clock,
            renew_seconds=settings.lease_seconds / _RENEWALS_PER_LEASE,
            give_seconds=settings.send_timeout_seconds,
        )
        keeper.listen(notifications)
        policy = RetryPolicy(
            Backoff(settings.retry_base_seconds, settings.retry_cap_seconds), self._random.uniform
        )
        tempo = Tempo(
            Pace(settings.pace_min_seconds, settings.pace_max_seconds),
            daily_limit=settings.daily_limit,
            warm_up_days=settings.warm_up_days,
        )
        claimer, starter = Claimer(database), Starter(database)
        followers = Followers(database, clock)
        recorder = Recorder(database, clock, uuid.uuid4, told=_all(told, followers.look_again))
        rescue = Rescue(database, recorder, policy)
        coordinator = Coordinator(
            keeper,
            Desk(
                metrics=self._metrics,
                claimer=claimer,
                starter=starter,
                recorder=recorder,
                history=history,
                preparer=media.preparer,
                clock=clock,
                uniform=self._random.uniform,
                policy=policy,
                tempo=tempo,
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
                settings.queue_max_age or None,
            ),
            clock=clock,
            random_bytes=os.urandom,
            wake=wake,
        )
        remover = Remover(database, clock, lapse_seconds=settings.lease_seconds)
        batches: dict[str, Part] = {
            "enqueue": enqueuer,
            "claim": claimer,
            "start": starter,
            "record": recorder,
            "deliveries": ledger,
            "rescue": rescue,
            "removal": remover,
        }
        stages.start(Floor.BATCHES, batches)
        stages.start(Floor.DATABASE, self._if_sending(engines))
        stages.start(Floor.SESSIONS, self._if_sending({"sessions": keeper, "inbox": inbound}))
        consumer = consumer_of(
            settings,
            database,
            clock,
            instances=instances,
            enqueuer=enqueuer,
            metrics=self._metrics,
        )
        senders: dict[str, Part] = {
            "workers": coordinator,
            "schedule": schedule,
            "housekeeping": self._housekeeping(database, node_id, told),
        }
        senders |= {"kafka in": consumer} if consumer else {}
        stages.start(Floor.SENDERS, self._if_sending(senders))
        stages.start(Floor.EDGES, {"followers": followers})
        policy_of_addresses = settings.address_policy()

        def webhook_desk(instance: Instance) -> WebhookDesk:
            return WebhookDesk(
                database, policy_of_addresses, poster, vault, clock, delivery.look_again, instance
            )

        queue_desk = partial(QueueDesk, database, clock, self._metrics, tempo, claimer)

        def instance_desk(instance: Instance) -> InstanceDesk:
            return InstanceDesk(database, vault, instance)

        def session_desk(instance: Instance) -> SessionDesk:
            return SessionDesk(database, asker, instance)

        relay_http = relay_client(timeout_seconds=settings.send_timeout_seconds)
        asker = Asker(keeper, Relay(database, relay_http, node_id=node_id, secret=secrets[0]))
        self._relay_desk = RelayDesk(
            node_id, secrets, keeper.epoch, leases.database_seconds, asker.ask_here
        )
        remembering = RememberingAsker(asker, clock, self._metrics)
        habits = Habits(asker, database, partial(_write, enqueuer))
        stages.start(Floor.SENDERS, {"habits": habits})
        keeper.listeners += [remembering.hear, habits.hear]
        registry, offer = Registry(database, vault, os.urandom), offer_of(settings)

        def partner_desk(account: Account) -> PartnerDesk:
            return PartnerDesk(
                database, registry, remover, policy_of_addresses, offer, clock, account
            )

        def subscription_desk(instance: Instance) -> SubscriptionDesk:
            return SubscriptionDesk(database, instance)

        audit = Audit(database, settings.audit_days)
        self._services = Services(
            instances,
            Accounts(database),
            enqueuer,
            media.intake,
            followers,
            self._metrics,
            (
                Room(partner_operations.handlers, partner_desk),
                Room(subscription_operations.handlers, subscription_desk),
                Room(people_operations.handlers, partial(PeopleDesk, database)),
                Room(audit_operations.handlers, partial(AccountDesk, audit)),
                Room(queue_operations.handlers, queue_desk),
                Room(acting.handlers, lambda one: MessageDesk(queue_desk(one), history, asker)),
                Room(steering.handlers, queue_desk),
                Room(history_operations.handlers, partial(HistoryDesk, database, message_id_named)),
                Room(statuses.handlers, lambda instance: StatusDesk(database, instance.id)),
                Room(
                    webhook_operations.handlers | dead_letters.handlers | replay.handlers,
                    webhook_desk,
                ),
                Room(instance_operations.handlers, instance_desk),
                Room(session_operations.handlers, session_desk),
                Room(
                    directory_operations.handlers,
                    partial(DirectoryDesk, database, remembering, os.urandom),
                ),
                remembering,
            ),
            audit,
            stream,
        )

    def _housekeeping(
        self, database: Database, node_id: str, told: Callable[[], None]
    ) -> Housekeeping:
        settings = self._settings
        upkeep = QueueUpkeep(
            database, self._clock, uuid.uuid4, failed_days=settings.failed_days, told=told
        )
        months = Months(database, keep_days=settings.history_days)
        retention = Retention(
            database,
            history_days=settings.webhook_history_days,
            dead_letter_days=settings.dead_letter_days,
        )
        chores = (
            Chore("expire messages", _EXPIRE_EVERY_SECONDS, upkeep.expire),
            Chore("forget the queue's past", _TIDY_EVERY_SECONDS, upkeep.forget),
            Chore("forget what was told", _FORGET_EVERY_SECONDS, retention.forget),
            Chore("months of history", _TIDY_EVERY_SECONDS, months.keep),
        )
        return Housekeeping(database, self._clock, chores, node_id=node_id)

    def _if_sending(self, parts: Mapping[str, Part]) -> Mapping[str, Part]:
        return parts if self._role.sends else {}

    def _post_callbacks(
        self,
        stages: Stages,
        database: Database,
        notifications: Notifications,
        delivery: Delivery,
        publisher: "Publisher | None",
    ) -> Callable[[], None]:
        """Returns what is to be called when a callback was written."""
        if self._role.posts:
            readers: dict[str, Delivery | Publisher] = {"webhooks": delivery}
            readers |= {"kafka out": publisher} if publisher else {}
            told = _all(*(reader.look_again for reader in readers.values()))
            notifications.subscribe("callbacks", lambda _nothing: told())
            stages.start(Floor.SENDERS, readers)
            return told
        bell = DistantBell(database, self._clock, "callbacks")
        stages.start(Floor.BATCHES, {"callback bell": bell})
        return bell.ring

    def _delivery(
        self, database: Database, poster: Poster, ledger: Ledger, vault: TokenVault, node_id: str
    ) -> Delivery:
        settings, uniform = self._settings, self._random.uniform
        return Delivery(
            database,
            poster,
            ledger,
            Addresses(
                self._clock,
                uniform,
                AddressLimits(slow_seconds=settings.webhook_timeout_seconds / 3),
            ),
            self._clock,
            vault=vault,
            node_id=node_id,
            schedule=RetrySchedule(
                uniform,
                base_seconds=settings.webhook_retry_base_seconds,
                max_attempts=settings.webhook_max_attempts,
                longest_outage_seconds=settings.webhook_longest_outage_seconds,
            ),
            # A post may begin when half of the claim is over.
            limits=DeliveryLimits(claim_seconds=30.0 + 2 * settings.webhook_timeout_seconds),
            metrics=self._metrics,
        )

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


async def _write(enqueuer: Enqueuer, instance: Instance, phone: str, text: str) -> None:
    await enqueuer.enqueue(instance, SendText(phone=phone, message=text))


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


def _all(*calls: Callable[[], None]) -> Callable[[], None]:
    def call_all() -> None:
        for call in calls:
            call()

    return call_all
