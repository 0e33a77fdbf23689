"""Bad requests put no secret, no text and no unexpected error into the log."""

import asyncio
import json
from typing import Any

from tests.fixtures.bad_requests import GOOD, JSON, cleared, exchange, head
from tests.fixtures.service import Client, RunningGateway, until


async def test_log_holds_no_secret_and_no_text(caller: Client, served: RunningGateway) -> None:
    demo, text = caller.demo, "quixotic zephyr"
    other = "5E5AFE" * 5 + "5E"
    await caller.send_text(text)
    await caller.call("POST", "/send-text", json={**GOOD, "phone": text, "message": text})
    await caller.call("POST", "/send-text", json={**GOOD, "message": [text], "priority": text})
    await caller.call("POST", "/send-text", content=f'{{"message": "{text}', headers=JSON)
    await caller.call("POST", f"/{text}", params={"text": text})
    await caller.call("PATCH", "/send-text", json={"message": text})
    await caller.call("GET", "/queue", params={"page": text})
    await caller.call("DELETE", f"/queue/{text}")
    await caller.call("POST", "/send-text", json=GOOD, headers={"Idempotency-Key": text * 30})
    await caller.http.post(f"/instances/{demo.instance_id}/token/{other}/send-text", json=GOOD)
    await caller.call("POST", "/send-text", json=GOOD, headers={"Client-Token": other})
    await asyncio.to_thread(exchange, served.port, head(caller) + text.encode())
    await asyncio.to_thread(exchange, served.port, f"{text} {other}\r\n\r\n".encode())
    await caller.call("GET", "/nothing", headers={"X-Request-Id": "the-last-one"})
    assert await cleared(caller) == 1

    log = await until(_read_log(served), lambda written: "the-last-one" in written)

    for secret in (demo.instance_token, demo.client_token, demo.partner_token, other, text):
        shown = log.replace(welcome_of(log), "")
        assert secret not in shown
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"http_request", "ready"} <= {line["event"] for line in lines}
    assert {line["instance_id"] for line in lines if line["event"] == "http_request"} >= {
        demo.instance_id
    }


async def test_bad_requests_cause_no_unexpected_error(served: RunningGateway) -> None:
    traces = ("unexpected_error", "Exception in ASGI application", "Traceback")

    assert [word for word in traces if word in served.log] == []


def _read_log(gateway: RunningGateway) -> Any:
    async def read() -> str:
        return gateway.log

    return read


def welcome_of(log: str) -> str:
    """Returns the part of the log that prints the tokens of the demo on purpose."""
    return log[log.index("\nThe gateway is ready at") : log.index("\n", log.rindex("/sent' -H"))]
