"""An account reads what its instances did; a killed node loses at most the present period."""

from pathlib import Path
from typing import Any

import httpx

from tests.fixtures.service import Client, client_of, running_gateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher

PATH = "/account/statistics"
TIMES = {"latencyMs", "callbackLagMs", "callbackLagMaxMs", "waiting"}
"""What depends on the speed of the machine."""


async def totals(client: Client, **asked: Any) -> dict[str, int]:
    """Returns the sums over all points that are not zero."""
    bearer = {"Authorization": f"Bearer {client.demo.partner_token}"}
    async with httpx.AsyncClient(base_url=client.demo.base_url, headers=bearer) as http:
        answer = await http.get(PATH, params=asked)
    assert answer.status_code == httpx.codes.OK, answer.text
    sums: dict[str, int] = {}
    for point in answer.json()["points"]:
        for name, value in {**point, **point["failures"]}.items():
            if isinstance(value, int) and value and name not in TIMES:
                sums[name] = sums.get(name, 0) + value
    return sums


async def test_stop_writes_the_traffic_and_kill_loses_at_most_a_period(
    tmp_path: Path, database_url: str
) -> None:
    catcher = WebhookCatcher(answer=lambda number: 500 if number == 0 else 200)
    with running_gateway(tmp_path, database_url, GATEWAY_WEBHOOK_RETRY_BASE_SECONDS="0.05") as node:
        await node.ready()
        async with client_of(node) as client, catcher.serving():
            await client.call("PUT", "/update-webhook-delivery", json={"value": catcher.url})
            await client.control("faults", next=["permanent"])
            for text in ("refused", "one", "two"):
                await client.send_text(text)
            await client.control("receive", phone="5511888888888", text="hello")
            await catcher.wait_for(lambda caught: len(caught.delivered) == 3)
            await until(
                lambda: client.call("GET", "/messages", params={"status": "received"}),
                lambda answer: len(answer.json()["messages"]) == 1,
            )
            code = node.stop()
            node.start()
            await node.ready()
        async with client_of(node) as client:
            written = await totals(client, instanceId=client.demo.instance_id)
            await client.send_text("lost from the sums")
            await client.sent_at_least(3)
            node.kill()
            node.start()
            await node.ready()
            after_kill = await totals(client)

    assert code == 0
    assert written == {
        "accepted": 3,
        "sent": 2,
        "failed": 1,
        "refused": 1,
        "received": 1,
        "callbacksDelivered": 3,
        "callbacksTimed": 3,
        "callbacksFailed": 1,
    }
    with_the_last = {**written, "accepted": 4, "sent": 3}  # where the period ended just before
    assert after_kill in (written, with_the_last)
