"""Liveness (/health) and readiness (/ready)."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.json_response import JsonResponse
from gateway.observability.logging import logger

Check = Callable[[], Awaitable[str | None]]
"""Returns None if all is well, else the problem."""

_CHECK_SECONDS = 1.8
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


async def health(request: Request) -> Response:
    """Answers as long as the event loop runs."""
    request.scope["route_template"] = "/health"
    return JsonResponse({"status": "ok"})


class Readiness:
    """Runs the checks together; a failing check makes the answer a 503 that names it.

    An advisory is a check of something without which the node still serves: it is shown beside the
    others, and its problem is a warning.
    The answer comes within two seconds, also where a check gets none.
    A reason is logged when it appears and when it is gone, not at every probe.
    """

    def __init__(
        self,
        checks: Callable[[], Mapping[str, Check]],
        warnings: Callable[[], Mapping[str, str]] = dict,
        advisories: Callable[[], Mapping[str, Check]] = dict,
    ) -> None:
        """Prepares the endpoint.

        Args:
            checks: returns the checks by name; called for each probe.
            warnings: returns what the operator should know although the node can serve, by name;
                called for each probe.
            advisories: returns the checks that make no 503, by name; called for each probe.
        """
        self._checks, self._warnings, self._advisories = checks, warnings, advisories
        self._logged_reasons: Mapping[str, str] = {}

    async def endpoint(self, request: Request) -> Response:
        request.scope["route_template"] = "/ready"
        request.scope["failure_logged"] = True
        checks, advisories = self._checks(), self._advisories()
        every = {**checks, **advisories}
        problems = await asyncio.gather(*map(_problem, every.values()))
        results = dict(zip(every, problems, strict=True))
        failing = {name: problem for name in checks if (problem := results[name])}
        advised = {name: problem for name in advisories if (problem := results[name])}
        self._log_change(failing)
        body: dict[str, object] = {
            "ready": not failing,
            "checks": {name: problem or "ok" for name, problem in results.items()},
        }
        if warnings := {**self._warnings(), **advised}:
            body["warnings"] = warnings
        if failing:
            first, problem = next(iter(failing.items()))
            body["error"] = body["message"] = f"{first}: {problem}"
        return JsonResponse(body, status_code=503 if failing else 200)

    async def first_problem(self) -> str | None:
        """Returns the name of the first check that fails, with its reason; None if all are well."""
        checks = self._checks()
        problems = await asyncio.gather(*map(_problem, checks.values()))
        found = (
            f"{name}: {problem}" for name, problem in zip(checks, problems, strict=True) if problem
        )
        return next(found, None)

    def _log_change(self, failing: Mapping[str, str]) -> None:
        # A number that changes, such as a lag, is not a new reason.
        reasons = {name: _NUMBER.sub("#", problem) for name, problem in failing.items()}
        if reasons == self._logged_reasons:
            return
        self._logged_reasons = reasons
        log = logger.info if not failing or "startup" in failing else logger.warning
        log("readiness_changed", ready=not failing, failing=dict(failing))


async def _problem(check: Check) -> str | None:
    """Runs a check; those that ask Postgres end earlier, with a reason of their own."""
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {_CHECK_SECONDS:g} seconds"
