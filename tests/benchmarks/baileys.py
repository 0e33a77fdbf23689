"""Memory, start time and processor time of Baileys, beside whatsmeow, in one run.

    PYTHONPATH=. python tests/benchmarks/baileys.py [--pause] [1 10 50 200]

It links the phones of both providers first, which takes the time, and measures then. With --pause
it waits for a line of input in between, so that other work of the machine can be stopped.

Memory and processor time are those of the child processes. PSS: pages that they share are counted
once, in parts. whatsmeow runs one process per session, as by default, up to MAX_ALONE sessions, and
50 in a process beyond, as Baileys always does. Each message goes to a person who is away.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from gateway.contract.zapi.messages.text import SendText
from gateway.database.migrations import migrate
from gateway.errors import SessionUnavailable
from gateway.observability.logging import configure_logging
from gateway.sessions.connection import ConnectionState
from tests.fixtures.postgres import PostgresServer, new_database, public_folder, running_postgres
from tests.providers import baileys_node, whatsmeow_node
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake
from tests.providers.whatsmeow_node import OpenSession, new_phone

MAX_ALONE = 10
_SHARED = 50
_MIB = 1024 * 1024
_SENDS = 200
_AT_ONCE = 8
_MARKS = ("gateway.providers.whatsmeow.child", "main.mjs")
_PERSON = "person"
_HEADER = (
    "provider  | sessions | processes |  PSS MiB | per session | start s | start cpu s | "
    "send/s | send cpu ms | MiB after"
)

Node = baileys_node.Node | whatsmeow_node.Node


@dataclass
class Fleet:
    """The linked phones of one provider, of which some are opened at a time."""

    provider: str
    url: str
    folder: Path
    whatsapp: FakeWhatsApp
    phones: dict[str, str] = field(default_factory=dict)
    epoch: int = 1

    @asynccontextmanager
    async def node(self, count: int) -> AsyncIterator[Node]:
        if self.provider == "baileys":
            async with baileys_node.node_at(
                self.url, self.whatsapp, sessions_per_process=_SHARED
            ) as node:
                yield node
            return
        shared = 1 if count <= MAX_ALONE else _SHARED
        async with whatsmeow_node.node_at(
            self.url, self.folder, self.whatsapp, instances_per_process=shared
        ) as other:
            yield other

    async def link(self, count: int) -> None:
        """Links this many phones, and that of a person who gets the messages."""
        gate = asyncio.Semaphore(_AT_ONCE)
        async with self.node(1) as node:

            async def link_one(name: str) -> None:
                phone = new_phone()
                async with gate, node.opened(name, phone=phone) as line:
                    while name not in self.phones:
                        # On a busy machine a process may not start in time; it is started again.
                        with contextlib.suppress(SessionUnavailable):
                            await line.link()
                            self.phones[name] = phone

            await link_one(_PERSON)  # alone: it makes the library's tables
            names = [f"instance-{number}" for number in range(count)]
            await asyncio.gather(*map(link_one, names))

    async def measure(self, count: int) -> str:
        self.epoch += 1
        names = [name for name in self.phones if name != _PERSON][:count]
        async with self.node(count) as node:
            began = time.monotonic()
            lines = await asyncio.gather(
                *(
                    node.stack.enter_async_context(
                        node.opened(name, phone=self.phones[name], epoch=self.epoch)
                    )
                    for name in names
                )
            )
            for line in lines:
                await line.until_state(ConnectionState.CONNECTED)
            started, start_cost = time.monotonic() - began, processor_seconds()
            processes, mib = len(children()), memory_mib()
            rate, cost = await self._send(lines[0])
            after = memory_mib()
        return (
            f"{self.provider:9} | {count:8} | {processes:9} | {mib:8.1f} | {mib / count:11.2f} | "
            f"{started:7.1f} | {start_cost:11.1f} | {rate:6.0f} | {cost:11.1f} | {after:9.1f}"
        )

    async def _send(self, sender: OpenSession) -> tuple[float, float]:
        """Returns messages per second of one session, and milliseconds of processor for each."""
        message = SendText(phone=self.phones[_PERSON], message="text")
        await sender.send(message, f"FIRST{self.epoch}")
        began, used = time.monotonic(), processor_seconds()
        for number in range(_SENDS):
            await sender.send(message, f"OURS{self.epoch}X{number}")
        cost = (processor_seconds() - used) * 1000 / _SENDS
        return _SENDS / (time.monotonic() - began), cost


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


def memory_mib() -> float:
    pss: int = sum(p.memory_full_info().pss for p in children())
    return pss / _MIB


@contextmanager
def fleet_of(provider: str, server: PostgresServer, template: str) -> Iterator[Fleet]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_fake(Path(folder)) as whatsapp,
        new_database(server, f"bench_{provider}", template) as url,
    ):
        yield Fleet(provider, url, Path(folder), whatsapp)


def measure_all(server: PostgresServer, template: str, counts: list[int], *, pause: bool) -> None:
    with ExitStack() as stack:
        fleets = [
            stack.enter_context(fleet_of(provider, server, template))
            for provider in ("whatsmeow", "baileys")
        ]
        for fleet in fleets:
            began = time.monotonic()
            asyncio.run(fleet.link(max(counts)))
            seconds = time.monotonic() - began
            print(f"linked {max(counts)} by {fleet.provider} in {seconds:.0f} s", flush=True)
        if pause:
            print("linked; a line of input starts the measurement", flush=True)
            sys.stdin.readline()
        print(_HEADER, flush=True)
        for count in counts:
            for fleet in fleets:
                print(asyncio.run(fleet.measure(count)), flush=True)


def run() -> None:
    configure_logging(level="ERROR", pretty=False)
    arguments = [argument for argument in sys.argv[1:] if argument != "--pause"]
    counts = [int(argument) for argument in arguments] or [1, 10, 50, 200]
    with public_folder() as folder, running_postgres(folder / "pg") as url:
        server = PostgresServer.at(url)
        with new_database(server, "bench_template", None) as template_url:
            asyncio.run(migrate(template_url))
            measure_all(server, "bench_template", counts, pause="--pause" in sys.argv)


if __name__ == "__main__":
    run()
