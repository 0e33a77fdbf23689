"""Assembles the public HTTP application."""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.authentication import Authenticator
from gateway.api.endpoints import AccountEndpoint, InstanceEndpoint
from gateway.api.error_replies import on_gateway_error, reply_to
from gateway.api.events import EventsEndpoint
from gateway.api.health import Readiness, health
from gateway.api.middleware import RequestLog
from gateway.api.request_limits import Rate, RequestLimits
from gateway.api.routes import RouteTable
from gateway.clock import Clock
from gateway.contract.catalogue import Catalogue
from gateway.database.deadlines import STATEMENT_SECONDS, caller_seconds
from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, UnknownRoute
from gateway.observability.metrics import Metrics
from gateway.operations.services import Services
from gateway.randomness import RandomBytes
from gateway.send_queue.admission import Admission
from gateway.settings.message_sections import HttpSection

INSTANCE_PREFIX = "/instances/{instance_id}/token/{token}"
_NOT_FOUND, _NOT_ALLOWED = 404, 405


def build_app(
    *,
    catalogue: Catalogue,
    services: Callable[[], Services | None],
    readiness: Readiness,
    settings: HttpSection,
    admission: Admission,
    clock: Clock,
    random_bytes: RandomBytes,
    metrics: Metrics,
    further_routes: Sequence[BaseRoute] = (),
    patience_seconds: float = caller_seconds(STATEMENT_SECONDS),
) -> Starlette:
    """Builds the public application.

    *services* returns None until the gateway is ready. A caller waits at most *patience_seconds*
    for Postgres.
    """
    authenticator = Authenticator(_limits(settings, clock), settings.trusted_proxies)
    instance_endpoint = InstanceEndpoint(
        RouteTable(catalogue),
        authenticator,
        services,
        settings,
        admission,
        patience_seconds=patience_seconds,
    )
    absolute = RouteTable(catalogue, absolute=True)
    account_endpoint = AccountEndpoint(
        absolute,
        authenticator,
        services,
        settings,
        admission,
        patience_seconds=patience_seconds,
    )
    app = Starlette(
        routes=[
            Route(INSTANCE_PREFIX + "/{route:path}", instance_endpoint),
            *(Route(path + end, account_endpoint) for path in absolute.paths for end in ("", "/")),
            Route("/events", EventsEndpoint(authenticator, services), methods=["GET"]),
            Route("/health", health),
            Route("/ready", readiness.endpoint),
            *further_routes,
        ],
        middleware=[Middleware(RequestLog, random_bytes=random_bytes, metrics=metrics)],
        exception_handlers={
            GatewayError: on_gateway_error,
            HTTPException: _on_http_exception,
        },
    )
    app.router.redirect_slashes = False  # a redirect would repeat a path with a token
    return app


def _limits(settings: HttpSection, clock: Clock) -> RequestLimits:
    account, instance = settings.account_requests_per_second, settings.instance_requests_per_second
    return RequestLimits(
        clock,
        account=Rate(account, settings.account_requests_burst or max(1, round(account))),
        instance=Rate(instance, settings.instance_requests_burst or max(1, round(instance))),
    )


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == _NOT_FOUND:
        return reply_to(UnknownRoute())
    if error.status_code == _NOT_ALLOWED:
        allow = (error.headers or {}).get("Allow", "")
        return reply_to(MethodNotAllowed(frozenset(allow.replace(" ", "").split(","))))
    return reply_to(InvalidRequest(error.detail))
