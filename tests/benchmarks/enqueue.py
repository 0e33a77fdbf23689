"""Accepting messages over HTTP, against a route that does nothing and against pgbench.

The gateway is one process with authentication, then two, on a durable database; its instances
are connected nowhere, so that accepting is all it does. In another round one worker, Postgres and
the load share one core of two: two workers on both show what the second core and worker add. The
load comes from wrk where this machine has it, and otherwise from a process in Python, which takes
more of the cores that the server needs.
"""

import asyncio
import base64
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from psycopg.conninfo import conninfo_to_dict

from tests.benchmarks.figures import operator_of
from tests.benchmarks.harness import (
    SECRET,
    Rounds,
    Side,
    add_instances,
    fresh_database,
    main,
    say,
)
from tests.benchmarks.measured import Meter
from tests.benchmarks.wrk_load import WRK, load_with_wrk
from tests.fixtures.service import free_port

TOKEN = "0123456789ABCDEF0123456789ABCDEF"
_INSTANCES, _CONNECTIONS, _PGBENCH_CLIENTS = 200, 64, 32
_SECONDS, _ROUNDS = 4.0, int(os.environ.get("BENCHMARK_ROUNDS", "5"))
_CORES, _ONE_CORE = 2, "one worker on one core"
_PGBENCH = os.environ.get("PGBENCH", "pgbench")
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
    async with program(sys.executable, "-m", *arguments, **environment) as server:
        await answering(server, port, path)
        yield server.pid


@asynccontextmanager
async def program(*command: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process without the settings of the caller's gateway, until it is told to end."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    running = await asyncio.create_subprocess_exec(
        *command,
        env={**inherited, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def answering(server: asyncio.subprocess.Process, port: int, path: str) -> None:
    """Waits until the server answers *path*."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        while not await _answers(http, path):
            assert server.returncode is None, f"the server of port {port} ended"
            await asyncio.sleep(0.1)


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


def path_of(instance_id: str) -> str:
    return f"/instances/{instance_id}/token/{TOKEN}/send-text"


def requests_for(instance_ids: list[str]) -> list[bytes]:
    return [
        (
            f"POST {path_of(instance_id)} HTTP/1.1\r\nHost: bench\r\n"
            "Client-Token: client-token\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(_BODY)}\r\n\r\n{_BODY}"
        ).encode()
        for instance_id in instance_ids
    ]


async def load(port: int, instance_ids: list[str]) -> dict[str, float]:
    if WRK:
        paths = [path_of(instance_id) for instance_id in instance_ids]
        return await load_with_wrk(port, paths, _BODY, connections=_CONNECTIONS, seconds=_SECONDS)
    requests = requests_for(instance_ids)
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
        _PGBENCH,
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


@dataclass
class Costs:
    """Microseconds of processor time for each accepted message, of the gateway and of Postgres."""

    meter: Meter
    gateway: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    messages_per_commit: list[float] = field(default_factory=list)

    async def of(self, port: int, instance_ids: list[str]) -> dict[str, float]:
        before = await self.meter.read()
        result = await load(port, instance_ids)
        used = (await self.meter.read()).since(before)
        assert not result["refused"], result
        accepted = result["rate"] * _SECONDS
        self.gateway.append(used.gateway / accepted * 1e6)
        self.postgres.append(used.postgres / accepted * 1e6)
        self.messages_per_commit.append(accepted / used.commits)
        return result

    def show(self, name: str) -> None:
        sums = [sum(each) for each in zip(self.gateway, self.postgres, strict=True)]
        say(
            f"  {name}: {statistics.median(sums):.0f} us of processor time per message (aim 200):"
            f" gateway {statistics.median(self.gateway):.0f}"
            f" + Postgres {statistics.median(self.postgres):.0f};"
            f" {statistics.median(self.messages_per_commit):.0f} messages per commit;"
            f" {statistics.median(1e6 / each for each in sums):,.0f} accepted per second of"
            " processor time"
        )


def _sides_of_gateway(
    one: Costs, both: Costs, ports: tuple[int, int], instance_ids: list[str], latencies: list[float]
) -> dict[str, Side]:
    port, two_port = ports

    async def ours() -> float:
        result = await one.of(port, instance_ids)
        latencies.append(result["p99"])
        return result["rate"]

    async def one_core() -> float:
        with one.meter.on_first_core():
            return (await load(port, instance_ids))["rate"]

    async def two() -> float:
        return (await both.of(two_port, instance_ids))["rate"]

    sides: dict[str, Side] = {"gateway": ours}
    if sys.platform == "linux" and len(os.sched_getaffinity(0)) == _CORES:
        sides[_ONE_CORE] = one_core
    return {**sides, "two workers": two}


async def run(server_url: str) -> None:
    say(f"enqueue: {_CONNECTIONS} connections, {_INSTANCES} instances, {_SECONDS:g} s a round")
    if not WRK:
        say("  WRK IS ABSENT: the load comes from Python and takes a core; two workers show less")
    port, two_port, noop_port, latencies = free_port(), free_port(), free_port(), list[float]()
    arguments = ("--port", str(noop_port), "--no-access-log", "--log-level", "error")
    async with fresh_database(server_url) as url, operator_of(url) as operator:
        instance_ids = await add_instances(url, _INSTANCES, token=TOKEN, wanted=False)
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "enqueue.sql"
            script.write_text(_STATEMENT)
            async with (
                gateway(url, port, folder) as one_pid,
                gateway(url, two_port, folder, GATEWAY_WORKERS="2") as two_pid,
                process(
                    "uvicorn", "tests.benchmarks.noop:app", *arguments, port=noop_port, path="/"
                ),
            ):
                one = Costs(Meter(operator, [one_pid]))
                both = Costs(Meter(operator, [two_pid]))

                sides = _sides_of_gateway(one, both, (port, two_port), instance_ids, latencies)

                async def noop() -> float:
                    return (await load(noop_port, instance_ids))["rate"]

                async def raw() -> float:
                    return await pgbench(url, script)

                sides["no-op"] = noop
                if shutil.which(_PGBENCH):
                    sides["pgbench"] = raw
                else:
                    say(f"  {_PGBENCH.upper()} IS ABSENT: nothing is compared with it")
                rounds = Rounds("requests/s", sides)
                await load(port, instance_ids)
                await load(two_port, instance_ids)
                await rounds.run(_ROUNDS)
    rounds.report()
    one.show("gateway")
    both.show("two workers")
    rounds.ratio("gateway", "no-op", aim=0.6)
    rounds.ratio("two workers", "gateway")
    if _ONE_CORE in sides:
        rounds.ratio("two workers", _ONE_CORE, aim=1.7)
    if "pgbench" in sides:
        rounds.ratio("gateway", "pgbench", aim=0.7)
        rounds.ratio("two workers", "pgbench", aim=1.0)
    say(f"  p99 of the gateway: {', '.join(f'{p:.0f}' for p in latencies)} ms (aim 50)")


if __name__ == "__main__":
    main(run)
