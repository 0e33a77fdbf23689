"""Bodies too large and connections that break off harm no other request and no stop."""

import asyncio
import json
import os
import re
import socket
from pathlib import Path

import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.fixtures.bad_requests import GOOD, JSON, exchange, head, waiting
from tests.fixtures.postgres import PostgresServer, new_database
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway

MEGABYTE = 1_000_000


def memory_peak_kilobytes(gateway: RunningGateway) -> int:
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.parametrize("announced", [True, False])
async def test_body_of_20_megabytes_is_refused_without_being_stored(
    caller: Client, served: RunningGateway, *, announced: bool
) -> None:
    body = b'{"phone": "5511999999999", "message": "' + b"x" * 20 * MEGABYTE + b'"}'
    if announced:
        written = head(caller, f"Content-Length: {len(body)}") + body
    else:
        chunk = b"%x\r\n%s\r\n" % (len(body), body)
        written = head(caller, "Transfer-Encoding: chunked") + chunk + b"0\r\n\r\n"
    before = memory_peak_kilobytes(served)

    answers = [await asyncio.to_thread(exchange, served.port, written) for _ in range(3)]
    after = await caller.call("GET", "/queue")

    for answer in answers:
        first, _, rest = answer.partition(b"\r\n")
        assert first == b"HTTP/1.1 413 Request Entity Too Large"
        assert json.loads(rest.partition(b"\r\n\r\n")[2]) == {
            "error": "The body is larger than 1048576 bytes",
            "message": "The body is larger than 1048576 bytes",
        }
    assert after.status_code == 200
    assert memory_peak_kilobytes(served) - before < 16_000


async def test_client_that_writes_first_still_reads_413(caller: Client) -> None:
    answer = await caller.call("POST", "/send-text", content=b"x" * 20 * MEGABYTE, headers=JSON)

    assert answer.status_code == 413


async def test_garbage_on_the_wire_gets_an_answer(caller: Client, served: RunningGateway) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        answer = await asyncio.to_thread(exchange, served.port, garbage)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")

    assert (await caller.call("GET", "/queue")).status_code == 200


async def test_client_that_disconnects_leaves_nothing(
    caller: Client, served: RunningGateway
) -> None:
    whole = json.dumps(GOOD).encode()
    halves = [
        b"POST /instances",
        head(caller, "Content-Length: 100")[:-2],
        head(caller, "Content-Length: 100"),
        head(caller, "Content-Length: 100") + whole,
        head(caller, "Transfer-Encoding: chunked") + b"ff\r\n" + whole,
        head(caller, "Transfer-Encoding: chunked") + b"zz\r\n" + whole,
    ]
    for half in halves:
        await asyncio.to_thread(exchange, served.port, half, hang_up=True)
        await asyncio.to_thread(exchange, served.port, half)

    assert await waiting(caller) == 0


async def test_many_broken_connections_do_not_block_others(
    caller: Client, served: RunningGateway
) -> None:
    half = head(caller, "Content-Length: 100") + b"{"

    open_ones = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(100)]
    try:
        for raw in open_ones:
            raw.sendall(half)
        answer = await caller.call("GET", "/queue")
    finally:
        for raw in open_ones:
            raw.close()

    assert answer.status_code == 200


async def test_endless_header_is_refused(caller: Client, served: RunningGateway) -> None:
    written = head(caller)[:-2] + b"X-Long: " + b"x" * MEGABYTE

    answer = await asyncio.to_thread(exchange, served.port, written)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert (await caller.call("GET", "/queue")).status_code == 200


async def test_stop_does_not_wait_for_unfinished_request(
    postgres_server: PostgresServer, migrated_postgres: NoopExecutor, tmp_path: Path
) -> None:
    name, template = f"gateway_slow_client_{os.getpid()}", migrated_postgres.template_dbname
    with (
        new_database(postgres_server, name, template) as url,
        running_gateway(tmp_path, url, GATEWAY_DRAIN_SECONDS="3") as gateway,
    ):
        await gateway.ready()
        async with client_of(gateway) as client:
            with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
                raw.sendall(head(client, "Content-Length: 100") + b"{")
                await client.call("GET", "/queue")
                code = await asyncio.to_thread(gateway.stop)

    assert code == 0, gateway.log[-2_000:]
