"""An hour at a steady load: nothing grows, and every text has one callback.

    python -m tests.benchmarks.soak --minutes 60 --rate 100 --inbound 100

200 instances accept texts, and people write to them. All of them come from a finite set: each
instance has chats with 50 of 5,000 people. WhatsApp is in memory (`soak_gateway`), and a receiver
in its own process takes a callback for each text and each message that came in. Every few seconds
it reads memory, descriptors, tasks, connections and waiting rows; it prints a line per minute, and
in the end how much each rises. What is over a second late is left out and counted, so the load
stays the same after the machine stood still.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg

from tests.benchmarks.enqueue import TOKEN, process
from tests.benchmarks.figures import number, operator_of
from tests.benchmarks.harness import SECRET, add_instances, fresh_database, main, percentile, say
from tests.benchmarks.soak_load import Callbacks, SoakLoad, people_of
from tests.benchmarks.soak_samples import Sampler
from tests.fixtures.service import free_port, until

_DRAIN_SECONDS = 120.0
_REPEAT_SECONDS = 5.0  # for a second callback of the last texts
_CONNECTED = "select count(*) from instance_lines where connected and instance_id like 'BENCH%'"
_SHOWN = ("gateway RSS MiB", "gateway USS MiB", "gateway descriptors", "tasks", "connections")


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the arguments of the command line, or *words*."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=100.0, help="texts per second")
    parser.add_argument("--inbound", type=float, default=100.0, help="messages in per second")
    parser.add_argument("--instances", type=int, default=200)
    parser.add_argument("--receipts", action="store_true", help="receipts, and one answer in ten")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two readings")
    parser.add_argument("--csv", type=Path, help="a file for all readings")
    return parser.parse_args(words)


async def prepare(operator: psycopg.AsyncConnection, hook: str) -> None:
    """Sets the webhooks, and lets the gateway know every number, as after some days of use."""
    await operator.execute(
        """update instances set delivery_callback_url = %(hook)s, received_callback_url = %(hook)s,
                                message_status_callback_url = %(hook)s""",
        {"hook": hook},
    )
    cursor = await operator.execute("select id from instances")
    for (instance_id,) in await cursor.fetchall():
        await operator.execute(
            """insert into whatsapp_numbers (instance_id, spelling, phone)
               select %s, p, p from unnest(%s::text[]) p""",
            [instance_id, people_of(instance_id)],
        )
    await operator.execute("analyze")


@asynccontextmanager
async def receiver(callbacks: Callbacks) -> AsyncIterator[str]:
    """Yields the URL of a receiver, whose callbacks *callbacks* takes."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.soak_receiver"), stdout=subprocess.PIPE
    )
    output = child.stdout
    assert output is not None
    port = int(await output.readline())

    async def read() -> None:
        async for line in output:
            callbacks.called(line.decode().rstrip())

    reading = asyncio.create_task(read())
    try:
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        reading.cancel()
        child.kill()
        await child.wait()


class Inbound:
    """Messages that people write, which the provider in the gateway reports."""

    def __init__(self, port: int) -> None:
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/sandbox", timeout=30)
        self.reported = self.left_out = 0

    async def start(self, per_second: float) -> None:
        await self._http.post("/inbound", params={"per_second": per_second})

    async def look(self) -> None:
        answer = (await self._http.get("/inbound")).json()
        self.reported, self.left_out = answer["reported"], answer["left_out"]

    async def close(self) -> None:
        await self._http.aclose()


class Soak:
    """A running gateway and its load: readings, a line each minute, and what grew."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        load: SoakLoad,
        inbound: Inbound,
        sampler: Sampler,
        callbacks: Callbacks,
    ) -> None:
        self.sampler, self.callbacks = sampler, callbacks
        self._arguments, self._load, self._inbound = arguments, load, inbound
        self._p99s: list[float] = []

    async def run(self) -> None:
        """Runs for the minutes of the arguments."""
        await self._under_load(self._watch())
        self._report()

    async def burst(self, seconds: float) -> None:
        """Runs for so long without readings."""
        await self._under_load(asyncio.sleep(seconds))

    async def _under_load(self, work: Awaitable[None]) -> None:
        stopping = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._load.run_until(stopping))
            await self._inbound.start(self._arguments.inbound)
            await work
            await self._inbound.start(0)
            stopping.set()
        await self._inbound.look()
        await self._drain()

    async def _drain(self) -> None:
        async def missing() -> int:
            return self.callbacks.waiting + self._inbound.reported - self.callbacks.received

        try:
            await until(missing, lambda n: n == 0, seconds=_DRAIN_SECONDS)
        except TimeoutError:
            say(f"  WRONG: {await missing()} callbacks are missing")
        await asyncio.sleep(_REPEAT_SECONDS)

    async def _watch(self) -> None:
        began = told = time.monotonic()
        rows = list[dict[str, float]]()
        while (now := time.monotonic()) - began < self._arguments.minutes * 60:
            await asyncio.sleep(self._arguments.every)
            rows.append(await self.sampler.read((time.monotonic() - began) / 3_600))
            if time.monotonic() - told >= 60.0 - self._arguments.every / 2:
                await self._say_minute((now - began) / 60, rows)
                told, rows = time.monotonic(), []

    async def _say_minute(self, minute: float, rows: list[dict[str, float]]) -> None:
        await self._inbound.look()
        taken = self._load.taken() or [0.0]
        self._p99s.append(percentile(taken, 99))
        shown = ", ".join(
            f"{name.removeprefix('gateway ')} {statistics.median(r[name] for r in rows):.1f}"
            for name in _SHOWN
        )
        if self._arguments.csv:
            self.sampler.write(self._arguments.csv)
        waiting = max(row["waiting rows"] for row in rows)
        say(
            f"  {minute:3.0f} min: {self.callbacks.accepted} accepted "
            f"(p50 {percentile(taken, 50):.1f}, p99 {self._p99s[-1]:.1f} ms), "
            f"{self._load.left_out} left out, {self._load.refused} refused; "
            f"{self._inbound.reported} in, "
            f"{self._inbound.left_out} left out; {shown}; at most {waiting:.0f} rows wait, "
            f"oldest without callback {self.callbacks.oldest_seconds:.1f} s"
        )

    def _report(self) -> None:
        minutes, callbacks = self._arguments.minutes, self.callbacks
        say(
            f"soak: {callbacks.accepted / minutes / 60:.1f} texts/s accepted, "
            f"{self._inbound.reported / minutes / 60:.1f} messages/s in, for {minutes:g} min; "
            f"p99 of a minute {min(self._p99s, default=0):.1f} to "
            f"{max(self._p99s, default=0):.1f} ms"
        )
        for line in self.sampler.report():
            say(line)
        say(
            f"  texts: {callbacks.accepted} accepted, {callbacks.delivered} with a callback, "
            f"{callbacks.waiting} without, {callbacks.unmatched} callbacks too many, "
            f"{self._load.refused} refused, {self._load.left_out} left out"
        )
        say(
            f"  messages in: {self._inbound.reported} reported, {callbacks.received} with a "
            f"callback, {callbacks.repeated} callbacks too many, {self._inbound.left_out} left out"
        )


@asynccontextmanager
async def soaking(server_url: str, arguments: argparse.Namespace) -> AsyncIterator[Soak]:
    """Yields a gateway whose instances are connected, without load yet."""
    callbacks, port = Callbacks(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            fresh_database(server_url) as url,
            operator_of(url) as operator,
            receiver(callbacks) as hook,
        ):
            instance_ids = await add_instances(url, arguments.instances, token=TOKEN)
            await prepare(operator, hook)
            async with process(
                "tests.benchmarks.soak_gateway",
                "serve",
                port=port,
                path="/ready",
                DATABASE_URL=url,
                GATEWAY_ENV="development",
                GATEWAY_PORT=str(port),
                GATEWAY_INTERNAL_PORT=str(port + 1),
                GATEWAY_DATA_DIR=folder,
                GATEWAY_SECRET_KEY=SECRET,
                GATEWAY_LOG_LEVEL="WARNING",
                GATEWAY_PACE_MIN_SECONDS="0",
                GATEWAY_PACE_MAX_SECONDS="0",
                STEADY_RECEIPTS="true" if arguments.receipts else "false",
            ) as pid:
                await until(
                    lambda: number(operator, _CONNECTED),
                    lambda n: n == arguments.instances,
                    seconds=300,
                )
                sampler, inbound = Sampler(operator, pid, port + 1), Inbound(port)
                load = SoakLoad(port, instance_ids, arguments.rate, callbacks)
                try:
                    yield Soak(arguments, load, inbound, sampler, callbacks)
                finally:
                    await sampler.close()
                    await inbound.close()


async def run(server_url: str) -> None:
    arguments = arguments_of()
    say(
        f"soak: {arguments.instances} instances, {arguments.rate:g} texts/s, "
        f"{arguments.inbound:g} messages/s in, {arguments.minutes:g} min"
    )
    async with soaking(server_url, arguments) as soak:
        await soak.run()


if __name__ == "__main__":
    main(run)
