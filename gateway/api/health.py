"""Is the process alive, and can it do its work?"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.json_response import JsonResponse

Check = Callable[[], Awaitable[str | None]]
"""None when all is well, else what is wrong."""


async def health(_request: Request) -> Response:
    """Answers as long as the event loop turns."""
    return JsonResponse({"status": "ok"})


class Readiness:
    """Runs the checks; the first that fails makes the answer a 503 that names it."""

    def __init__(self, checks: Callable[[], Mapping[str, Check]]) -> None:
        self._checks = checks

    async def endpoint(self, _request: Request) -> Response:
        results = {name: await check() for name, check in self._checks().items()}
        failing = [name for name, wrong in results.items() if wrong]
        body: dict[str, object] = {
            "ready": not failing,
            "checks": {name: wrong or "ok" for name, wrong in results.items()},
        }
        if failing:
            body["error"] = body["message"] = f"{failing[0]}: {results[failing[0]]}"
        return JsonResponse(body, status_code=503 if failing else 200)
