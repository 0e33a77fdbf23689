"""Take-over: kill -9 one of three nodes that share 300 instances, with default lease and pace.

    python -m tests.benchmarks.take_over [instances] [rounds]

Each line has messages waiting when the node dies; a line moves again when the simulated WhatsApp
gets its next message, by the database's clock.
"""

import asyncio
import random
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import httpx

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from gateway.settings import Settings
from tests.fixtures.cluster import Cluster, Traffic, running_cluster
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import until

NAMES = ("one", "two", "three")
MESSAGES_PER_LINE = 6
UNDER_WAY_SECONDS = 2.0
AT_ONCE = 64
AIM_SECONDS = 15.0


def default(variable: str) -> str:
    return str(Settings.defaults()[variable])


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def enqueue(traffic: Traffic) -> None:
    """The same number of messages for every line, in the order of each."""
    free = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as http:

        async def fill(instance_number: int) -> None:
            instance = traffic.instances[instance_number]
            accepted = traffic.accepted.setdefault(instance.id, [])
            for _ in range(MESSAGES_PER_LINE):
                async with free:
                    text = f"text {len(accepted)}"
                    accepted.append(await traffic.insist(http, instance, text))

        await asyncio.gather(*map(fill, range(len(traffic.instances))))


async def moved_after(
    cluster: Cluster, instance_ids: list[str], killed_at: datetime
) -> list[float]:
    """For each line that moved, after how many seconds."""
    rows = await cluster.rows(
        """select extract(epoch from min(at) - %s)::double precision from sandbox.sent
           where instance_id = any(%s) and at > %s group by instance_id""",
        killed_at,
        instance_ids,
        killed_at,
    )
    return sorted(float(str(seconds)) for (seconds,) in rows)


async def one_round(cluster: Cluster, traffic: Traffic, victim_name: str) -> float:
    """Returns the seconds until every line moved again."""
    count = len(traffic.instances)
    await cluster.rows("update instance_lines set paused = true returning 1")
    await enqueue(traffic)
    await cluster.rows("update instance_lines set paused = false returning 1")
    await cluster.rows("select pg_notify('node:' || node_id, instance_id) from instance_leases")
    await asyncio.sleep(UNDER_WAY_SECONDS)
    holders = await cluster.holders()
    orphans = [i.id for i in traffic.instances if holders[i.id] == victim_name]
    victim = cluster.node(victim_name)
    ((killed_at,),) = await cluster.rows("select clock_timestamp()")
    assert isinstance(killed_at, datetime)
    victim.kill()

    async def moved() -> list[float]:
        return await moved_after(cluster, orphans, killed_at)

    seconds = await until(moved, lambda found: len(found) == len(orphans), seconds=120)
    say(
        f"  {victim_name} dies with {len(orphans)} of {count} lines: they move again after "
        f"{seconds[0]:.1f} s at first, {statistics.median(seconds):.1f} s in the median, "
        f"{seconds[-1]:.1f} s at last"
    )
    victim.start()
    await victim.ready()
    await cluster.arrived_at_least(traffic.total, seconds=300)
    await balanced(cluster)
    return seconds[-1]


async def balanced(cluster: Cluster) -> None:
    ((wanted,),) = await cluster.rows("select count(*) from instances")
    await until(
        cluster.held_by_each,
        lambda held: held.total() == wanted and max(held.values()) - min(held.values()) <= 1,
        seconds=120,
    )
    await cluster.all_connected(seconds=120)


async def report(cluster: Cluster, traffic: Traffic) -> None:
    journal = await cluster.arrived()
    lost = repeated = disordered = 0
    for instance_id, accepted in traffic.accepted.items():
        arrived = [message.message_id for message in journal.get(instance_id, [])]
        lost += len(set(accepted) - set(arrived))
        disordered += arrived != [message for message in accepted if message in set(arrived)]
        repeated += sum(message.seen - 1 for message in journal.get(instance_id, []))
    say(
        f"  {traffic.total} messages: {lost} lost, {disordered} lines out of order, {repeated} "
        f"sent again under their id ({cluster.rescued()} were on their way when a node died)"
    )


async def main(instances: int, rounds: int) -> None:
    with public_folder() as folder, tempfile.TemporaryDirectory() as nodes:
        server = EmbeddedPostgres(folder / "pg")
        await server.start()
        try:
            await migrate(server.url)
            async with running_cluster(
                Path(nodes),
                server.url,
                NAMES,
                GATEWAY_LEASE_SECONDS=default("GATEWAY_LEASE_SECONDS"),
                GATEWAY_PACE_MIN_SECONDS=default("GATEWAY_PACE_MIN_SECONDS"),
                GATEWAY_PACE_MAX_SECONDS=default("GATEWAY_PACE_MAX_SECONDS"),
            ) as cluster:
                say(f"Take-over: {len(NAMES)} nodes, {instances} instances, kill -9 of one node")
                traffic = Traffic(cluster, await cluster.add_instances(instances), random.Random(7))
                await balanced(cluster)
                worst = [
                    await one_round(cluster, traffic, NAMES[number % len(NAMES)])
                    for number in range(rounds)
                ]
                await report(cluster, traffic)
                met = "met" if max(worst) <= AIM_SECONDS else "missed"
                say(
                    f"  all lines move again after {statistics.median(worst):.1f} s in the median "
                    f"of {rounds} rounds, {max(worst):.1f} s at worst "
                    f"(aim {AIM_SECONDS:g} s: {met})"
                )
        finally:
            await server.stop()


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*(given + [300, 3][len(given) :])))
