"""What a send of whatsmeow costs by where its keys are, in one run.

    PYTHONPATH=. python -m tests.benchmarks.keys [sends] [rounds]

    pool     in Postgres, through the connections that all sessions share
    direct   in Postgres, through two connections of each phone's own, as before them
    file     in a file of SQLite

One phone sends texts to another, one after the other. The processor times are of both phones: a
message is encrypted, and decrypted. `wait` is until the send is accepted.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import uvloop
from psycopg.conninfo import conninfo_to_dict

from gateway.contract.zapi.messages.text import SendText
from gateway.database.migrations import migrate
from gateway.sessions.library_pool import LibraryPool, LibraryPoolOptions
from tests.fixtures.postgres import (
    PostgresServer,
    folder_in_memory,
    new_database,
    public_folder,
    running_postgres,
)
from tests.fixtures.whatsmeow import command_of
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake
from tests.providers.whatsmeow_node import Node, OpenSession, Pair, node_at

_WAYS = ("pool", "direct", "file")


class DirectConnections:
    """Leads each client to Postgres itself."""

    def __init__(self, url: str) -> None:
        given = conninfo_to_dict(url)
        parameters = {name: given[name] for name in ("host", "port", "user", "dbname")}
        parameters |= {"sslmode": "disable", "search_path": "whatsmeow"}
        self._url = f"postgresql:///?{urlencode(parameters, quote_via=quote)}"

    async def run_until(self, stopping: asyncio.Event) -> None:
        await stopping.wait()

    async def admit(self, _instance_id: str, _epoch: int) -> str:
        return self._url

    async def admit_visitor(self) -> str:
        return self._url

    async def dismiss(self, _instance_id: str) -> None:
        pass

    defer = release = released = dismiss


@dataclass
class Cost:
    """Seconds of a processor, and the waits of the sends."""

    gateway: float
    children: float
    postgres: float
    waits: list[float]

    def line(self, name: str) -> str:
        sends, waits = len(self.waits), sorted(self.waits)
        each = [1e3 * seconds / sends for seconds in (self.gateway, self.children, self.postgres)]
        return (
            f"{name:7} | {each[0]:7.2f} | {each[1]:8.2f} | {each[2]:8.2f} | {sum(each):6.2f} | "
            f"{1e3 * waits[sends // 2]:8.1f} | {1e3 * waits[sends * 99 // 100]:8.1f}"
        )


def seconds_of(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        spent = process.cpu_times()
        total += spent.user + spent.system
    return total


def postgres_processes(folder: Path) -> list[psutil.Process]:
    own = psutil.Process().children(recursive=True)
    (postmaster,) = [
        process
        for process in own
        if "postgres" in process.name() and any(str(folder) in w for w in command_of(process))
    ]
    return [postmaster, *postmaster.children(recursive=True)]


async def cost_of(sends: int, pair: Pair, postgres: Path) -> Cost:
    ana, bob = pair
    own = psutil.Process()

    def spent() -> tuple[float, float, float]:
        children = [psutil.Process(pid) for pid in {ana.pid, bob.pid}]
        return seconds_of([own]), seconds_of(children), seconds_of(postgres_processes(postgres))

    await send(ana, bob, "warm", 20)
    before, waits = spent(), await send(ana, bob, "measured", sends)
    after = spent()
    gateway, children, server = (b - a for a, b in zip(before, after, strict=True))
    return Cost(gateway, children, server, waits)


async def send(ana: OpenSession, bob: OpenSession, name: str, count: int) -> list[float]:
    waits = []
    for number in range(count):
        began = time.perf_counter()
        await ana.send(SendText(phone=bob.phone, message="text"), f"{name} {number}")
        waits.append(time.perf_counter() - began)
    for number in range(count):
        await ana.wait_for_status(f"{name} {number}")
    ana.forget()
    bob.forget()
    return waits


@contextmanager
def databases(server: PostgresServer) -> Iterator[dict[str, str]]:
    with (
        new_database(server, "pool", None) as pool,
        new_database(server, "direct", None) as direct,
        new_database(server, "file", None) as file,
    ):
        yield dict(zip(_WAYS, (pool, direct, file), strict=True))


async def linked(node: Node, way: str) -> Pair:
    return await node.linked(f"{way}-ana"), await node.linked(f"{way}-bob")


async def measure(
    urls: dict[str, str], whatsapp: FakeWhatsApp, folder: Path, sends: int, rounds: int
) -> None:
    for url in urls.values():
        await migrate(url)

    def direct(_options: LibraryPoolOptions) -> LibraryPool:
        return DirectConnections(urls["direct"])

    async with (
        node_at(urls["pool"], folder / "pool", whatsapp) as one,
        node_at(urls["direct"], folder / "direct", whatsapp, library_pool=direct) as two,
        node_at(urls["file"], folder / "file", whatsapp, keys="file") as three,
    ):
        pairs = {
            way: await linked(node, way) for way, node in zip(_WAYS, (one, two, three), strict=True)
        }
        print("ms for each send:")
        print("keys    | gateway | children | postgres |    all | wait p50 | wait p99")
        for _ in range(rounds):
            for way, pair in pairs.items():
                print((await cost_of(sends, pair, folder / "postgres")).line(way), flush=True)


def main(sends: int, rounds: int) -> None:
    with public_folder(folder_in_memory()) as folder:
        for name in ("whatsapp", *_WAYS):
            (folder / name).mkdir()
        with (
            running_postgres(folder / "postgres") as url,
            running_fake(folder / "whatsapp") as whatsapp,
            databases(PostgresServer.at(url)) as urls,
        ):
            uvloop.run(measure(urls, whatsapp, folder, sends, rounds))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [200, 3][len(given) :]))
