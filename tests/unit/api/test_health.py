"""An advisory is shown by /ready and makes no 503; a check does."""

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.api.health import Check, Readiness


def answering(problem: str | None) -> Check:
    async def check() -> str | None:
        return problem

    return check


async def answer_of(readiness: Readiness) -> httpx.Response:
    app = Starlette(routes=[Route("/ready", readiness.endpoint)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        return await http.get("/ready")


async def test_problem_of_an_advisory_is_a_warning() -> None:
    readiness = Readiness(
        lambda: {"postgres": answering(None)},
        warnings=lambda: {"public URL": "set it"},
        advisories=lambda: {"kafka": answering("no answer"), "media bucket": answering(None)},
    )
    answer = await answer_of(readiness)

    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": {"postgres": "ok", "kafka": "no answer", "media bucket": "ok"},
        "warnings": {"public URL": "set it", "kafka": "no answer"},
    }


async def test_problem_of_a_check_is_no_warning() -> None:
    readiness = Readiness(lambda: {"kafka": answering("no answer")})
    answer = await answer_of(readiness)

    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "checks": {"kafka": "no answer"},
        "error": "kafka: no answer",
        "message": "kafka: no answer",
    }
