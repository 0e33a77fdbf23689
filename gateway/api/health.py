"""Is the process alive, and can it do its work?"""

import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.json_response import JsonResponse
from gateway.observability.logging import logger

Check = Callable[[], Awaitable[str | None]]
"""None when all is well, else what is wrong."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


async def health(request: Request) -> Response:
    """Answers as long as the event loop turns."""
    request.scope["route_template"] = "/health"
    return JsonResponse({"status": "ok"})


class Readiness:
    """Runs the checks; the first that fails makes the answer a 503 that names it.

    A reason is logged when it appears and when it is gone, however often probes come and
    whichever listener they ask.
    """

    def __init__(
        self, checks: Callable[[], Mapping[str, Check]], warnings: Mapping[str, str] | None = None
    ) -> None:
        """Reads *checks* anew for each probe.

        Args:
            checks: what must be well, by name.
            warnings: what the operator should change although requests can be served, by name.
        """
        self._checks, self._warnings = checks, dict(warnings or {})
        self._logged_reasons: Mapping[str, str] = {}

    async def endpoint(self, request: Request) -> Response:
        request.scope["route_template"] = "/ready"
        request.scope["failure_logged"] = True
        results = {name: await check() for name, check in self._checks().items()}
        failing = {name: wrong for name, wrong in results.items() if wrong}
        self._log_change(failing)
        body: dict[str, object] = {
            "ready": not failing,
            "checks": {name: wrong or "ok" for name, wrong in results.items()},
        }
        if self._warnings:
            body["warnings"] = self._warnings
        if failing:
            first, wrong = next(iter(failing.items()))
            body["error"] = body["message"] = f"{first}: {wrong}"
        return JsonResponse(body, status_code=503 if failing else 200)

    def _log_change(self, failing: Mapping[str, str]) -> None:
        # A lag that grows by a second is no new reason.
        reasons = {name: _NUMBER.sub("#", wrong) for name, wrong in failing.items()}
        if reasons == self._logged_reasons:
            return
        self._logged_reasons = reasons
        log = logger.info if not failing or "startup" in failing else logger.warning
        log("readiness_changed", ready=not failing, failing=dict(failing))
