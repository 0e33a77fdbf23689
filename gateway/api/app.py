"""Assembles the public HTTP application."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from gateway.api.authentication import Authenticator
from gateway.api.browsers import CollapsedSlashes, CrossOrigin
from gateway.api.endpoints import AccountEndpoint, Endpoint, InstanceEndpoint
from gateway.api.error_replies import on_gateway_error, reply_to
from gateway.api.events import EventsEndpoint
from gateway.api.events_socket import EventsSocket
from gateway.api.health import Readiness, health
from gateway.api.middleware import RequestLog
from gateway.api.named_endpoint import NamedEndpoint
from gateway.api.request_limits import RequestLimits, UploadSlots
from gateway.api.request_starts import RequestStarts
from gateway.api.routes import RouteTable
from gateway.api.stream_callers import StreamCallers
from gateway.clock import Clock
from gateway.contract.catalogue import Catalogue
from gateway.database.deadlines import STATEMENT_SECONDS, caller_seconds
from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, UnknownRoute
from gateway.file_work import FileWork
from gateway.observability.metrics import Metrics
from gateway.operations.services import Services
from gateway.parsing.parser import RunsTasks
from gateway.randomness import RandomBytes
from gateway.send_queue.admission import Admission
from gateway.settings.account_section import AccountLimits
from gateway.settings.message_sections import HttpSection
from gateway.token_buckets import Rate

INSTANCE_PREFIX = "/instances/{instance_id}/token/{token}"
_NOT_FOUND, _NOT_ALLOWED = 404, 405

EndpointT = TypeVar("EndpointT", bound=Endpoint)


def build_app(
    *,
    catalogue: Catalogue,
    services: Callable[[], Services | None],
    readiness: Readiness,
    settings: HttpSection,
    account_limits: AccountLimits,
    admission: Admission,
    clock: Clock,
    random_bytes: RandomBytes,
    metrics: Metrics,
    parser: RunsTasks,
    further_routes: Sequence[BaseRoute] = (),
    patience_seconds: float = caller_seconds(STATEMENT_SECONDS),
) -> Starlette:
    """Builds the public application.

    *services* returns None until the gateway is ready. A caller waits at most *patience_seconds*
    for Postgres.
    """
    authenticator = Authenticator(_limits(account_limits, clock), settings.trusted_proxies)
    stream_callers = StreamCallers(authenticator)
    uploads = UploadSlots(account_limits.max_uploads)

    def is_shared() -> bool:
        ready = services()
        return ready is not None and ready.turns.is_shared()

    def account_of(instance_id: str) -> str | None:
        ready = services()
        return ready.instances.known_account_of(instance_id) if ready else None

    file_work = FileWork(is_shared=is_shared)

    def serving(kind: type[EndpointT], table: RouteTable) -> EndpointT:
        return kind(
            table,
            authenticator,
            services,
            settings,
            admission,
            parser=parser,
            patience_seconds=patience_seconds,
            uploads=uploads,
            file_work=file_work,
        )

    tables: dict[RouteTable, Endpoint] = {}
    absolute = RouteTable(catalogue, absolute=True)
    tables[absolute] = serving(AccountEndpoint, absolute)
    if settings.named_api:
        by_name = RouteTable(catalogue, by_name=True)
        tables[by_name] = named = serving(NamedEndpoint, by_name)
        named.readiness = readiness.first_problem

    app = Starlette(
        routes=[
            Route(
                INSTANCE_PREFIX + "/{route:path}", serving(InstanceEndpoint, RouteTable(catalogue))
            ),
            *(
                Route(path + end, endpoint)
                for table, endpoint in tables.items()
                for path in table.paths
                for end in ("", "/")
            ),
            Route("/events", EventsEndpoint(stream_callers, services), methods=["GET"]),
            WebSocketRoute(
                "/events/ws", EventsSocket(stream_callers, services, settings.cors_origins)
            ),
            Route("/health", health),
            Route("/ready", readiness.endpoint),
            *further_routes,
        ],
        middleware=[
            Middleware(RequestLog, random_bytes=random_bytes, metrics=metrics),
            Middleware(CollapsedSlashes),  # first, or further slashes would make further accounts
            Middleware(RequestStarts, is_shared=is_shared, account_of=account_of),
            *_cross_origin(
                settings.cors_origins, [path for table in tables for path in table.paths]
            ),
        ],
        exception_handlers={
            GatewayError: on_gateway_error,
            HTTPException: _on_http_exception,
        },
    )
    app.router.redirect_slashes = False  # a redirect would repeat a path with a token
    return app


def _cross_origin(origins: Sequence[str], absolute: Sequence[str]) -> Sequence[Middleware]:
    if not origins:
        return ()
    paths = frozenset({*absolute, "/events"})
    prefixes = ("/instances/", *(path.partition("{")[0] for path in absolute if "{" in path))

    def is_api(path: str) -> bool:
        return path.startswith(prefixes) or path in paths

    return (Middleware(CrossOrigin, origins=origins, is_api=is_api),)


def _limits(limits: AccountLimits, clock: Clock) -> RequestLimits:
    return RequestLimits(
        clock,
        account=Rate(limits.requests_per_second, limits.requests_burst),
        instance=Rate(limits.instance_requests_per_second, limits.instance_requests_burst),
    )


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == _NOT_FOUND:
        return reply_to(UnknownRoute())
    if error.status_code == _NOT_ALLOWED:
        allow = (error.headers or {}).get("Allow", "")
        return reply_to(MethodNotAllowed(frozenset(allow.replace(" ", "").split(","))))
    return reply_to(InvalidRequest(error.detail))
