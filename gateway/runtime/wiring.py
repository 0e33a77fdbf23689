"""The order in which a process builds and starts its parts.

Each package of parts has a builder beside this module: edges, media, engines, callbacks, sessions,
queue, housekeeping, operation_wiring. A builder gets the `NodeContext` and its section of the
settings, and starts what it builds.
"""

import os
import random
from collections.abc import Callable, Mapping

from gateway.account_turns import AccountTurns, Share
from gateway.api.health import Check
from gateway.clock import Clock
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.write_probe import WriteProbe
from gateway.instances.base_urls import BaseUrls
from gateway.instances.store import Instances
from gateway.instances.tokens import TokenVault
from gateway.kafka.health import KafkaHealth
from gateway.media.deferred_files import NodeAddress
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.observability.traffic import TrafficCounts
from gateway.parsing.parser import BodyParser
from gateway.runtime.addresses import internal_url, local_url, node_id_of
from gateway.runtime.callbacks import build_callbacks
from gateway.runtime.deferred_files import deferred_file_caller, start_deferred_files
from gateway.runtime.demo import show_demo
from gateway.runtime.development import write_development_settings
from gateway.runtime.edges import EdgeBuilder, EdgeState, still_starting
from gateway.runtime.engines import build_engines
from gateway.runtime.gauges import start_gauges
from gateway.runtime.gc_tuning import freeze_startup_objects
from gateway.runtime.housekeeping import start_housekeeping
from gateway.runtime.kafka import consumer_of, start_kafka_monitor
from gateway.runtime.library_pools import library_pools
from gateway.runtime.media import Media
from gateway.runtime.node_context import NodeContext
from gateway.runtime.operation_wiring import build_services
from gateway.runtime.overview import OverviewRules
from gateway.runtime.panel import build_panel_services, show_sign_in_link
from gateway.runtime.postgres import embedded_postgres
from gateway.runtime.progress import Progress
from gateway.runtime.provider_selection import (
    can_send,
    enabled_providers,
    provider_selection_of,
)
from gateway.runtime.proxy_warning import start_proxy_warning
from gateway.runtime.public_url import public_url_warning
from gateway.runtime.queue import build_queue
from gateway.runtime.sealing import follow_rules, sealing_of
from gateway.runtime.secret import secrets_of
from gateway.runtime.sessions import build_sessions
from gateway.runtime.startup import database_checks, prepare_database
from gateway.runtime.supervisor import Stage, Supervisor
from gateway.send_queue.admission import Admission
from gateway.sessions.node_lock import NodeLock
from gateway.settings import Settings

_FIRST_PROCESS = (None, 1)  # it does the work that only one of several workers must do


class Gateway:
    """One process of the gateway; it listens as soon as it is created."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        announce: Callable[[str], None] = lambda _text: None,
        invite: Callable[[str], None] | None = None,
        progress: Progress | None = None,
        worker: int | None = None,
        clock: Clock | None = None,
        randomness: random.Random | None = None,
    ) -> None:
        """Binds the ports.

        Args:
            settings: of this process.
            environment: where providers read their own variables.
            announce: shows a text to the operator.
            invite: shows a link that signs in, to the operator alone; None where a
                program reads what is shown.
            progress: reports the steps of the start; by default to the log.
            worker: the number of this process, from 1, below a parent; None without a parent.
            clock: time.
            randomness: for pauses.

        Raises:
            StartRefused: a port cannot be bound.
        """
        self._settings, self._environment, self._announce = settings, environment, announce
        self._worker, self._invite = worker, invite
        self._progress = progress or Progress()
        self._clock = clock or Clock()
        self._random = randomness or random.SystemRandom()
        self._metrics = Metrics(by_instance=settings.observability.metrics_by_instance)
        self._parser = BodyParser(self._clock, self._metrics)
        self._providers = enabled_providers(settings)
        self._phase = "starting"
        self._state = EdgeState({"startup": still_starting(lambda: self._phase)})
        warning = public_url_warning(settings)
        if warning and worker in _FIRST_PROCESS:
            logger.warning("public_url_missing", consequence=warning, host=settings.listener.host)
        self._edges = EdgeBuilder(
            settings=settings,
            state=self._state,
            metrics=self._metrics,
            parser=self._parser,
            clock=self._clock,
            providers=self._providers,
            worker=worker,
            warnings={"public URL": warning} if warning else {},
        ).build()

    @property
    def base_url(self) -> str:
        """The URL of the public listener for this machine."""
        return local_url(self._settings.listener, self._edges.public)

    async def start(self, supervisor: Supervisor) -> None:
        """Starts the listeners, which answer /ready with the phase, then every part."""
        # The lowest stage, because every stage above may have a body to parse.
        supervisor.start(Stage.POSTGRES, {"body parser": self._parser})
        if self._edges.public:
            supervisor.start(Stage.EDGES, {"http": self._edges.public})
        supervisor.start(Stage.DATABASE, {"internal http": self._edges.internal})
        url = await self._postgres(supervisor)
        direct_url = self._settings.database.direct_url or url
        await prepare_database(
            self._settings.storage,
            url,
            direct_url,
            self._clock,
            self._progress,
            set_phase=self._set_phase,
        )
        node = await self._node_context(supervisor, url, direct_url)
        checks = self._database_checks(node)
        self._start_parts(node)
        gauges = start_gauges(node, pace_max_seconds=self._settings.queue.pace_max_seconds)
        if self._settings.is_development and self._worker in _FIRST_PROCESS:
            panel = self._settings.listener.panel and self._invite is None
            await show_demo(node, self._settings, self.base_url, self._announce, panel=panel)
        if self._settings.is_development and self._invite and self._worker in _FIRST_PROCESS:
            await show_sign_in_link(node, self._state.panel, self.base_url, self._invite)
        kafka_is_fatal = self._settings.kafka.required
        self._state.checks = {
            **checks,
            "queue lag": gauges.queue_lag,
            "outbox lag": gauges.outbox_lag,
            "media storage": node.media.store.problem,
            **(self._state.kafka if kafka_is_fatal else {}),
        }
        bucket = {"media bucket": node.media.store.bucket_problem} if node.media.deferred else {}
        self._state.advisories = {**bucket, **({} if kafka_is_fatal else self._state.kafka)}
        self._edges.mount(node.engines, node.instances)
        freeze_startup_objects()
        logger.info("ready", address=self.base_url)

    def _set_phase(self, phase: str) -> None:
        self._phase = phase

    async def _postgres(self, supervisor: Supervisor) -> str:
        """Returns the URL of the database; starts an embedded server where none is set."""
        if self._worker is None:  # otherwise the parent writes them
            write_development_settings(self._settings)
        if self._settings.database.url:
            return self._settings.database.url
        self._set_phase("starting the embedded Postgres")
        embedded = embedded_postgres(self._settings, self._progress)
        await embedded.start()
        supervisor.start(Stage.POSTGRES, {"postgres": embedded})
        return embedded.url

    async def _node_context(self, supervisor: Supervisor, url: str, direct_url: str) -> NodeContext:
        """Builds what all parts share; starts the database and the media."""
        settings, clock = self._settings, self._clock
        secrets = secrets_of(settings.storage, os.urandom)
        sealing = sealing_of(settings.storage, secrets)
        database = Database(
            url,
            max_size=settings.database.pool_size,
            prepare=settings.database.prepares_statements(),
            statement_seconds=settings.database.statement_seconds,
            sealing=sealing,
        )
        await database.open()
        supervisor.start(Stage.DATABASE, {"database": database})
        notifications = Notifications(
            direct_url, clock, statement_seconds=settings.database.statement_seconds
        )
        follow_rules(sealing.rules, notifications)
        instances = Instances(database)
        instances.listen(notifications)
        base_urls = BaseUrls(
            database, clock, public_url=settings.urls.public_url, fallback=self.base_url
        )
        port = (self._edges.public or self._edges.internal).port
        node_id = node_id_of(settings, port, self._worker)
        internal_address = internal_url(settings.listener, self._edges.internal)
        share = Share(0, settings.account_limits().max_steps_beside_others)
        turns = AccountTurns(share, clock.monotonic_seconds)
        media = Media.build(
            settings.media,
            database,
            clock,
            data_dir=settings.storage.data_dir,
            address_policy=settings.address_policy(),
            base_url_of=base_urls.find,
            account_of=instances.account_of,
            metrics=self._metrics,
            secrets=secrets,
            max_stored_bytes=settings.account_limits().max_stored_bytes,
            turns=turns,
            address=NodeAddress(node_id, internal_address),
            remote=deferred_file_caller(secrets),
        )
        supervisor.start(Stage.BATCHES, {"media": media})
        self._state.media = media.media_context
        lock = NodeLock(settings.storage.data_dir / "nodes", node_id)
        engines = build_engines(
            self._providers,
            self._environment,
            data_dir=settings.storage.data_dir,
            library_pools=library_pools(url, settings.database, clock, self._metrics),
            clock=clock,
            database=database,
            notifications=notifications,
            pictures=media.pictures,
            metrics=self._metrics,
            lock=lock,
        )
        return NodeContext(
            role=settings.process.role,
            address_policy=settings.address_policy(),
            proxy_policy=settings.proxy_policy(),
            supervisor=supervisor,
            clock=clock,
            uniform=self._random.uniform,
            metrics=self._metrics,
            traffic=TrafficCounts(clock),
            database=database,
            notifications=notifications,
            instances=instances,
            engines=engines,
            media=media,
            parser=self._parser,
            base_urls=base_urls,
            vault=TokenVault(secrets, os.urandom),
            sealing=sealing,
            secrets=secrets,
            node_id=node_id,
            node_lock=lock,
            internal_address=internal_address,
            turns=turns,
        )

    def _database_checks(self, node: NodeContext) -> dict[str, Check]:
        # A pool in full use, or full of silent connections, must not decide for Postgres.
        apart = node.database.single_connection()
        node.start(Stage.DATABASE, readiness=apart)
        bounded = apart.within(DatabaseDeadline.READINESS)
        probe = WriteProbe(bounded, node.database, self._clock, node_id=node.node_id)
        return database_checks(bounded, probe)

    def _start_parts(self, node: NodeContext) -> None:
        settings = self._settings
        lease_seconds, limits = settings.node.lease_seconds, settings.account_limits()
        kafka_health = KafkaHealth()
        callbacks = build_callbacks(
            node,
            settings.webhooks,
            settings.kafka,
            kafka_health,
            max_followers=limits.max_followers,
        )
        sessions = build_sessions(
            node,
            callbacks.notifier,
            lease_seconds=lease_seconds,
            send_timeout_seconds=settings.queue.send_timeout_seconds,
            max_inbound_connections=settings.database.pool_size // 2,
            # A call holds the body of one request, written again as JSON.
            max_relay_body_bytes=2 * settings.http.max_media_body_bytes,
            looks_up_pictures=settings.instances.profile_pictures,
            health_seconds=settings.connections.health_seconds,
            receipt_alarm=OverviewRules.of(settings).receipt_alarm,
        )
        queue = build_queue(node, settings.queue, sessions, callbacks.notifier)
        self._state.alarms = queue.watchdog.warnings
        self._state.health = sessions.health.summary
        self._state.deferred_file_server = start_deferred_files(node)
        start_proxy_warning(node)
        encrypts = settings.storage.payload_encryption
        start_housekeeping(node, settings, callbacks.notifier)
        admission = Admission(self._clock, trials=settings.instances.trials, supports=can_send)
        consumer = consumer_of(node, settings.kafka, queue.enqueuer, admission, kafka_health)
        node.start_if_sending(Stage.SENDERS, kafka_in=consumer)
        self._state.kafka = start_kafka_monitor(node, settings.kafka, kafka_health)
        selection = provider_selection_of(settings)
        self._state.services = build_services(
            node,
            callbacks,
            sessions,
            queue,
            selection=selection,
            limits=limits,
            encrypts=encrypts,
            lease_seconds=lease_seconds,
            overview=OverviewRules.of(settings),
            link_settings=settings.links,
            has_panel=settings.listener.panel,
        )
        if settings.listener.panel and settings.process.role.serves:
            self._state.panel = build_panel_services(
                node, self._state.services, admission, selection
            )
        self._state.relay_receiver = sessions.relay_receiver
        # Last, because every builder subscribes before it listens.
        node.start(Stage.DATABASE, notifications=node.notifications)
