"""Several nodes share the work, and take over from each other."""

import random
import signal
from pathlib import Path

import httpx

from gateway.instances.creation import NewInstance
from tests.fixtures.cluster import LEASE_SECONDS, Cluster, Traffic, running_cluster
from tests.fixtures.service import RunningGateway, until

NAMES = ("one", "two", "three")
PATIENCE_SECONDS = 20.0


async def balanced(cluster: Cluster, nodes: int, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Every instance is held, and no node holds two more than another."""
    ((wanted,),) = await cluster.rows("select count(*) from instances")
    await until(
        cluster.held_by_each,
        lambda held: (
            len(held) == nodes
            and held.total() == wanted
            and max(held.values()) - min(held.values()) <= 1
        ),
        seconds=seconds,
    )


async def ask(
    node: RunningGateway, instance: NewInstance, path: str, method: str = "GET"
) -> httpx.Response:
    async with httpx.AsyncClient(base_url=node.base_url, timeout=35.0, trust_env=False) as http:
        return await http.request(method, f"/instances/{instance.id}/token/{instance.token}{path}")


async def test_instances_are_shared_evenly_as_nodes_come_and_go(
    tmp_path: Path, database_url: str
) -> None:
    async with running_cluster(tmp_path, database_url, NAMES[:2]) as cluster:
        await cluster.add_instances(31)
        await balanced(cluster, 2)
        (tmp_path / "later").mkdir()
        async with running_cluster(tmp_path / "later", database_url, NAMES[2:]) as later:
            await balanced(cluster, 3)
            await cluster.all_connected()
            before = await cluster.holders()
            assert later.nodes[0].stop() == 0
            await balanced(cluster, 2, seconds=LEASE_SECONDS)
        after = await cluster.holders()
        await cluster.all_connected()

    moved = {instance for instance in before if before[instance] != after[instance]}
    assert moved == {instance for instance, name in before.items() if name == "three"}


async def test_a_killed_node_is_taken_over_and_nothing_is_lost_or_reordered(
    tmp_path: Path, database_url: str
) -> None:
    async with running_cluster(tmp_path, database_url, NAMES) as cluster:
        instances = await cluster.add_instances(9)
        await balanced(cluster, 3)
        traffic = Traffic(cluster, instances, random.Random(1), gap_seconds=0.01)
        async with traffic.flowing():
            await cluster.arrived_at_least(50)
            cluster.node("two").kill()
            await balanced(cluster, 2, seconds=LEASE_SECONDS * 2)
            so_far = traffic.total
            await cluster.arrived_at_least(so_far)
        await traffic.assert_promise_kept()


async def test_a_node_that_wakes_after_its_lease_sends_nothing_of_others(
    tmp_path: Path, database_url: str
) -> None:
    async with running_cluster(
        tmp_path,
        database_url,
        NAMES,
        GATEWAY_SANDBOX_LATENCY_MIN_SECONDS="0.01",
        GATEWAY_SANDBOX_LATENCY_MAX_SECONDS="0.05",
    ) as cluster:
        instances = await cluster.add_instances(9)
        await balanced(cluster, 3)
        traffic = Traffic(cluster, instances, random.Random(2), gap_seconds=0.01)
        sleeper = cluster.node("one")
        assert sleeper.process
        async with traffic.flowing():
            for _ in range(2):
                sent = traffic.total
                await cluster.arrived_at_least(sent)
                sleeper.process.send_signal(signal.SIGSTOP)
                await balanced(cluster, 2)
                sleeper.process.send_signal(signal.SIGCONT)
                await balanced(cluster, 3)
        await traffic.assert_promise_kept()
        outdated = await cluster.rows("select 1 from message_queue where status = 'failed'")

    assert not outdated
    assert '"event":"leases_lapsed"' in sleeper.log


async def test_any_node_answers_for_a_session_that_another_holds(
    tmp_path: Path, database_url: str
) -> None:
    async with running_cluster(tmp_path, database_url, NAMES[:2]) as cluster:
        instances = await cluster.add_instances(5, paired=False)
        await balanced(cluster, 2)
        holders = await cluster.holders()
        theirs = next(i for i in instances if holders[i.id] == "two")
        asked = cluster.node("one")
        codes = [
            (await ask(node, theirs, "/phone-code/5511999999999")).json() for node in cluster.nodes
        ]
        picture = await ask(asked, theirs, "/qr-code/image")
        restarted = await ask(asked, theirs, "/restart")
        unpaired = await ask(asked, theirs, "/device")
        scanned = await scan(asked, theirs, cluster.client_token)
        device = await ask(asked, theirs, "/device")
        cluster.node("two").kill()
        orphaned = await ask(asked, theirs, "/device")
        await balanced(cluster, 1)

    assert codes[0] == codes[1]
    assert "code" in codes[0]
    assert picture.status_code == 200
    assert restarted.json() == {"value": True}
    assert (unpaired.status_code, unpaired.json()["error"]) == (503, "You are not connected.")
    assert "Sandbox" in device.text, device.text
    assert scanned.json()["state"] == "connected"
    assert orphaned.status_code == 503
    assert orphaned.headers["retry-after"]


async def scan(node: RunningGateway, instance: NewInstance, client_token: str) -> httpx.Response:
    """Control of the simulated phone, at a node that does not hold its session."""
    async with httpx.AsyncClient(base_url=node.base_url, trust_env=False) as http:
        return await http.post(
            f"/sandbox/{instance.id}/scan",
            json={},
            headers={"Instance-Token": instance.token, "Client-Token": client_token},
        )
