"""The application gives each request an id, answers unknown paths, and logs without secrets."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.account_turns import AccountTurns
from gateway.api.app import build_app
from gateway.api.health import Check, Readiness
from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.instances.accounts import Account
from gateway.observability.metrics import Metrics
from gateway.operations.services import Services
from gateway.parsing.parser import BodyParser
from gateway.send_queue.admission import Admission
from gateway.settings import Settings

DEVELOPMENT = {"GATEWAY_ENV": "development"}
SETTINGS = Settings.read(DEVELOPMENT)
NOW = datetime(2026, 1, 31, tzinfo=UTC)
INSTANCE = "/instances/I/token/SECRET"


async def passing_check() -> str | None:
    return None


async def failing_check() -> str | None:
    return "it broke"


async def break_down(_request: Request) -> Response:
    raise ValueError("broken")


@pytest.fixture
def checks() -> dict[str, Check]:
    return {"database": passing_check}


@pytest.fixture
async def http(checks: Mapping[str, Check]) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that is still starting."""
    async with starting(checks, SETTINGS) as client:
        yield client


@asynccontextmanager
async def starting(
    checks: Mapping[str, Check], settings: Settings, services: Services | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(
        catalogue=catalogue(),
        services=lambda: services,
        readiness=Readiness(lambda: checks),
        settings=settings.http,
        account_limits=SETTINGS.account_limits(),
        admission=Admission(Clock(), trials=False, supports=lambda _provider, _kind: True),
        clock=Clock(),
        random_bytes=lambda count: b"\xab" * count,
        metrics=Metrics(),
        parser=BodyParser(Clock(), Metrics()),
        further_routes=[Route("/break", break_down)],
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


NOT_FOUND = {
    "error": "NOT_FOUND",
    "message": "Unable to find matching target resource method",
}


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/health/", INSTANCE, f"{INSTANCE}/", f"{INSTANCE}/nothing"],
)
async def test_app_unknown_path_answers_404_as_z_api(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


BY_NAME = sorted(
    (method, path.replace("{", "").replace("}", ""))
    for (method, path), operation in catalogue().operations.items()
    if operation.by_name
)


@pytest.mark.parametrize(("method", "path"), BY_NAME)
async def test_app_route_by_name_is_unknown_unless_switched_on(
    http: httpx.AsyncClient, checks: Mapping[str, Check], method: str, path: str
) -> None:
    off = await http.request(method, path)
    async with starting(checks, Settings.read(DEVELOPMENT | {"GATEWAY_NAMED_API": "true"})) as on:
        answer = await on.request(method, path)

    assert (off.status_code, off.json()) == (404, NOT_FOUND)
    assert answer.status_code == 503
    assert answer.json()["success"] is False


class OneAccount:
    """Knows every token."""

    async def find_by_token(self, _token: str) -> Account:
        return Account(
            "A", "Shop", (), client_token_required=False, created_at=NOW, by_partner_token=True
        )


async def test_app_health_by_name_names_the_check_that_fails() -> None:
    settings = Settings.read(DEVELOPMENT | {"GATEWAY_NAMED_API": "true"})
    services = cast("Services", SimpleNamespace(accounts=OneAccount(), turns=AccountTurns()))
    checks = {"media": passing_check, "database": failing_check}
    async with starting(checks, settings, services) as client:
        answer = await client.get(
            "/api/v2/whatsapp/health", headers={"Authorization": "Bearer SECRET"}
        )

    assert answer.status_code == 503
    problem = "database: it broke"
    assert answer.json() == {"success": False, "error": problem, "message": problem}


async def test_app_page_of_an_origin_may_read_a_status_by_name() -> None:
    origin = "https://shop.example.com"
    switched_on = {"GATEWAY_NAMED_API": "true", "GATEWAY_CORS_ORIGINS": origin}
    async with starting({}, Settings.read(DEVELOPMENT | switched_on)) as client:
        answer = await client.get("/api/v2/whatsapp/status/Desk", headers={"Origin": origin})

    assert answer.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/health", "GET, HEAD"), ("PUT", f"{INSTANCE}/send-text", "POST")],
)
async def test_app_wrong_method_answers_405_with_allow(
    http: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await http.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.json() == {"error": "Method not allowed", "message": "Method not allowed"}


async def test_app_before_ready_answers_503_with_retry_after(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{INSTANCE}/send-text", json={})

    assert answer.status_code == 503
    assert answer.json()["error"] == answer.json()["message"] == "The gateway is starting"
    assert int(answer.headers["retry-after"]) > 0


async def test_request_without_id_gets_one(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health")).headers["x-request-id"] == "ab" * 8


@pytest.mark.parametrize("given", ["abc", "x" * 64, "a b-c_d/9"])
async def test_request_with_printable_id_keeps_it(http: httpx.AsyncClient, given: str) -> None:
    answer = await http.get("/nothing", headers={"X-Request-Id": given})

    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"tab\there", b"\xe9"])
async def test_request_with_unusable_id_gets_another(http: httpx.AsyncClient, given: bytes) -> None:
    answer = await http.get("/health", headers=[(b"x-request-id", given)])

    assert answer.headers["x-request-id"] == "ab" * 8


async def test_app_unexpected_error_answers_500_without_its_text(http: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs():
        answer = await http.get("/break")

    assert answer.status_code == 500
    assert answer.json() == {"error": "Internal server error", "message": "Internal server error"}


async def test_app_unexpected_error_answer_has_request_id(http: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs():
        answer = await http.get("/break")

    assert answer.headers["x-request-id"] == "ab" * 8


async def test_health_while_starting_answers_ok(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health")).json() == {"status": "ok"}


async def test_readiness_lists_its_checks(http: httpx.AsyncClient) -> None:
    answer = await http.get("/ready")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"database": "ok"}}


async def test_readiness_with_failing_checks_names_them(
    http: httpx.AsyncClient, checks: dict[str, Check]
) -> None:
    checks["disk"] = failing_check
    checks["other"] = failing_check

    answer = await http.get("/ready")

    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "checks": {"database": "ok", "disk": "it broke", "other": "it broke"},
        "error": "disk: it broke",
        "message": "disk: it broke",
    }


async def test_readiness_with_a_silent_check_names_it(
    http: httpx.AsyncClient, checks: dict[str, Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent_check() -> str | None:
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr("gateway.api.health._CHECK_SECONDS", 0.01)
    checks["silent"] = silent_check
    answer = await http.get("/ready")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "ok",
        "silent": "no answer within 0.01 seconds",
    }


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_probe_is_logged_at_debug_under_its_route(
    http: httpx.AsyncClient,
    checks: dict[str, Check],
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    checks["disk"] = failing_check
    caplog.set_level(logging.DEBUG, logger="gateway")
    with structlog.testing.capture_logs() as logs:
        await http.get(path)

    line = of_request(logs)
    assert (line["route"], line["log_level"]) == (path, "debug")


async def test_readiness_logs_only_changed_reasons(
    http: httpx.AsyncClient, checks: dict[str, Check]
) -> None:
    reasons = ["starting", "starting", "migrating", None, None, "lag of 301.5 seconds"]
    reasons += ["lag of 302 seconds", None]
    with structlog.testing.capture_logs() as logs:
        for reason in reasons:

            async def check(reason: str | None = reason) -> str | None:
                return reason

            checks["database"] = check
            await http.get("/ready")

    assert [(line["event"], line["ready"], line["failing"]) for line in logs] == [
        ("readiness_changed", False, {"database": "starting"}),
        ("readiness_changed", False, {"database": "migrating"}),
        ("readiness_changed", True, {}),
        ("readiness_changed", False, {"database": "lag of 301.5 seconds"}),
        ("readiness_changed", True, {}),
    ]


async def test_request_logs_its_start_and_end_at_debug(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="gateway")
    with structlog.testing.capture_logs() as logs:
        await http.get("/health", headers={"X-Request-Id": "R"})

    assert [(line["event"], line["log_level"], line["request_id"]) for line in logs] == [
        ("http_request_started", "debug", "R"),
        ("http_request", "debug", "R"),
    ]


@pytest.mark.parametrize(("name", "level"), [("startup", "info"), ("database", "warning")])
async def test_readiness_while_starting_logs_no_warning(
    http: httpx.AsyncClient, checks: dict[str, Check], name: str, level: str
) -> None:
    checks[name] = failing_check
    with structlog.testing.capture_logs() as logs:
        await http.get("/ready")

    assert [line["log_level"] for line in logs] == [level]


def of_request(logs: list[Any]) -> dict[str, Any]:
    (line,) = [line for line in logs if line["event"] == "http_request"]
    return dict(line)


async def test_refused_request_is_logged_by_template_without_secrets(
    http: httpx.AsyncClient,
) -> None:
    with structlog.testing.capture_logs() as logs:
        await http.post(
            f"{INSTANCE}/send-text?key=SECRET",
            headers={"Client-Token": "SECRET", "X-Request-Id": "R"},
            json={"phone": "5511999999999", "message": "SECRET"},
        )

    line = of_request(logs)
    assert line.pop("duration_seconds") >= 0
    assert line == {
        "event": "http_request",
        "log_level": "error",
        "method": "POST",
        "route": "/send-text",
        "instance_id": "I",
        "status": 503,
        "request_id": "R",
    }


@pytest.mark.parametrize(
    ("path", "level"), [("/health", "debug"), ("/nothing", "info"), ("/break", "error")]
)
async def test_request_log_level_follows_status(
    http: httpx.AsyncClient, path: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="gateway")
    with structlog.testing.capture_logs() as logs:
        await http.get(path)

    assert of_request(logs)["log_level"] == level
