"""Memory, start time, processor time and send rate of Baileys, beside whatsmeow, in one run.

    PYTHONPATH=. python tests/benchmarks/baileys.py [1 10 50 200]

PSS of the child processes: pages they share are counted once, in parts. whatsmeow runs one process
per instance, as by default, up to MAX_ALONE instances, and 50 in a process beyond.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import psutil

from gateway.contract.zapi.messages.text import SendText
from gateway.database.migrations import migrate
from gateway.sessions.connection import ConnectionState
from tests.fixtures.postgres import PostgresServer, new_database, public_folder, running_postgres
from tests.providers import baileys_node, whatsmeow_node
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake
from tests.providers.whatsmeow_node import OpenSession

MAX_ALONE = 10
_SHARED = 50
_MIB = 1024 * 1024
_SENDS = 100
_AT_ONCE = 8
_MARKS = ("gateway.providers.whatsmeow.child", "main.mjs")

Node = baileys_node.Node | whatsmeow_node.Node
OpenNode = Callable[[], AbstractAsyncContextManager[Node]]


def children() -> list[psutil.Process]:
    own = psutil.Process().children(recursive=True)
    return [p for p in own if p.is_running() and any(m in " ".join(_command(p)) for m in _MARKS)]


def _command(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return command


def processor_seconds() -> float:
    return sum(sum(p.cpu_times()[:2]) for p in children())


async def linked(node: Node, count: int) -> dict[str, str]:
    """Links instances and closes them again; their phones by name."""
    gate, phones = asyncio.Semaphore(_AT_ONCE), {}

    async def one(name: str) -> None:
        async with gate, node.opened(name) as line:
            await line.link()
            phones[name] = line.phone

    await asyncio.gather(*(one(f"instance-{number}") for number in range(count)))
    return phones


async def measure(name: str, open_node: OpenNode, count: int) -> str:
    async with open_node() as node:
        phones = await linked(node, count)
        began = time.monotonic()
        lines = await asyncio.gather(
            *(
                node.stack.enter_async_context(node.opened(instance, phone=phone, epoch=2))
                for instance, phone in phones.items()
            )
        )
        for line in lines:
            await line.until_state(ConnectionState.CONNECTED)
        started = time.monotonic() - began
        processes = children()
        mib = sum(p.memory_full_info().pss for p in processes) / _MIB
        rate, cost = await send_rate(lines)
        after = sum(p.memory_full_info().pss for p in children()) / _MIB
    return (
        f"{name:9} | {count:9} | {len(processes):9} | {mib:8.1f} | {mib / count:12.2f} | "
        f"{started:7.1f} | {rate:6.0f} | {cost:6.1f} | {after:9.1f}"
    )


async def send_rate(lines: list[OpenSession]) -> tuple[float, float]:
    """Returns messages per second of one instance, and milliseconds of processor per message.

    Sender and recipient are counted both.
    """
    sender, phone = lines[0], lines[-1].phone  # one alone writes to itself
    await sender.send(SendText(phone=phone, message="first"), "FIRST")
    began, used = time.monotonic(), processor_seconds()
    for number in range(_SENDS):
        await sender.send(SendText(phone=phone, message="text"), f"OURS{number}")
    cost = (processor_seconds() - used) * 1000 / _SENDS
    return _SENDS / (time.monotonic() - began), cost


def nodes(url: str, folder: Path, whatsapp: FakeWhatsApp, count: int) -> dict[str, OpenNode]:
    """Returns how a node of each provider is opened."""
    shared: dict[str, Any] = {"instances_per_process": 1 if count <= MAX_ALONE else _SHARED}
    return {
        "whatsmeow": lambda: whatsmeow_node.node_at(url, folder, whatsapp, **shared),
        "baileys": lambda: baileys_node.node_at(url, whatsapp, sessions_per_process=_SHARED),
    }


async def main(server: PostgresServer, template: str, counts: list[int]) -> None:
    sys.stdout.write(
        "provider  | instances | processes |  PSS MiB | per instance | start s | send/s | "
        "cpu ms | MiB after\n"
    )
    for count in counts:
        for name in ("whatsmeow", "baileys"):
            with (
                tempfile.TemporaryDirectory() as folder,
                running_fake(Path(folder)) as whatsapp,
                new_database(server, f"bench_{name}_{count}", template) as url,
            ):
                open_node = nodes(url, Path(folder), whatsapp, count)[name]
                sys.stdout.write(await measure(name, open_node, count) + "\n")
                sys.stdout.flush()


def run() -> None:
    counts = [int(argument) for argument in sys.argv[1:]] or [1, 10, 50, 200]
    with public_folder() as folder, running_postgres(folder / "pg") as url:
        server = PostgresServer.at(url)
        with new_database(server, "bench_template", None) as template_url:
            asyncio.run(migrate(template_url))
            asyncio.run(main(server, "bench_template", counts))


if __name__ == "__main__":
    run()
