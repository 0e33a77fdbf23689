"""The internal listener: metrics, health, and calls between nodes."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.api.health import Readiness, health
from gateway.observability.metrics import CONTENT_TYPE, Metrics
from gateway.sessions.deferred_relay import DeferredFileServer
from gateway.sessions.relay import RelayReceiver

_NOT_READY = 503


def metrics_route(metrics: Metrics) -> Route:
    async def show(_request: Request) -> Response:
        return Response(await metrics.render(), media_type=CONTENT_TYPE)

    return Route("/metrics", show)


def relay_route(context: Callable[[], RelayReceiver | None]) -> Route:
    """Returns the route on which other nodes execute operations on this node's sessions."""

    async def answer(request: Request) -> Response:
        if (ready := context()) is None:
            return Response(status_code=_NOT_READY)
        status, body = await ready.answer(
            request.path_params["instance_id"],
            request.path_params["operation"],
            request.headers,
            request.stream(),
        )
        return Response(body, status_code=status, media_type="application/json")

    return Route("/relay/{instance_id}/{operation}", answer, methods=["POST"])


def deferred_file_route(context: Callable[[], DeferredFileServer | None]) -> Route:
    """Returns the route on which other nodes read files that this node keeps."""

    async def answer(request: Request) -> Response:
        if (ready := context()) is None:
            return Response(status_code=_NOT_READY)
        folder, file, span = (request.path_params[name] for name in ("folder", "file", "span"))
        status, pieces = await ready.answer(folder, file, span, request.headers)
        if pieces is None:
            return Response(status_code=status)
        return StreamingResponse(pieces, status, media_type="application/octet-stream")

    return Route("/deferred/{folder}/{file}/{span}", answer, methods=["POST"])


def build_internal_app(
    metrics: Metrics,
    readiness: Readiness,
    relay: Callable[[], RelayReceiver | None],
    deferred_files: Callable[[], DeferredFileServer | None],
) -> Starlette:
    """Builds the application of the internal listener."""
    return Starlette(
        routes=[
            metrics_route(metrics),
            Route("/health", health),
            Route("/ready", readiness.endpoint),
            relay_route(relay),
            deferred_file_route(deferred_files),
        ]
    )
