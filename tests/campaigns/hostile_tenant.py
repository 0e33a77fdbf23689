"""What attacks of one account do to another: `python -m tests.campaigns.hostile_tenant`.

A gateway has the account limits of production. The good account sends texts at a steady rate, gets
its callbacks, and reads /queue and /ready (`tests/campaigns/good_account.py`).

Quiet windows and windows of the attack alternate, and those of a kind are put together: the p99 of
one short window would be a single request. "noise" is the largest p99 of a quiet window by the
smallest: smaller differences mean nothing.

The control is such a good account on another gateway, with a Postgres of its own on this machine,
which is not attacked. It suffers only from what the programs of the attack and the attacked gateway
take of the processors and of the disk. "beside control" is the p99 under attack by the p99 of the
control at that time: what the attack does through the gateway.

    PYTHONPATH=. .venv/bin/python -m tests.campaigns.hostile_tenant [ATTACK ...]
        [--seconds 10] [--rounds 3]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil
from typer import echo

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.campaigns.good_account import GoodAccount, good_account
from tests.campaigns.hostile_attacks import ATTACKS
from tests.campaigns.hostile_figures import Measured, Memory, Outcome, largest_delay
from tests.campaigns.hostile_server import ATTACKS as SERVERS
from tests.campaigns.hostile_servers import add_account, connected, hostile_server
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Demo, RunningGateway, client_of

HOSTILE_INSTANCES: Final = 20
REST_SECONDS: Final = 3.0
LIMITS: Final = {
    "GATEWAY_ACCOUNT_REQUESTS_PER_SECOND": "200",
    "GATEWAY_INSTANCE_REQUESTS_PER_SECOND": "50",
    "GATEWAY_ACCOUNT_MAX_INSTANCES": "1000",
    "GATEWAY_ACCOUNT_MAX_STORED_BYTES": str(50 * 1024**3),
}
"""The defaults of production, which are off in development."""
_OF_SERVERS: Final = {"files", "receivers"}


def names_of_attacks() -> list[str]:
    """Returns every attack; those that use a hostile server once for each of its ways."""
    ways = [name for name in SERVERS if name != "refusal"]
    return [
        each
        for name in ATTACKS
        for each in ([f"{name}: {way}" for way in ways] if name in _OF_SERVERS else [name])
    ]


@dataclass
class Campaign:
    """The good account of the attacked gateway, that of the control, and the hostile account."""

    good: GoodAccount
    control: GoodAccount | None
    hostile: Sequence[Demo]
    seconds: float
    quiet_seconds: float
    rounds: int = 1
    insists: bool = False
    """Attacks also on a busy machine; then times mean nothing."""

    @property
    def gateway(self) -> RunningGateway:
        return self.good.gateway

    async def measure(self, seconds: float) -> tuple[Measured, Measured]:
        """Returns the figures of the good account, and those of the control at the same time."""
        if self.control is None:
            return await self.good.measure(seconds), Measured()
        both = self.good.measure(seconds), self.control.measure(seconds)
        good, control = await asyncio.gather(*both)
        return good, control

    async def run(self, name: str) -> Outcome:
        """Measures quiet windows and windows of the attack in turn."""
        assert self.gateway.process is not None
        outcome = Outcome(name, Memory(psutil.Process(self.gateway.process.pid)))
        for _ in range(self.rounds):
            quiet, _control = await self.measure(self.quiet_seconds)
            outcome.quiet.append(quiet)
            before = await self.loop_delays()
            watching = asyncio.create_task(outcome.memory.watch())
            attacked, control = await self._attack(name, outcome.answered)
            outcome.attacked.append(attacked)
            outcome.control.append(control)
            watching.cancel()
            await asyncio.wait({watching})
            largest = largest_delay(before, await self.loop_delays())
            outcome.loop_seconds = max(outcome.loop_seconds, largest)
            await self.clear()
        return outcome

    async def _attack(self, name: str, answered: Counter[str]) -> tuple[Measured, Measured]:
        """Measures while the attack runs; adds its statuses to *answered*."""
        attack, _, way = name.partition(": ")
        async with (
            hostile_server(way or "silence") as url,
            self.attacking(attack, url, answered),
        ):
            return await self.measure(self.seconds)

    async def clear(self) -> None:
        """Removes what the attack left waiting, so that the next one is measured alone."""
        headers = {"Client-Token": self.hostile[0].client_token}
        async with httpx.AsyncClient(base_url=self.gateway.base_url, timeout=60) as http:
            for demo in self.hostile:
                path = f"/instances/{demo.instance_id}/token/{demo.instance_token}"
                await http.request("DELETE", f"{path}/queue", headers=headers)
                hook = {"value": ""}
                await http.put(f"{path}/update-every-webhooks", json=hook, headers=headers)
        await asyncio.sleep(REST_SECONDS)

    @asynccontextmanager
    async def attacking(self, name: str, url: str, answered: Counter[str]) -> AsyncIterator[None]:
        """Runs the attack in a process of its own, and adds its statuses to *answered*."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.campaigns.hostile_attacks", name),
            *(["insist"] if self.insists else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin
        assert process.stdout
        first = self.hostile[0]
        routes = [
            f"/instances/{each.instance_id}/token/{each.instance_token}" for each in self.hostile
        ]
        settings = {
            "base_url": self.gateway.base_url,
            "instances": routes,
            "client_token": first.client_token,
            "partner_token": first.partner_token,
            "hostile_url": url,
        }
        try:
            process.stdin.write(json.dumps(settings).encode() + b"\n")
            await process.stdout.readline()  # it is ready
            yield
            process.stdin.close()
            answered.update(json.loads(await process.stdout.readline() or b"{}"))
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def loop_delays(self) -> dict[float, float]:
        """Returns how many delays of the loop were at most so many seconds, from the metrics."""
        url = f"http://127.0.0.1:{self.gateway.internal_port}/metrics"
        async with httpx.AsyncClient(timeout=60) as http:
            text = (await http.get(url)).text
        found: dict[float, float] = {}
        for line in text.splitlines():
            if line.startswith("event_loop_delay_seconds_bucket"):
                limit, _, count = line.partition('le="')[2].partition('"} ')
                found[float(limit)] = float(count)
        return found


@asynccontextmanager
async def running_campaign(
    folder: Path,
    database_url: str,
    *,
    seconds: float,
    quiet_seconds: float,
    rounds: int = 1,
    control_url: str | None = None,
) -> AsyncIterator[Campaign]:
    """Runs a gateway with both accounts, and the control; on migrated databases."""
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(good_account(folder, database_url, LIMITS))
        control = None
        if control_url:
            beside = folder / "control"
            beside.mkdir()
            control = await stack.enter_async_context(good_account(beside, control_url, LIMITS))
        hostile = await add_account(good.gateway, HOSTILE_INSTANCES)
        for each in hostile:
            async with client_of(good.gateway, each) as client:
                await connected([client])
        yield Campaign(good, control, hostile, seconds, quiet_seconds, rounds)


@asynccontextmanager
async def _migrated_server(folder: Path) -> AsyncIterator[str]:
    server = EmbeddedPostgres(folder)
    await server.start()
    try:
        await migrate(server.url)
        yield server.url
    finally:
        await server.stop()


async def _main(names: Collection[str], seconds: float, rounds: int) -> int:
    echo(f"{os.cpu_count()} cores; p50/p99, quiet -> attacked (control at that time)")
    missed = 0
    with public_folder() as folder:
        async with (
            _migrated_server(folder / "pg") as url,
            _migrated_server(folder / "control-pg") as control_url,
            running_campaign(
                folder,
                url,
                seconds=seconds,
                quiet_seconds=seconds,
                rounds=rounds,
                control_url=control_url,
            ) as campaign,
        ):
            await campaign.measure(2.0)  # the first requests are slower
            for name in names:
                outcome = await campaign.run(name)
                outcome.show(load=os.getloadavg()[0])
                missed += outcome.lost_or_failed
    return 1 if missed else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attacks", nargs="*", help="their names, or how those begin")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each window")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each kind, per attack")
    arguments = parser.parse_args()
    begins = tuple(arguments.attacks)
    names = [name for name in names_of_attacks() if not begins or name.startswith(begins)]
    sys.exit(asyncio.run(_main(names, arguments.seconds, arguments.rounds)))


if __name__ == "__main__":
    main()
