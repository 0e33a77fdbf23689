"""What only the operator's own machines see: metrics, and health once more."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.health import Readiness, health
from gateway.observability.metrics import CONTENT_TYPE, Metrics


def metrics_route(metrics: Metrics) -> Route:
    async def show(_request: Request) -> Response:
        return Response(await metrics.render(), media_type=CONTENT_TYPE)

    return Route("/metrics", show)


def build_internal_app(metrics: Metrics, readiness: Readiness) -> Starlette:
    """The application of the internal listener."""
    return Starlette(
        routes=[
            metrics_route(metrics),
            Route("/health", health),
            Route("/ready", readiness.endpoint),
        ]
    )
