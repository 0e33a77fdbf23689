"""Metrics, readiness, error reports and logs show what happened, and no secret."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sentry_sdk.envelope import Envelope
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.runtime.http_server import HttpServer
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

TEXT = {"phone": "5511999999999", "message": "Hello"}


async def scraped(gateway: RunningGateway) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{gateway.internal_port}/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_metrics_count_what_happened(gateway: RunningGateway, client: Client) -> None:
    before = await scraped(gateway)
    for n in range(5):
        await client.send_text(f"text {n}")
    await client.sent_at_least(5)
    await client.call("GET", "/nothing")

    async def now() -> dict[Any, float]:
        return await scraped(gateway)

    sent = ("message_send_attempts_total", (("status", "sent"), ("type", "send-text")))
    seen = await until(now, lambda page: page.get(sent, 0) == 5)

    assert sent not in before
    kind = (("type", "send-text"),)
    assert seen["messages_queued_total", kind] == 5
    assert seen["message_send_duration_seconds_count", kind] == 5
    assert seen["message_queue_latency_seconds_count", kind] == 5
    names = {name for name, _labels in seen}
    assert {
        "child_processes",
        "child_processes_resident_memory_bytes",
        "message_queue_backlog",
        "process_resident_memory_bytes",
        "queue_purged_total",
        "http_requests_total",
        "database_pool_size",
    } <= names
    routes = {dict(labels).get("route", "") for name, labels in seen if name.startswith("http_")}
    assert not any(client.demo.instance_token in route for route in routes)
    assert not any("instance_id" in dict(labels) for _name, labels in seen)


async def test_metrics_have_instance_labels_only_on_request(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(
        tmp_path,
        database_url,
        GATEWAY_METRICS_BY_INSTANCE="true",
        GATEWAY_METRICS_ON_PUBLIC="true",
    ) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.call("POST", "/queue/pause")
            await client.send_text("Hello")
            mine = f'instance_id="{client.demo.instance_id}"'
            waiting = f'message_queue_backlog{{{mine},priority="normal"}} 1.0'

            async def page_now() -> str:
                return (await client.http.get("/metrics")).text

            page = await until(page_now, lambda page: waiting in page)

    assert re.search(rf'messages_queued_total{{.*instance_id="{client.demo.instance_id}"', page)


async def test_metrics_are_not_on_the_public_address(client: Client) -> None:
    assert (await client.http.get("/metrics")).status_code == 404


async def test_readiness_names_every_check(client: Client) -> None:
    answer = await client.http.get("/ready")

    assert answer.status_code == 200
    assert {"postgres", "migrations", "queue lag", "outbox lag", "media storage"} <= set(
        answer.json()["checks"]
    )


async def test_readiness_names_a_missing_function(
    gateway: RunningGateway, client: Client, run_sql: Any
) -> None:
    await run_sql("drop function reported_status_v1")

    answer = await until(
        lambda: client.http.get("/ready"), lambda answer: answer.status_code == 503
    )

    assert "reported_status_v1" in answer.json()["checks"]["migrations"]


async def test_stalled_queue_is_reported_and_goes_on(
    tmp_path: Path, database_url: str, run_sql: Any
) -> None:
    settings = {"GATEWAY_QUEUE_STALLED_SECONDS": "0.9", "GATEWAY_PACE_MAX_SECONDS": "0"}
    with running_gateway(tmp_path, database_url, **settings) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.call("POST", "/queue/pause")
            await client.send_text("abandoned")
            await run_sql(
                """update message_queue
                   set status = 'processing', claimed_epoch = 1, claimed_at = now(),
                       claim_id = gen_random_uuid()"""
            )
            await client.call("POST", "/queue/resume")
            (sent,) = await client.sent_at_least(1)
            ready = await client.http.get("/ready")
            page = await scraped(gateway)
        log = gateway.log

    assert sent["payload"]["message"] == "abandoned"
    assert ready.status_code == 200
    assert ready.json()["warnings"]["stalled queues"].endswith("row_abandoned (1)")
    assert page["message_queue_stalls_total", (("reason", "row_abandoned"),)] == 1
    assert "queue_stalled" in log


_LINES_OF_A_SEND = 3  # acceptance, start and end


async def test_log_of_a_send_has_everything_except_secrets(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(tmp_path, database_url, GATEWAY_LOG_LEVEL="DEBUG") as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            queued = await client.send_text("quixotic zephyr", phone="5511987654321")
            await client.sent_at_least(1)

            async def attempts() -> list[dict[str, Any]]:
                lines = [line for line in gateway.log.splitlines() if line.startswith("{")]
                told = [json.loads(line) for line in lines]
                return [line for line in told if line.get("queue_id") == queued["zaapId"]]

            lines = await until(attempts, lambda lines: len(lines) >= _LINES_OF_A_SEND)
        log = gateway.log[gateway.log.rindex("/sent' -H") :].partition("\n")[2]

    by_event = {line["event"]: line for line in lines}
    assert set(by_event) == {"http_request", "attempt_started", "attempt_ended"}
    assert all(line["instance_id"] == client.demo.instance_id for line in lines)
    ended = by_event["attempt_ended"]
    assert (ended["message_type"], ended["outcome"], ended["reason"]) == ("send-text", "sent", None)
    assert ended["target"]
    for secret in (client.demo.instance_token, client.demo.client_token, "quixotic zephyr"):
        assert secret not in log


_DECODERS = {"gzip": gzip.decompress, "br": brotli.decompress}  # the library prefers Brotli


class LocalSentry:
    """Stands in for Sentry: accepts every envelope, and records the events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def take(self, request: Request) -> Response:
        body = await request.body()
        coding = request.headers.get("content-encoding")
        if coding in _DECODERS:
            body = _DECODERS[coding](body)
        if event := Envelope.deserialize(body).get_event():
            self.events.append(dict(event))
        return Response(b"{}")


@pytest.fixture
async def sentry() -> AsyncIterator[tuple[LocalSentry, str]]:
    local, stopping = LocalSentry(), asyncio.Event()
    app = Starlette(routes=[Route("/api/1/envelope/", local.take, methods=["POST"])])
    server = HttpServer(app, host="127.0.0.1", port=0, drain_seconds=1)
    task = asyncio.create_task(server.run_until(stopping))
    yield local, f"http://key@127.0.0.1:{server.port}/1"
    stopping.set()
    await task


async def test_sentry_gets_only_unexpected_errors(
    tmp_path: Path, database_url: str, sentry: tuple[LocalSentry, str], run_sql: Any
) -> None:
    local, dsn = sentry
    pace = {"GATEWAY_PACE_MIN_SECONDS": "0", "GATEWAY_PACE_MAX_SECONDS": "0"}
    with running_gateway(tmp_path, database_url, GATEWAY_SENTRY_DSN=dsn, **pace) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.control("faults", next=[{"fault": "permanent"}])
            await client.send_text("refused")
            await client.send_text("the next")
            await client.sent_at_least(1)
            await run_sql("alter table idempotency_keys rename to lost")
            key = {"Idempotency-Key": "only this needs the lost table"}
            broken = await client.call("POST", "/send-text", json=TEXT, headers=key)
        await asyncio.to_thread(gateway.stop)

    assert (broken.status_code, broken.json()["error"]) == (500, "Internal server error")
    assert broken.headers["X-Request-Id"]
    (event,) = local.events
    assert event["tags"]["component"] == "api"
    assert event["tags"]["severity"] == "error"
    assert event["tags"]["instance_id"] == client.demo.instance_id
    told = json.dumps(event)
    assert not any(s in told for s in (client.demo.instance_token, client.demo.client_token))
