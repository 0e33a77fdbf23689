"""Kills Postgres under load, again and again: `python -m tests.campaigns.kills --kills 50`.

Three nodes share one Postgres. One caller for each line sends one message after the other and
repeats a request that got no answer or 503 at another node, with the same Idempotency-Key. Postgres
and all its processes get SIGKILL and are started at once.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from operator import lt, not_
from pathlib import Path
from typing import Final

import psutil
from typer import echo

from gateway.database.migrations import migrate
from gateway.embedded_postgres.postmaster import read_postmaster
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.fixtures.cluster import Cluster, Traffic, running_cluster
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import until

NODES: Final = ("one", "two", "three")
STANDING_SECONDS: Final = 30.0
_UP_SECONDS: Final = (0.5, 3.0)


@dataclass
class KillFigures:
    """What became of the messages of a campaign."""

    kills: int = 0
    accepted: int = 0
    arrived: int = 0
    lost: list[str] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    """Lines that still had waiting messages when no caller had sent for a while."""
    out_of_order: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    """Messages that arrived twice, although no attempt is stored as unconfirmed."""
    outages: list[float] = field(default_factory=list)
    """Seconds from each kill until the next accepted message."""

    @property
    def broken(self) -> bool:
        return bool(self.lost or self.standing or self.out_of_order or self.untold)

    def show(self) -> None:
        echo(f"kills {self.kills}, accepted {self.accepted}, arrived {self.arrived}")
        echo(f"lost {len(self.lost)}, standing still {len(self.standing)}")
        echo(f"out of order {len(self.out_of_order)}")
        echo(f"repeated and reported {len(self.repeated)}: {' '.join(self.repeated)}")
        echo(f"repeated and not reported {len(self.untold)}: {' '.join(self.untold)}")
        if self.outages:
            shown = sorted(self.outages)
            middle = shown[len(shown) // 2]
            echo(f"no message accepted after a kill: median {middle:.1f} s, max {shown[-1]:.1f} s")


async def kill(server: EmbeddedPostgres, data_dir: Path) -> None:
    """Kills every process of the server, as the kernel does, and starts it again."""
    postmaster = read_postmaster(data_dir)
    assert postmaster is not None
    process = psutil.Process(postmaster.pid)
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    await server.start()


async def run(
    server: EmbeddedPostgres,
    data_dir: Path,
    folder: Path,
    *,
    kills: int,
    rate: float,
    lines: int,
    seed: int = 7,
) -> KillFigures:
    """Runs the nodes on *server*, whose data is in *data_dir*.

    Args:
        server: a started Postgres.
        data_dir: of that Postgres.
        folder: for the nodes' data.
        kills: how often Postgres is killed.
        rate: messages per second that the callers send together, at most.
        lines: instances, each with a caller.
        seed: of the pauses between kills.
    """
    chance = random.Random(seed)
    figures = KillFigures()
    async with running_cluster(folder, server.url, NODES, GATEWAY_LEASE_SECONDS="8") as cluster:
        instances = await cluster.add_instances(lines)
        await cluster.all_connected()
        traffic = Traffic(cluster, instances, chance, gap_seconds=lines / rate)
        async with traffic.flowing():
            for number in range(1, kills + 1):
                await asyncio.sleep(chance.uniform(*_UP_SECONDS))
                before, began = traffic.total, asyncio.get_running_loop().time()
                await kill(server, data_dir)
                await until(_total(traffic), partial(lt, before))
                figures.outages.append(asyncio.get_running_loop().time() - began)
                figures.kills = number
        await _count(cluster, traffic, figures)
    return figures


def _total(traffic: Traffic) -> Callable[[], Awaitable[int]]:
    async def look() -> int:
        return traffic.total

    return look


async def _waiting(cluster: Cluster) -> list[str]:
    found = await cluster.rows("select distinct instance_id from message_queue")
    return [str(instance_id) for (instance_id,) in found]


async def _count(cluster: Cluster, traffic: Traffic, figures: KillFigures) -> None:
    figures.accepted = traffic.total
    with suppress(TimeoutError):
        await until(partial(_waiting, cluster), not_, seconds=STANDING_SECONDS)
    figures.standing = await _waiting(cluster)
    journal, unconfirmed = await cluster.arrived(), await cluster.unconfirmed()
    for instance_id, accepted in traffic.accepted.items():
        arrived = [message.message_id for message in journal.get(instance_id, [])]
        figures.arrived += len(arrived)
        figures.lost += sorted(set(accepted) - set(arrived))
        if arrived != [message_id for message_id in accepted if message_id in set(arrived)]:
            figures.out_of_order.append(instance_id)
    for message in (each for messages in journal.values() for each in messages):
        if message.seen > 1 + unconfirmed.get(message.message_id, 0):
            figures.untold.append(message.message_id)
        elif message.seen > 1:
            figures.repeated.append(message.message_id)


async def _main(arguments: argparse.Namespace) -> int:
    with public_folder() as folder, tempfile.TemporaryDirectory() as nodes:
        server = EmbeddedPostgres(folder / "pg")
        await server.start()
        try:
            await migrate(server.url)
            figures = await run(
                server,
                folder / "pg",
                Path(nodes),
                kills=arguments.kills,
                rate=arguments.rate,
                lines=arguments.lines,
                seed=arguments.seed,
            )
        finally:
            await server.stop()
    figures.show()
    return 1 if figures.broken else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rate", type=float, default=40.0, help="messages per second")
    parser.add_argument("--lines", type=int, default=20, help="instances, each with a caller")
    parser.add_argument("--seed", type=int, default=7)
    sys.exit(asyncio.run(_main(parser.parse_args())))


if __name__ == "__main__":
    main()
