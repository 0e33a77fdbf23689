"""10,000 connected instances that do nothing: memory, statements at rest, and how fast one wakes.

BENCHMARK_LINES sets another number of instances.
"""

import asyncio
import os
import tempfile
from pathlib import Path

import httpx

from tests.benchmarks.enqueue import TOKEN, gateway
from tests.benchmarks.figures import number, operator_of
from tests.benchmarks.harness import add_instances, fresh_database, main, say
from tests.fixtures.service import free_port, until

_LINES = int(os.environ.get("BENCHMARK_LINES", "10000"))
_REST_SECONDS, _WAKE_SECONDS, _PER_SECOND = 60.0, 10.0, 200
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * _PAGE_MIB


async def wake(port: int, instance_ids: list[str]) -> None:
    """So many messages per second, each to another sleeping line."""
    body = {"phone": "5511999999999", "message": "wake up"}
    async with (
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Client-Token": "client-token"},
            timeout=30,
        ) as http,
        asyncio.TaskGroup() as group,
    ):
        for n in range(int(_WAKE_SECONDS * _PER_SECOND)):
            line = instance_ids[n * 7 % len(instance_ids)]
            path = f"/instances/{line}/token/{TOKEN}/send-text"
            group.create_task(http.post(path, json=body))
            await asyncio.sleep(1 / _PER_SECOND)


async def run(server_url: str) -> None:
    say(f"idle: {_LINES:,} connected instances in one process")
    pace = {"GATEWAY_PACE_MIN_SECONDS": "0", "GATEWAY_PACE_MAX_SECONDS": "0"}
    with tempfile.TemporaryDirectory() as folder:
        async with fresh_database(server_url) as url:
            port = free_port()
            async with gateway(url, port, folder, **pace) as pid, operator_of(url) as operator:
                empty = resident_mib(pid)
                instance_ids = await add_instances(url, _LINES, token=TOKEN)
                connected = """select count(*) from instance_lines
                               where connected and instance_id like 'BENCH%'"""
                await until(lambda: number(operator, connected), lambda n: n == _LINES, seconds=900)
                await asyncio.sleep(_REST_SECONDS / 4)
                above = resident_mib(pid) - empty
                say(f"  memory: {above:.0f} MiB above the empty {empty:.0f} (aim 300)")
                commits = (
                    "select xact_commit from pg_stat_database where datname = current_database()"
                )
                # What it vacuums after so many have connected is not ours, and not rest.
                await operator.execute("alter system set autovacuum = off")
                await operator.execute("select pg_reload_conf()")
                await asyncio.sleep(_REST_SECONDS / 4)
                before = await number(operator, commits)
                await asyncio.sleep(_REST_SECONDS)
                at_rest = (await number(operator, commits) - before) / _REST_SECONDS
                say(f"  at rest: {at_rest:.1f} statements/s (aim 5)")
                await operator.execute("alter system reset autovacuum")
                await operator.execute("select pg_reload_conf()")
                await wake(port, instance_ids)
                waiting = "select count(*) from message_queue"
                await until(lambda: number(operator, waiting), lambda n: n == 0, seconds=300)
                for percent in (50, 99):
                    seconds = await number(
                        operator,
                        f"""select percentile_cont({percent / 100}) within group (
                                order by extract(epoch from attempt_started_at - created_at))
                            from messages""",
                    )
                    shown = f"p{percent} {seconds * 1_000:.0f} ms"
                    say(f"  from accepted to started: {shown} (aim of p99: 50)")


if __name__ == "__main__":
    main(run)
