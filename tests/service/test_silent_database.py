"""A database host that takes bytes and answers nothing, as a network that is cut leaves it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.fixtures.postgres_proxy import bad_connection
from tests.fixtures.service import Client, client_of, running_gateway, until

TEXT = {"phone": "5511999999999", "message": "hello"}
MAX_DRIVER_LINES = 4
RunSql = Callable[..., Awaitable[list[tuple[Any, ...]]]]


async def send(client: Client) -> httpx.Response:
    return await client.call("POST", "/send-text", json=TEXT)


async def send_until_accepted(client: Client) -> str:
    accepted = await until(
        lambda: send(client), lambda answer: answer.status_code == httpx.codes.OK
    )
    return str(accepted.json()["messageId"])


async def sent_ids(client: Client) -> list[str]:
    return [row["messageId"] for row in await client.sent()]


async def test_gateway_gives_up_a_silent_host_and_keeps_its_sessions(
    tmp_path: Path, database_url: str, run_sql: RunSql
) -> None:
    async def has_lapsed() -> bool:
        ((lapsed,),) = await run_sql("select expires_at < now() from nodes")
        return bool(lapsed)

    async with bad_connection(database_url) as proxy:
        with running_gateway(
            tmp_path,
            proxy.url,
            GATEWAY_STATEMENT_SECONDS="1",
            GATEWAY_LEASE_SECONDS="2",
        ) as gateway:
            await gateway.ready()
            async with client_of(gateway) as client:
                accepted = [await send_until_accepted(client)]
                await client.sent_at_least(1)

                proxy.freeze()
                answers = await asyncio.gather(*(send(client) for _ in range(20)))
                unready = await gateway.get("/ready")
                alive = await gateway.get("/health")
                await until(has_lapsed, bool)
                proxy.thaw()
                accepted.append(await send_until_accepted(client))
                await gateway.ready()
                sent = await until(partial(sent_ids, client), lambda ids: accepted[-1] in ids)
            log = gateway.log
            gateway.kill()  # a polite end would wait for the proxy of this process

    assert {answer.status_code for answer in answers} == {httpx.codes.SERVICE_UNAVAILABLE}
    assert unready.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert unready.json()["checks"]["postgres"] == "Postgres did not answer within 1.5 seconds"
    assert alive.status_code == httpx.codes.OK
    assert [each for each in sent if each in accepted] == accepted
    assert len(set(sent)) == len(sent)
    assert log.count('"event":"connection_changed"') == 1
    assert '"sessions":1,"closed":0' in log
    assert log.count('"logger":"psycopg.pool"') <= MAX_DRIVER_LINES
    assert "unexpected_error" not in log
