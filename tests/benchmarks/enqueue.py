"""Accepting messages over HTTP, against a route that does nothing and against pgbench.

The gateway is one process with authentication, then two, on a durable database; its instances
are connected nowhere, so that accepting is all it does.
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from psycopg.conninfo import conninfo_to_dict

from tests.benchmarks.harness import (
    SECRET,
    Rounds,
    Side,
    add_instances,
    fresh_database,
    main,
    say,
)
from tests.fixtures.service import free_port

TOKEN = "0123456789ABCDEF0123456789ABCDEF"
_INSTANCES, _CONNECTIONS, _PGBENCH_CLIENTS = 200, 64, 32
_SECONDS, _ROUNDS = 4.0, 5
_BODY = json.dumps({"phone": "5511999999999", "message": "Your order 4711 is on its way."})
# The row that one accepted message makes.
_STATEMENT = """\\set line random(1, 200)
\\set n random(1, 9000000000000000)
insert into message_queue (instance_id, zaap_id, message_id, type, version, phone, payload,
    priority, max_attempts, sequence_number, position, status, due_at)
values ('PGBENCH' || :line, md5(:n::text), md5(:n::text), 'send-text', 1, '5511999999999',
    '{"phone": "5511999999999", "message": "Your order 4711 is on its way.", "priority": 1}', 1, 3,
    :n, :n, 'pending', now());
"""


@asynccontextmanager
async def process(*arguments: str, port: int, path: str, **environment: str) -> AsyncIterator[int]:
    """A server, from when it answers *path* until it is told to end; yields its process id."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env={**inherited, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            while not await _answers(http, path):
                assert server.returncode is None, f"{arguments} ended"
                await asyncio.sleep(0.1)
        yield server.pid
    finally:
        server.terminate()
        await server.wait()


async def _answers(http: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await http.get(path)).status_code != httpx.codes.SERVICE_UNAVAILABLE
    except httpx.TransportError:
        return False


def gateway(url: str, port: int, data_dir: str, **environment: str) -> Any:
    """`gateway serve`."""
    return process(
        "gateway",
        "serve",
        port=port,
        path="/ready",
        DATABASE_URL=url,
        GATEWAY_ENV="development",
        GATEWAY_PORT=str(port),
        GATEWAY_INTERNAL_PORT="0",
        GATEWAY_DATA_DIR=data_dir,
        GATEWAY_SECRET_KEY=SECRET,
        GATEWAY_QUEUE_MAX_WAITING_DISCONNECTED="0",
        GATEWAY_LOG_LEVEL="WARNING",
        GATEWAY_SANDBOX_JOURNAL="false",
        **environment,
    )


def requests_for(instance_ids: list[str]) -> list[bytes]:
    return [
        (
            f"POST /instances/{instance_id}/token/{TOKEN}/send-text HTTP/1.1\r\nHost: bench\r\n"
            "Client-Token: client-token\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(_BODY)}\r\n\r\n{_BODY}"
        ).encode()
        for instance_id in instance_ids
    ]


async def load(port: int, requests: list[bytes]) -> dict[str, float]:
    caller = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.http_load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    words = [str(port), str(_CONNECTIONS), str(_SECONDS)]
    words += [base64.b64encode(request).decode() for request in requests]
    output, _ = await caller.communicate(" ".join(words).encode())
    result: dict[str, float] = json.loads(output)
    return result


async def pgbench(url: str, script: Path) -> float:
    parts = conninfo_to_dict(url)
    caller = await asyncio.create_subprocess_exec(
        os.environ.get("PGBENCH", "pgbench"),
        *("--no-vacuum", "--protocol=prepared", "--jobs=2", f"--client={_PGBENCH_CLIENTS}"),
        *(f"--time={_SECONDS:.0f}", f"--file={script}"),
        *("-h", str(parts["host"]), "-p", str(parts["port"]), "-U", str(parts["user"])),
        str(parts["dbname"]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await caller.communicate()
    for line in output.decode().splitlines():
        if line.startswith("tps = "):
            return float(line.split()[2])
    raise RuntimeError(errors.decode())


async def run(server_url: str) -> None:
    say(f"enqueue: {_CONNECTIONS} connections, {_INSTANCES} instances, {_SECONDS:g} s a round")
    port, two_port, noop_port, latencies = free_port(), free_port(), free_port(), list[float]()
    async with fresh_database(server_url) as url:
        requests = requests_for(await add_instances(url, _INSTANCES, token=TOKEN, wanted=False))
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "enqueue.sql"
            script.write_text(_STATEMENT)

            async def accepting(where: int) -> dict[str, float]:
                result = await load(where, requests)
                assert not result["refused"], result
                return result

            async def ours() -> float:
                result = await accepting(port)
                latencies.append(result["p99"])
                return result["rate"]

            async def two() -> float:
                return (await accepting(two_port))["rate"]

            async def noop() -> float:
                return (await load(noop_port, requests))["rate"]

            async def raw() -> float:
                return await pgbench(url, script)

            sides: dict[str, Side] = {
                "gateway": ours,
                "two workers": two,
                "no-op": noop,
                "pgbench": raw,
            }
            rounds = Rounds("requests/s", sides)
            arguments = ("--port", str(noop_port), "--no-access-log", "--log-level", "error")
            async with (
                gateway(url, port, folder),
                gateway(url, two_port, folder, GATEWAY_WORKERS="2"),
                process(
                    "uvicorn", "tests.benchmarks.noop:app", *arguments, port=noop_port, path="/"
                ),
            ):
                await load(port, requests)
                await load(two_port, requests)
                await rounds.run(_ROUNDS)
    rounds.report()
    rounds.ratio("gateway", "pgbench", aim=0.7)
    rounds.ratio("gateway", "no-op", aim=0.6)
    rounds.ratio("two workers", "pgbench", aim=1.0)
    say(f"  p99 of the gateway: {', '.join(f'{p:.0f}' for p in latencies)} ms (aim 50)")


if __name__ == "__main__":
    main(run)
