"""After kill -9 a node reopens its sessions at once if the lock proves that it is alone."""

import fcntl
from pathlib import Path

from tests.fixtures.service import Client, client_of, running_gateway, until

LEASE_SECONDS = "900"  # far longer than a test waits


async def connected(client: Client) -> bool:
    return bool((await client.call("GET", "/status")).json()["connected"])


async def test_restart_after_kill_9_does_not_wait_for_the_lease(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(tmp_path, database_url, GATEWAY_LEASE_SECONDS=LEASE_SECONDS) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await until(lambda: connected(client), bool)
        gateway.kill()
        gateway.start()
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.send_text("after the restart")
            await client.sent_at_least(1)
        assert gateway.log.count('"event":"predecessor_gone"') == 1


async def test_restart_waits_while_a_child_process_still_runs(
    tmp_path: Path, database_url: str
) -> None:
    async def waits() -> bool:
        return '"event":"predecessor_found"' in gateway.log

    with running_gateway(tmp_path, database_url, GATEWAY_LEASE_SECONDS=LEASE_SECONDS) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await until(lambda: connected(client), bool)
        gateway.kill()
        (lock,) = (tmp_path / "nodes").glob("*.lock")
        with lock.open("rb") as child:
            fcntl.flock(child, fcntl.LOCK_EX)
            gateway.start()
            await gateway.ready()
            await until(waits, bool)
            async with client_of(gateway) as client:
                await client.send_text("while it waits")
                assert await client.sent() == []
                assert '"event":"predecessor_gone"' not in gateway.log
        async with client_of(gateway) as client:
            await client.sent_at_least(1)
        assert '"event":"predecessor_gone"' in gateway.log


async def test_restart_with_another_data_directory_waits(tmp_path: Path, database_url: str) -> None:
    """The same node name on another machine waits for the lease."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    shared = {
        "GATEWAY_NODE_NAME": "one",
        "GATEWAY_LEASE_SECONDS": LEASE_SECONDS,
        "GATEWAY_SECRET_KEY": "a secret that two gateways share",
    }
    with running_gateway(first, database_url, **shared) as before:
        await before.ready()
        async with client_of(before) as client:
            await until(lambda: connected(client), bool)
        before.kill()
        with running_gateway(second, database_url, **shared) as after:

            async def waits() -> bool:
                return '"event":"predecessor_found"' in after.log

            await after.ready()
            await until(waits, bool)
            assert '"event":"predecessor_gone"' not in after.log
            async with client_of(after) as client:
                await client.send_text("too early")
                assert await client.sent() == []
