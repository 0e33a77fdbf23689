"""Memory, start time and send rate of whatsmeow sessions, against the fake server.

    PYTHONPATH=. python tests/benchmarks/whatsmeow.py [1 10 50]

PSS of the child processes: pages they share are counted once, in parts.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import psutil

from gateway.contract.zapi.messages.text import SendText
from gateway.database.migrations import migrate
from gateway.sessions.connection import ConnectionState
from tests.fixtures.postgres import PostgresServer, new_database, public_folder, running_postgres
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake
from tests.providers.whatsmeow_node import Node, OpenSession, node_at

_MIB = 1024 * 1024
_SENDS = 100
_SHARED = 50
_AT_ONCE = 4


def children_mib() -> tuple[int, float]:
    own = psutil.Process().children(recursive=True)
    living = [p for p in own if p.status() != psutil.STATUS_ZOMBIE]
    children = [p for p in living if "gateway.providers.whatsmeow.child" in p.cmdline()]
    return len(children), sum(p.memory_full_info().pss for p in children) / _MIB


async def linked(node: Node, count: int) -> dict[str, str]:
    """Links instances and closes them again; their phones by name."""
    gate, phones = asyncio.Semaphore(_AT_ONCE), {}

    async def one(name: str) -> None:
        async with gate, node.opened(name) as line:
            await line.link()
            phones[name] = line.phone

    await asyncio.gather(*(one(f"instance-{number}") for number in range(count)))
    return phones


async def measure(url: str, whatsapp: FakeWhatsApp, count: int, per_process: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with node_at(
            url, Path(folder), whatsapp, keys="file", instances_per_process=per_process
        ) as node:
            phones = await linked(node, count)
            began = time.monotonic()
            lines = [
                await node.stack.enter_async_context(node.opened(name, phone=phone))
                for name, phone in phones.items()
            ]
            for line in lines:
                await line.until_state(ConnectionState.CONNECTED)
            started = time.monotonic() - began
            processes, mib = children_mib()
            rate = await send_rate(lines)
    return (
        f"{count:9} | {per_process:11} | {processes:9} | {mib:8.1f} | {mib / count:12.1f} | "
        f"{started:7.1f} | {rate:6.0f}"
    )


async def send_rate(lines: list[OpenSession]) -> float:
    """Messages per second of one instance, one after the other."""
    sender, phone = lines[0], lines[-1].phone  # one alone writes to itself
    await sender.send(SendText(phone=phone, message="first"), "FIRST")
    began = time.monotonic()
    for number in range(_SENDS):
        await sender.send(SendText(phone=phone, message="text"), f"OURS{number}")
    return _SENDS / (time.monotonic() - began)


async def main(server: PostgresServer, template: str, counts: list[int]) -> None:
    sys.stdout.write(
        "instances | per process | processes |  PSS MiB | per instance | start s | send/s\n"
    )
    for count in counts:
        for per_process in (1, _SHARED):
            with (
                tempfile.TemporaryDirectory() as folder,
                running_fake(Path(folder)) as whatsapp,
                new_database(server, f"bench_{count}_{per_process}", template) as url,
            ):
                sys.stdout.write(await measure(url, whatsapp, count, per_process) + "\n")
                sys.stdout.flush()


def run() -> None:
    counts = [int(argument) for argument in sys.argv[1:]] or [1, 10, 50]
    with public_folder() as folder, running_postgres(folder / "pg") as url:
        server = PostgresServer.at(url)
        with new_database(server, "bench_template", None) as template_url:
            asyncio.run(migrate(template_url))
            asyncio.run(main(server, "bench_template", counts))


if __name__ == "__main__":
    run()
