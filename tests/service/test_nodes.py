"""Several nodes share the instances, and take over from each other without loss."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway.embedded_postgres.server import EmbeddedPostgres
from gateway.instances.creation import NewInstance
from tests.fixtures.cluster import LEASE_SECONDS, SECRET, Cluster, Traffic, running_cluster
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.pgbouncer import running_pgbouncer
from tests.fixtures.postgres import PostgresServer, public_folder
from tests.fixtures.service import RunningGateway, running_gateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher

NAMES = ("one", "two", "three")


async def balanced(cluster: Cluster, nodes: int) -> None:
    """Waits until every lease has an owner and no node owns two more than another."""
    ((wanted,),) = await cluster.rows("select count(*) from instances")
    await until(
        cluster.held_by_each,
        lambda held: (
            len(held) == nodes
            and held.total() == wanted
            and max(held.values()) - min(held.values()) <= 1
        ),
    )


async def execute(
    node: RunningGateway, instance: NewInstance, path: str, method: str = "GET", **body: str
) -> httpx.Response:
    async with httpx.AsyncClient(
        base_url=node.base_url, timeout=PATIENCE_SECONDS, trust_env=False
    ) as http:
        return await http.request(
            method,
            f"/instances/{instance.id}/token/{instance.token}{path}",
            json=body or None,
        )


@asynccontextmanager
async def running_role(folder: Path, database_url: str, role: str) -> AsyncIterator[RunningGateway]:
    """A node of one role without a public listener."""
    data_dir = folder / role
    data_dir.mkdir()
    with running_gateway(
        data_dir,
        database_url,
        *("--role", role),
        GATEWAY_NODE_NAME=role,
        GATEWAY_SECRET_KEY=SECRET,
    ) as node:
        async with httpx.AsyncClient(trust_env=False) as http:

            async def look() -> int:
                try:
                    url = f"http://127.0.0.1:{node.internal_port}/ready"
                    return (await http.get(url)).status_code
                except httpx.TransportError:
                    return 0

            await until(look, lambda code: code == httpx.codes.OK)
        yield node


async def test_nodes_share_instances_as_nodes_come_and_go(
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
            assert "three" not in await cluster.leaseholders()
            await balanced(cluster, 2)
        after = await cluster.holders()
        await cluster.all_connected()

    moved = {instance for instance in before if before[instance] != after[instance]}
    assert moved == {instance for instance, name in before.items() if name == "three"}


async def test_nodes_take_over_from_a_killed_node_without_loss(
    tmp_path: Path, database_url: str
) -> None:
    async with running_cluster(tmp_path, database_url, NAMES) as cluster:
        instances = await cluster.add_instances(9)
        await balanced(cluster, 3)
        traffic = Traffic(cluster, instances, random.Random(1), gap_seconds=0.01)
        async with traffic.flowing():
            await cluster.arrived_at_least(50)
            cluster.node("two").kill()
            await balanced(cluster, 2)
            so_far = traffic.total
            await cluster.arrived_at_least(so_far)
        await traffic.assert_promise_kept()


async def test_node_paused_past_its_lease_sends_nothing(tmp_path: Path, database_url: str) -> None:
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


async def test_any_node_answers_for_a_session_of_another(tmp_path: Path, database_url: str) -> None:
    async with running_cluster(tmp_path, database_url, NAMES[:2]) as cluster:
        instances = await cluster.add_instances(5, paired=False)
        await balanced(cluster, 2)
        holders = await cluster.holders()
        instance = next(i for i in instances if holders[i.id] == "two")
        node_one = cluster.node("one")
        codes = [
            (await execute(node, instance, "/phone-code/5511999999999")).json()
            for node in cluster.nodes
        ]
        picture = await execute(node_one, instance, "/qr-code/image")
        restarted = await execute(node_one, instance, "/restart")
        unpaired = await execute(node_one, instance, "/device")
        scanned = await scan(node_one, instance, cluster.client_token)
        device = await execute(node_one, instance, "/device")
        cluster.node("two").kill()
        orphaned = await execute(node_one, instance, "/device")
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
    """Scans with the simulated phone, at a node that does not have its session."""
    async with httpx.AsyncClient(base_url=node.base_url, trust_env=False) as http:
        return await http.post(
            f"/sandbox/{instance.id}/scan",
            json={},
            headers={"Instance-Token": instance.token, "Client-Token": client_token},
        )


async def test_nodes_under_repeated_kill_9_keep_the_promise(
    tmp_path: Path, database_url: str
) -> None:
    """GATEWAY_TEST_KILLS sets how many kills; the default is small."""
    kills, chance = int(os.environ.get("GATEWAY_TEST_KILLS", "6")), random.Random(3)
    async with running_cluster(
        tmp_path,
        database_url,
        NAMES,
        GATEWAY_SANDBOX_LATENCY_MAX_SECONDS="0.02",
        GATEWAY_PACE_MAX_SECONDS="0.02",
    ) as cluster:
        instances = await cluster.add_instances(12)
        await balanced(cluster, 3)
        traffic = Traffic(cluster, instances, chance, gap_seconds=0.02)
        starting: dict[str, asyncio.Task[None]] = {}
        async with traffic.flowing(), asyncio.TaskGroup() as starts:
            for _ in range(kills):
                # A random time, so that the kill hits any step of any message.
                await asyncio.sleep(chance.uniform(0.0, 1.0))
                victim = chance.choice(cluster.nodes)
                if victim.base_url in starting:
                    await starting[victim.base_url]
                victim.kill()
                if chance.random() < 0.5:
                    await asyncio.sleep(chance.uniform(0.0, 2 * LEASE_SECONDS))
                victim.start()
                starting[victim.base_url] = starts.create_task(victim.ready())
        await traffic.assert_promise_kept()
        ((failed,),) = await cluster.rows(
            "select count(*) from message_queue where status = 'failed'"
        )

    assert failed == 0
    print(f"{kills} kills, {traffic.total} messages, {cluster.rescued()} rescued")  # noqa: T201


async def test_node_stopped_gracefully_releases_leases_at_once(
    tmp_path: Path, database_url: str
) -> None:
    """The lease is longer than the test may take: waiting for it to lapse would fail."""
    async with running_cluster(
        tmp_path, database_url, NAMES, GATEWAY_LEASE_SECONDS=str(2 * PATIENCE_SECONDS)
    ) as cluster:
        instances = await cluster.add_instances(9)
        await balanced(cluster, 3)
        await cluster.all_connected()
        traffic = Traffic(cluster, instances, random.Random(4), gap_seconds=0.02)
        async with traffic.flowing():
            await cluster.arrived_at_least(30)
            assert await asyncio.to_thread(cluster.node("one").stop) == 0
            await balanced(cluster, 2)
            await cluster.arrived_at_least(traffic.total)
        await traffic.assert_promise_kept()

    assert cluster.rescued() == 0


async def test_nodes_survive_restarts_of_postgres_under_load(tmp_path: Path) -> None:
    with public_folder() as folder:
        server = EmbeddedPostgres(folder / "pg", durable=True)
        await server.start()
        try:
            async with running_cluster(
                tmp_path, server.url, NAMES, GATEWAY_LEASE_SECONDS="6"
            ) as cluster:
                instances = await cluster.add_instances(9)
                await balanced(cluster, 3)
                traffic = Traffic(cluster, instances, random.Random(5), gap_seconds=0.02)
                async with traffic.flowing():
                    for _ in range(2):
                        await cluster.arrived_at_least(traffic.total + 50)
                        await server.stop()
                        await asyncio.sleep(1)
                        await server.start()
                await traffic.assert_promise_kept()
                await balanced(cluster, 3)
        finally:
            await server.stop()


async def test_nodes_with_separate_roles_work_together(
    tmp_path: Path, database_url: str, catcher: WebhookCatcher
) -> None:
    async with (
        running_cluster(tmp_path, database_url, ["api"], GATEWAY_ROLE="api") as cluster,
        running_role(tmp_path, database_url, "sender"),
        running_role(tmp_path, database_url, "webhooks"),
    ):
        (instance,) = await cluster.add_instances(1, delivery_callback_url=catcher.url)
        node = cluster.node("api")
        answers = [
            await execute(node, instance, "/send-text", "POST", phone="5511999999999", message="1")
            for _ in range(3)
        ]
        await catcher.wait_for(lambda seen: len(seen.of_type("DeliveryCallback")) == 3)
        device = await execute(node, instance, "/device")
        held = await cluster.held_by_each()

    accepted = [answer.json()["messageId"] for answer in answers]
    assert [body["messageId"] for body in catcher.of_type("DeliveryCallback")] == accepted
    assert device.status_code == 200
    assert list(held) == ["sender"]


async def test_nodes_behind_pgbouncer_in_transaction_mode_work(
    tmp_path: Path, database_url: str, postgres_server: PostgresServer
) -> None:
    with running_pgbouncer(postgres_server) as pooled:
        async with running_cluster(
            tmp_path,
            make_conninfo(pooled, dbname=str(conninfo_to_dict(database_url)["dbname"])),
            NAMES[:2],
            GATEWAY_DIRECT_DATABASE_URL=database_url,
        ) as cluster:
            instances = await cluster.add_instances(6)
            await balanced(cluster, 2)
            traffic = Traffic(cluster, instances, random.Random(6), gap_seconds=0.01)
            async with traffic.flowing():
                await cluster.arrived_at_least(100)
                cluster.node("two").kill()
                await balanced(cluster, 1)
                await cluster.arrived_at_least(traffic.total + 50)
            await traffic.assert_promise_kept()
            assert "prepared statement" not in cluster.node("one").log
