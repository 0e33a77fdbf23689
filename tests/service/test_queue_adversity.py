"""What can get into the way of a line, tried on the whole service."""

import asyncio

import httpx
from psycopg import AsyncConnection

from tests.fixtures.service import Client, RunningGateway, until


async def test_an_instance_with_a_full_line_is_deleted_with_all_of_it(
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


async def test_a_line_that_nobody_told_of_its_messages_moves_after_the_sweep(
    client: Client, operator: AsyncConnection
) -> None:
    """As after a notification that was lost: the rows are there and the worker is asleep."""
    await client.call("POST", "/queue/pause")
    accepted = await client.send_text("forgotten")
    await operator.execute("update instance_lines set paused = false")

    sent = await client.sent_at_least(1)

    assert [s["messageId"] for s in sent] == [accepted["messageId"]]


async def test_while_every_connection_to_postgres_is_taken_nothing_is_lost(
    gateway: RunningGateway, client: Client, operator: AsyncConnection
) -> None:
    """A lock on the lines makes each statement about them keep its connection."""
    await client.send_text("before")
    await client.sent_at_least(1)
    async with operator.transaction():
        await operator.execute("lock table instance_lines in access exclusive mode")
        asked = [asyncio.create_task(_send(client, n)) for n in range(30)]
        asked += [asyncio.create_task(client.call("POST", "/queue/resume")) for _ in range(20)]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)  # somebody gave up
    answers = await asyncio.gather(*asked)
    accepted = [a.json()["messageId"] for a in answers[:30] if a.status_code == 200]
    sent = await client.sent_at_least(len(accepted) + 1)

    assert {a.status_code for a in answers} <= {200, 503}
    assert {s["messageId"] for s in sent} >= set(accepted)
    assert gateway.process is not None
    assert gateway.process.poll() is None


async def _send(client: Client, n: int) -> httpx.Response:
    body = {"phone": "5511999999999", "message": f"text {n}"}
    return await client.call("POST", "/send-text", json=body)
