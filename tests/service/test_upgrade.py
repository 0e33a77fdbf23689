"""Nodes of the previous release and of this one send on one database."""

import asyncio
import random
from collections import Counter
from pathlib import Path

from tests.fixtures.cluster import SECRET, Cluster, Traffic, running_cluster
from tests.fixtures.previous import unpack_previous_program
from tests.fixtures.service import until
from tests.fixtures.webhook_catcher import WebhookCatcher


async def is_migrated(cluster: Cluster) -> bool:
    ((found,),) = await cluster.rows("select to_regclass('schema_functions') is not null")
    return bool(found)


async def both_hold_leases(cluster: Cluster) -> None:
    """The nodes of both releases have an equal share of the instances."""
    await until(cluster.held_by_each, lambda held: min(held["previous"], held["current"]) >= 2)


async def test_both_releases_send_on_one_database_while_it_migrates(
    tmp_path: Path, empty_database_url: str, catcher: WebhookCatcher
) -> None:
    program = unpack_previous_program(tmp_path / "program")
    async with running_cluster(
        tmp_path, empty_database_url, ["previous"], **program.environment
    ) as cluster:
        instances = program.add_instances(empty_database_url, SECRET, 4, catcher.url)
        await cluster.all_connected()
        migrated_before = await is_migrated(cluster)
        traffic = Traffic(cluster, instances, random.Random(1), gap_seconds=0.1)
        async with traffic.flowing():
            await cluster.arrived_at_least(20)
            async with running_cluster(tmp_path, empty_database_url, ["current"]) as later:
                sent_while_migrating = traffic.total
                migrated_after = await is_migrated(cluster)
                cluster.nodes = [*cluster.nodes, *later.nodes]
                await both_hold_leases(cluster)
                await cluster.all_connected()
                await cluster.arrived_at_least(traffic.total + 40)
                assert await asyncio.to_thread(cluster.nodes[0].stop) == 0
                await cluster.arrived_at_least(traffic.total + 20)
                await traffic.stop()
                await traffic.assert_promise_kept()
                await catcher.wait_for(
                    lambda seen: len(seen.of_type("DeliveryCallback")) >= traffic.total
                )
                rescued = cluster.rescued()
                journal = await cluster.arrived()

    assert not migrated_before
    assert migrated_after
    assert sent_while_migrating > 20
    assert rescued == 0
    assert {message.seen for messages in journal.values() for message in messages} == {1}
    accepted = [message_id for ids in traffic.accepted.values() for message_id in ids]
    delivered = Counter(body["messageId"] for body in catcher.of_type("DeliveryCallback"))
    assert delivered == Counter(accepted)
