"""Delivery of callbacks, measured: rate, latency, one that hangs, an outage; all, or those named.

Receivers are processes of their own that answer 200 and look at nothing. The bare loop posts the
same bodies to the same receiver with httpx, with as many at once as is fastest for it.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop
from psycopg import AsyncConnection

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from gateway.instances.store import Instance
from gateway.observability.logging import configure_logging
from gateway.webhooks.circuit_breakers import BreakerLimits
from tests.benchmarks.harness import percentile
from tests.fixtures.delivery import (
    DeliveryNode,
    add_instances_with_webhooks,
    enqueue,
    running_delivery,
    set_delivery_webhook,
)
from tests.fixtures.postgres import public_folder
from tests.fixtures.queue import rows
from tests.fixtures.service import until

RECEIVER = """
import asyncio, sys, time
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
class Receiver(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""
    def data_received(self, data):
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\\r\\n\\r\\n")
            if not found:
                return
            length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            if LOG:
                LOG.write(b"%f %s\\n" % (time.time(), body))
            if ANSWERS:
                self.transport.write(ANSWER)
LOG = open(sys.argv[2], "wb", buffering=0) if sys.argv[2] else None
ANSWERS = sys.argv[1] == "answers"
async def main():
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Receiver, "127.0.0.1", 0) for _ in range(int(sys.argv[3]))]
    print(*(s.sockets[0].getsockname()[1] for s in servers), flush=True)
    await asyncio.Event().wait()
try:
    import uvloop; uvloop.install()
finally:
    asyncio.run(main())
"""
PATIENCE_SECONDS = 1_200.0


@asynccontextmanager
async def receivers(
    count: int = 1, *, log: str = "", answers: bool = True
) -> AsyncIterator[list[str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", RECEIVER),
        *("answers" if answers else "hangs", log, str(count)),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    ports = await process.stdout.readline()
    try:
        yield [f"http://127.0.0.1:{int(port)}/hook" for port in ports.split()]
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def database() -> AsyncIterator[tuple[str, AsyncConnection]]:
    with public_folder() as folder:
        server = EmbeddedPostgres(folder / "pg")
        await server.start()
        try:
            await migrate(server.url)
            async with await AsyncConnection.connect(server.url, autocommit=True) as operator:
                yield server.url, operator
        finally:
            await server.stop()


async def all_posted(operator: AsyncConnection) -> None:
    await until(
        lambda: rows(operator, "select 1 from webhook_lines where pending > 0 limit 1"),
        lambda waiting: not waiting,
        seconds=PATIENCE_SECONDS,
    )


async def tell_many(
    operator: AsyncConnection, instance: Instance, events: int, *, chats: int
) -> None:
    for chat in range(chats):
        await enqueue(operator, instance, range(events // chats), chat=f"55119{chat:08}")


async def rate(events: int = 3_000) -> None:
    """Callbacks a second, against a bare httpx loop."""
    async with database() as (url, operator), receivers() as (receiver,):
        (instance,) = await add_instances_with_webhooks(operator, 1, receiver)
        bodies = [
            f'{{"type": "DeliveryCallback", "chat": "55119{n:08}", "n": {n}}}'
            for n in range(events)
        ]
        bare = max([await _bare(receiver, bodies, at_once) for at_once in (1, 8, 32)])
        print(f"bare httpx loop: {bare:.0f}/s")
        for chats in (events, 100):
            await tell_many(operator, instance, events, chats=chats)
            began, cpu = time.perf_counter(), time.process_time()
            async with running_delivery(url, patience_seconds=PATIENCE_SECONDS):
                await all_posted(operator)
                seconds = time.perf_counter() - began
            cpu = time.process_time() - cpu
            print(
                f"delivery, {chats} chats: {events / seconds:.0f}/s, "
                f"{events / seconds / bare:.2f}x, "
                f"{cpu / events * 1e6:.0f} us of our CPU each"
            )


async def _bare(receiver: str, bodies: list[str], at_once: int) -> float:
    todo = iter(bodies)
    async with httpx.AsyncClient(trust_env=False) as client:

        async def work() -> None:
            for body in todo:
                answer = await client.post(
                    receiver, content=body, headers={"Content-Type": "application/json"}
                )
                assert answer.is_success

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return len(bodies) / (time.perf_counter() - began)


async def latency(a_second: int = 100, seconds: int = 30) -> None:
    """From the commit of an event to its POST."""
    log = f"/tmp/webhook-latency-{os.getpid()}"
    async with database() as (url, operator), receivers(log=log) as (receiver,):
        (instance,) = await add_instances_with_webhooks(operator, 1, receiver)
        async with running_delivery(url, patience_seconds=PATIENCE_SECONDS) as node:
            told = await _tell_at_rate(operator, [instance], node, a_second, seconds)
            await all_posted(operator)
            await asyncio.sleep(1)
    _print_latency("latency", await asyncio.to_thread(_latencies, log, told))


async def _tell_at_rate(
    operator: AsyncConnection,
    instances: list[Instance],
    node: DeliveryNode,
    a_second: int,
    seconds: int,
) -> dict[int, float]:
    told: dict[int, float] = {}
    began = time.perf_counter()
    for n in range(a_second * seconds):
        await asyncio.sleep(max(0.0, began + n / a_second - time.perf_counter()))
        told[n] = time.time()  # before the write, as an event of the provider is
        await enqueue(operator, instances[n % len(instances)], [n], chat=f"chat-{n % 997}")
        node.delivery.wake()
    return told


def _latencies(log: str, told: dict[int, float]) -> list[float]:
    found: dict[int, float] = {}
    for line in Path(log).read_text().splitlines():
        at, _, body = line.partition(" ")
        if (number := json.loads(body)["n"]) in told:
            found[number] = float(at) - told[number]
    Path(log).unlink()
    return sorted(found.values())


def _print_latency(what: str, latencies: list[float]) -> None:
    ms = [1_000 * seconds for seconds in latencies]
    print(
        f"{what}: {len(ms)} posts, p50 {statistics.median(ms):.1f} ms, "
        f"p99 {ms[int(len(ms) * 0.99)]:.1f} ms, longest {ms[-1]:.1f} ms"
    )


async def hanging(a_second: int = 100, seconds: int = 20, rounds: int = 2) -> None:
    """What the others notice when one receiver of a hundred hangs."""
    found: dict[bool, list[float]] = {False: [], True: []}
    order = [False, True]
    for _ in range(rounds):
        for hangs in order:
            latencies = await _beside(hangs=hangs, a_second=a_second, seconds=seconds)
            _print_latency("one of 100 hangs" if hangs else "none hangs", latencies)
            found[hangs] += latencies
        order.reverse()
    for percent in (50, 99):
        without, beside = (1_000 * percentile(found[hangs], percent) for hangs in (False, True))
        print(
            f"all rounds, p{percent}: none hangs {without:.1f} ms, one of 100 hangs {beside:.1f} ms"
            f", {beside / without:.2f} times as long"
        )


async def _beside(*, hangs: bool, a_second: int, seconds: int) -> list[float]:
    """Returns the latencies of 99 receivers; the last of a hundred hangs, or has no callbacks."""
    log = f"/tmp/webhook-hanging-{os.getpid()}"
    async with (
        database() as (url, operator),
        receivers(100, log=log) as addresses,
        receivers(answers=False) as (dead,),
    ):
        instances = await add_instances_with_webhooks(operator, 100, addresses[0])
        for instance, address in zip(instances, addresses, strict=True):
            await set_delivery_webhook(operator, instance, address)
        if hangs:
            await set_delivery_webhook(operator, instances[0], dead)
            await tell_many(operator, instances[0], 1_000, chats=1_000)
        async with running_delivery(
            url,
            timeout_seconds=15.0,
            limits=BreakerLimits(),
            patience_seconds=PATIENCE_SECONDS,
        ) as node:
            told = await _tell_at_rate(operator, instances[1:], node, a_second, seconds)
            await asyncio.sleep(3)
            latencies = await asyncio.to_thread(_latencies, log, told)
            node.delivery.wake()
            return latencies


async def outage(events: int = 200_000, chats: int = 1_000) -> None:
    """What waits after an outage is posted in order, without growing."""
    log = f"/tmp/webhook-outage-{os.getpid()}"
    process = psutil.Process()
    async with database() as (url, operator), receivers(log=log) as (receiver,):
        (instance,) = await add_instances_with_webhooks(operator, 1, receiver)
        await tell_many(operator, instance, events, chats=chats)
        before, highest = process.memory_info().rss, 0
        async with running_delivery(url, patience_seconds=PATIENCE_SECONDS):
            began = time.perf_counter()
            posted = asyncio.create_task(all_posted(operator))
            while not posted.done():
                highest = max(highest, process.memory_info().rss)
                await asyncio.sleep(0.2)
            seconds = time.perf_counter() - began
        await asyncio.sleep(1)
    misplaced = await asyncio.to_thread(_out_of_order, log)
    print(
        f"outage: {events} in {seconds:.0f} s ({events / seconds:.0f}/s), "
        f"out of order {misplaced}, memory {before >> 20} -> {highest >> 20} MiB at most"
    )


def _out_of_order(log: str) -> int:
    last: dict[str, int] = {}
    misplaced = 0
    for line in Path(log).read_text().splitlines():
        body = json.loads(line.partition(" ")[2])
        misplaced += body["n"] != last.get(body["chat"], -1) + 1
        last[body["chat"]] = body["n"]
    Path(log).unlink()
    return misplaced


BENCHMARKS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "rate": rate,
    "latency": latency,
    "hanging": hanging,
    "outage": outage,
}

if __name__ == "__main__":
    configure_logging(level="ERROR", pretty=False)
    for name in sys.argv[1:] or list(BENCHMARKS):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(BENCHMARKS[name]())
