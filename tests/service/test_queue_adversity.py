"""The whole service keeps every message through deletions, lost notifications and locks."""

import asyncio

import httpx
from psycopg import AsyncConnection

from tests.fixtures.service import Client, RunningGateway, until


async def test_instance_with_a_full_queue_is_deleted_completely(
    client: Client, operator: AsyncConnection
) -> None:
    await client.call("POST", "/queue/pause")
    await asyncio.gather(*(client.send_text(f"text {n}") for n in range(200)))

    answer = await client.http.delete(
        f"/instances/{client.demo.instance_id}",
        headers={"Authorization": f"Bearer {client.demo.partner_token}"},
    )

    async def left() -> int:
        cursor = await operator.execute("select count(*) from message_queue")
        ((count,),) = await cursor.fetchall()
        return int(count)

    assert answer.status_code == 200, answer.text
    assert await until(left, lambda count: count == 0) == 0
    assert (await client.call("GET", "/queue/count")).status_code == 404
    cursor = await operator.execute("select count(*) from sandbox.sent")
    assert await cursor.fetchall() == [(0,)]


async def test_queue_with_a_lost_notification_moves_after_the_check(
    client: Client, operator: AsyncConnection
) -> None:
    """The notification was lost: the rows are there, and the worker waits for a wake-up."""
    await client.call("POST", "/queue/pause")
    accepted = await client.send_text("waits")
    await operator.execute("update instance_lines set paused = false")

    sent = await client.sent_at_least(1)

    assert [s["messageId"] for s in sent] == [accepted["messageId"]]


async def test_nothing_is_lost_while_all_connections_are_busy(
    gateway: RunningGateway, client: Client, operator: AsyncConnection
) -> None:
    """A lock on the table of queues makes each statement on it keep its connection."""
    await client.send_text("before")
    await client.sent_at_least(1)
    async with operator.transaction():
        await operator.execute("lock table instance_lines in access exclusive mode")
        requests = [asyncio.create_task(_send(client, n)) for n in range(30)]
        requests += [asyncio.create_task(client.call("POST", "/queue/resume")) for _ in range(20)]
        await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)  # one was refused
    answers = await asyncio.gather(*requests)
    accepted = {a.json()["messageId"] for a in answers[:30] if a.status_code == 200}
    # Of a request that was given up, Postgres may still have stored the message.
    sent = await until(client.sent, lambda rows: accepted <= {s["messageId"] for s in rows})

    assert {a.status_code for a in answers} <= {200, 503}
    assert accepted <= {s["messageId"] for s in sent}
    assert gateway.process is not None
    assert gateway.process.poll() is None


async def _send(client: Client, n: int) -> httpx.Response:
    body = {"phone": "5511999999999", "message": f"text {n}"}
    return await client.call("POST", "/send-text", json=body)
