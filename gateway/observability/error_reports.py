"""Logs unexpected errors and reports them to Sentry, once each."""

import sentry_sdk
from sentry_sdk.types import Event, Hint

from gateway import __version__
from gateway.errors import GatewayError
from gateway.observability.logging import logger
from gateway.observability.safe_errors import without_values

_REPORTED_OF_A_REQUEST = ("method",)


def configure_error_reports(dsn: str | None, *, environment: str) -> None:
    """Turns reports on if a DSN is given."""
    if dsn is None:
        return
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=__version__,
        include_local_variables=False,  # they hold tokens and texts
        max_breadcrumbs=0,
        default_integrations=False,
        auto_enabling_integrations=False,
        before_send=_scrub,
    )


def _scrub(event: Event, hint: Hint) -> Event | None:
    """Removes the path and headers of a request, and the values that errors quote."""
    request = event.get("request")
    if request:
        event["request"] = {k: v for k, v in request.items() if k in _REPORTED_OF_A_REQUEST}
    error = hint["exc_info"][1] if hint.get("exc_info") else None
    for reported in event.get("exception", {}).get("values", ()):
        reported["value"] = without_values(reported.get("value") or "", error)
    return event


def report_error(
    error: BaseException,
    *,
    component: str,
    instance_id: str | None = None,
    message_type: str | None = None,
    severity: str = "error",
) -> None:
    """Logs an unexpected error and reports it; a GatewayError is only logged."""
    logger.error(
        "unexpected_error",
        component=component,
        instance_id=instance_id,
        message_type=message_type,
        error=type(error).__name__,
        exc_info=error,
    )
    if isinstance(error, GatewayError):
        return
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("component", component)
        scope.set_tag("severity", severity)
        if instance_id:
            scope.set_tag("instance_id", instance_id)
        if message_type:
            scope.set_tag("message_type", message_type)
        scope.capture_exception(error)
