"""`python -m tests.campaigns.observed` shows the lines of docs/observability.md.

They are real: one for each metric and log event that the page names.

It runs a gateway that sends texts and a picture, creates a group, refuses a message and meets an
unexpected error, and prints the first line of its metrics or log that has the name.
"""

import asyncio
import base64
import json
from pathlib import Path

import httpx
from psycopg import AsyncConnection

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.fixtures import media
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

METRICS = (
    "messages_queued_total",
    "message_send_attempts_total",
    "message_send_duration_seconds_count",
    "message_queue_latency_seconds_count",
    "message_queue_backlog",
    "message_queue_oldest_seconds",
    "message_queue_failures_total",
    "message_queue_dead_letters",
    "queue_purged_total",
    "sessions",
    "http_requests_total",
    "http_request_duration_seconds_count",
    "media_files_total",
    "media_bytes_total",
    "media_preparation_seconds_count",
    "webhook_outbox_backlog",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "child_processes",
    "child_processes_resident_memory_bytes",
    "database_pool_size",
    "event_loop_delay_seconds_count",
)
EVENTS = (
    "http_request_started",
    "http_request",
    "attempt_started",
    "attempt_ended",
    "group_changed",
    "connection_changed",
    "unexpected_error",
)
_PICTURE = base64.b64encode(media.picture("PNG")).decode()
_GROUP = {"groupName": "Front desk", "phones": ["5511999990001", "5511999990002"]}


async def act(client: Client, database_url: str) -> None:
    """Makes the gateway do everything that is shown."""
    await client.control("faults", next=[{"fault": "permanent"}])
    await client.send_text("refused")
    await client.send_text("sent")
    await client.call("POST", "/send-image", json={"phone": "5511999990001", "image": _PICTURE})
    await client.sent_at_least(2)
    await client.call("POST", "/create-group", json=_GROUP)
    await client.call("POST", "/queue/pause")
    await client.send_text("waits")
    await client.send_text("waits too")
    removed = await client.send_text("is removed")
    await client.call("DELETE", f"/queue/{removed['zaapId']}")
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("alter table idempotency_keys rename to lost")
        await client.call("POST", "/send-text", json={"phone": "5511999990001", "message": "x"})
        await connection.execute("alter table lost rename to idempotency_keys")


async def observe(gateway: RunningGateway, database_url: str) -> tuple[list[str], list[str]]:
    """Returns the lines of the metrics and of the log."""
    await gateway.ready()
    async with client_of(gateway) as client, httpx.AsyncClient() as http:
        await act(client, database_url)

        async def page() -> list[str]:
            answer = await http.get(f"http://127.0.0.1:{gateway.internal_port}/metrics")
            return answer.text.splitlines()

        waiting = "message_queue_backlog{"
        metrics = await until(
            page, lambda lines: any(each.startswith(waiting) and " 2.0" in each for each in lines)
        )
    await asyncio.to_thread(gateway.stop)
    return metrics, [line for line in gateway.log.splitlines() if line.startswith("{")]


def show(metrics: list[str], log: list[str]) -> None:
    for name in METRICS:
        found = [line for line in metrics if line.startswith((name + "{", name + " "))]
        print(f"| `{name}` | `{found[0] if found else 'MISSING'}` |")
    for event in EVENTS:
        lines = [json.loads(line) for line in log]
        fields = [line for line in lines if line["event"] == event]
        line = max(fields, key=len) if fields else None
        if line:
            line.pop("exception", None)
        print(f"| `{event}` | `{json.dumps(line) if line else 'MISSING'}` |")


async def run(database_url: str, data_dir: Path) -> None:
    settings = {
        "GATEWAY_LOG_LEVEL": "DEBUG",
        "GATEWAY_LOG_FORMAT": "json",
        "GATEWAY_METRICS_BY_INSTANCE": "true",
    }
    with running_gateway(data_dir, database_url, **settings) as gateway:
        show(*await observe(gateway, database_url))


async def main() -> None:
    with public_folder() as folder, public_folder() as data_dir:
        server = EmbeddedPostgres(folder / "pg")
        await server.start()
        try:
            await migrate(server.url)
            await run(server.url, data_dir)
        finally:
            await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
