"""Builds the two HTTP listeners, which answer before the rest of the gateway is ready."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.routing import BaseRoute

from gateway.api.app import build_app
from gateway.api.base_url import base_url_of
from gateway.api.client_address import client_address, is_from_this_machine
from gateway.api.docs import docs_routes
from gateway.api.health import Check, Readiness
from gateway.api.internal import build_internal_app, metrics_route
from gateway.api.media import MediaRouteContext, media_route
from gateway.api.provider_ingress import authorise_control
from gateway.api.provider_table import provider_route
from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.database.deadlines import caller_seconds
from gateway.errors import Unavailable
from gateway.instances.store import Instances
from gateway.observability.metrics import Metrics
from gateway.operations.services import Services
from gateway.panel.app import build_panel
from gateway.panel.request_limits import PanelLimits
from gateway.panel.services import PanelContext, PanelServices, RequestOrigin
from gateway.parsing.parser import BodyParser
from gateway.randomness import RandomBuffer
from gateway.runtime.addresses import internal_port
from gateway.runtime.file_limit import connections_within, raise_file_limit
from gateway.runtime.http_connections import ConnectionLimits
from gateway.runtime.http_server import HttpServer
from gateway.runtime.overview import supported_table
from gateway.runtime.provider_selection import can_send
from gateway.send_queue.admission import Admission
from gateway.sessions.deferred_relay import DeferredFileServer
from gateway.sessions.provider import Engine
from gateway.sessions.relay import RelayReceiver
from gateway.settings import Settings
from gateway.settings.node_sections import ListenerSection

# Within the quarter of the files that the public listener leaves.
_MAX_INTERNAL_CONNECTIONS = 2_000


@dataclass(slots=True)
class EdgeState:
    """What the listeners look up in each request; the start fills it in."""

    checks: Mapping[str, Check]
    advisories: Mapping[str, Check] = field(default_factory=dict)
    kafka: Mapping[str, Check] = field(default_factory=dict)
    alarms: Callable[[], Mapping[str, str]] = dict
    health: Callable[[], Mapping[str, Any]] = dict
    services: Services | None = None
    panel: PanelServices | None = None
    media: MediaRouteContext | None = None
    relay_receiver: RelayReceiver | None = None
    deferred_file_server: DeferredFileServer | None = None


@dataclass(frozen=True, slots=True)
class Edges:
    """The listeners of one process; *public* is None where its role serves no callers."""

    app: Starlette
    public: HttpServer | None
    internal: HttpServer

    def mount(self, engines: Mapping[str, Engine], instances: Instances) -> None:
        """Serves each engine's own routes below the name of its provider."""
        authorise = authorise_control(lambda: instances)
        for name, engine in engines.items():
            self.app.router.mount(f"/{name}", engine.ingress(authorise))


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeBuilder:
    """Builds the listeners and binds their ports.

    *worker* is the number of this process among those that share the public port; None where it
    shares none.
    """

    settings: Settings
    state: EdgeState
    metrics: Metrics
    parser: BodyParser
    clock: Clock
    providers: Sequence[str]
    worker: int | None
    warnings: Mapping[str, str] = field(default_factory=dict)

    def build(self) -> Edges:
        listener, drain_seconds = self.settings.listener, self.settings.process.drain_seconds
        file_limit = raise_file_limit()
        state = self.state
        readiness = Readiness(
            lambda: state.checks,
            advisories=lambda: state.advisories,
            warnings=lambda: {**self.warnings, **state.alarms()},
        )
        app = build_app(
            catalogue=catalogue(),
            services=lambda: state.services,
            readiness=readiness,
            settings=self.settings.http,
            account_limits=self.settings.account_limits(),
            admission=Admission(
                self.clock, trials=self.settings.instances.trials, supports=can_send
            ),
            clock=self.clock,
            random_bytes=RandomBuffer(os.urandom),
            metrics=self.metrics,
            parser=self.parser,
            further_routes=self._further_routes(),
            patience_seconds=caller_seconds(self.settings.database.statement_seconds),
        )
        public = (
            HttpServer(
                app,
                host=listener.host,
                port=listener.port,
                drain_seconds=drain_seconds,
                shared=self.worker is not None,
                limits=_limits(listener, connections_within(file_limit, listener.max_connections)),
                metrics=self.metrics,
            )
            if self.settings.process.role.serves
            else None
        )
        internal = HttpServer(
            build_internal_app(
                self.metrics,
                readiness,
                lambda: state.relay_receiver,
                lambda: state.deferred_file_server,
            ),
            host=listener.internal_host,
            port=internal_port(listener, self.worker),
            drain_seconds=drain_seconds,
            variable="GATEWAY_INTERNAL_PORT",
            name="internal",
            limits=_limits(listener, min(_MAX_INTERNAL_CONNECTIONS, max(1, file_limit // 8))),
            metrics=self.metrics,
        )
        return Edges(app, public, internal)

    def _further_routes(self) -> list[BaseRoute]:
        listener = self.settings.listener
        return [
            media_route(lambda: self.state.media),
            provider_route(self._provider_table),
            *([metrics_route(self.metrics)] if listener.metrics_on_public else ()),
            *(docs_routes() if listener.docs else ()),
            *(build_panel(self._panel_context()) if listener.panel else ()),
        ]

    def _panel_context(self) -> PanelContext:
        trusted = self.settings.http.trusted_proxies

        def address_of(request: HTTPConnection) -> str | None:
            address = client_address(request, trusted)
            return None if address is None else str(address)

        def url_of(request: Request) -> str | None:
            found = base_url_of(request, trusted)
            return found.url if found else None

        return PanelContext(
            services=lambda: self.state.panel,
            origin=RequestOrigin(address_of, url_of, is_from_this_machine),
            clock=self.clock,
            random_bytes=RandomBuffer(os.urandom),
            limits=PanelLimits(self.clock, self.settings.listener.panel_requests_per_second),
            patience_seconds=caller_seconds(self.settings.database.statement_seconds),
            has_docs=self.settings.listener.docs,
        )

    def _provider_table(self) -> Mapping[str, object]:
        services = self.state.services
        if services is None:
            raise Unavailable("The gateway is starting")
        table = supported_table(services.executors, self.providers)
        return {**table, "health": self.state.health()}


def _limits(listener: ListenerSection, max_connections: int) -> ConnectionLimits:
    return ConnectionLimits(
        max_connections=max_connections,
        header_seconds=listener.header_seconds,
        body_idle_seconds=listener.body_idle_seconds,
        body_bytes_per_second=listener.body_bytes_per_second,
        keep_alive_seconds=listener.keep_alive_seconds,
    )


def still_starting(phase: Callable[[], str]) -> Check:
    """Returns a check of /ready that fails with the phase of the start."""

    async def check() -> str | None:
        return phase()

    return check
