"""A server that turns read-only and back, as one that is demoted in place or whose disk is full."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
from psycopg import AsyncConnection
from psycopg.sql import SQL

from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import (
    Client,
    RunningGateway,
    client_of,
    run_command,
    running_gateway,
    until,
)

# Where the error ended the process once, and where each session would end.
MET_THE_ERROR = ('"component":"schedule"', '"component":"leases"')
MAX_DRIVER_LINES = 4
TEXT = {"phone": "5511999999999", "message": "hello"}


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    with public_folder() as folder:
        postgres = EmbeddedPostgres(folder / "pg", durable=False)
        await postgres.start()
        try:
            yield postgres.url
        finally:
            await postgres.stop()


async def set_read_only(url: str, value: str) -> None:
    """Of every session, those that are open included."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("set default_transaction_read_only = off")
        await connection.execute(
            SQL("alter system set default_transaction_read_only = {}").format(SQL(value))
        )
        await connection.execute("select pg_reload_conf()")


async def _logged(gateway: RunningGateway, events: Sequence[str]) -> bool:
    log = gateway.log
    return all(event in log for event in events)


async def send_until_stopped(client: Client, stopping: asyncio.Event) -> list[httpx.Response]:
    answers = []
    while not stopping.is_set():
        answers.append(await client.call("POST", "/send-text", json=TEXT))
    return answers


async def test_gateway_survives_a_read_only_database_and_works_again(tmp_path: Path) -> None:
    stopping = asyncio.Event()
    async with server() as url:
        with running_gateway(tmp_path, url, GATEWAY_STATEMENT_SECONDS="3") as gateway:
            await gateway.ready()
            async with client_of(gateway) as client, asyncio.TaskGroup() as group:
                clients = [
                    group.create_task(send_until_stopped(client, stopping)) for _ in range(5)
                ]
                await client.sent_at_least(20)

                await set_read_only(url, "on")

                refused = await until(
                    lambda: client.call("POST", "/send-text", json=TEXT),
                    lambda answer: answer.status_code != httpx.codes.OK,
                )
                unready = await until(
                    lambda: gateway.get("/ready"),
                    lambda answer: answer.status_code != httpx.codes.OK,
                )
                await until(partial(_logged, gateway, MET_THE_ERROR), bool, seconds=60)
                doctor = await asyncio.to_thread(
                    run_command,
                    "doctor",
                    fails=True,
                    GATEWAY_ENV="development",
                    GATEWAY_DATA_DIR=str(tmp_path),
                    DATABASE_URL=url,
                )
                assert gateway.process is not None
                assert gateway.process.poll() is None, gateway.log[-3000:]

                await set_read_only(url, "off")

                await until(
                    lambda: client.call("POST", "/send-text", json=TEXT),
                    lambda answer: answer.status_code == httpx.codes.OK,
                )
                stopping.set()
            answers = [answer for task in clients for answer in task.result()]
            accepted = {a.json()["messageId"] for a in answers if a.status_code == httpx.codes.OK}
            async with client_of(gateway) as client:
                sent = await client.sent_at_least(len(accepted) + 1, seconds=60)
            log = gateway.log

    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, refused.text
    assert "read-only" in unready.text
    assert {a.status_code for a in answers} == {200, 503}
    assert accepted <= {row["messageId"] for row in sent}
    assert len({row["messageId"] for row in sent}) == len(sent)
    assert "Postgres is read-only: it is a standby" in doctor.stdout
    assert '"error":"Postgres is read-only"' in log
    assert log.count('"logger":"psycopg.pool"') <= MAX_DRIVER_LINES
    assert "unexpected_error" not in log
    assert "part_failed" not in log
