"""What attacks of one account do to another: `python -m tests.campaigns.hostile_tenant`.

A gateway has the account limits of production. The good account sends texts at a steady rate, gets
its callbacks, and reads /queue and /ready. "accept" is the answer to a send; "sent" is from the
request to the arrival of the DeliveryCallback.

Quiet windows and windows of the attack alternate, and those of a kind are put together: the p99 of
one short window would be a single request. "noise" is the largest p99 of a quiet window by the
smallest: smaller differences mean nothing.

    PYTHONPATH=. .venv/bin/python -m tests.campaigns.hostile_tenant [ATTACK ...]
        [--seconds 10] [--rounds 3]
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
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
from tests.campaigns.hostile_attacks import ATTACKS
from tests.campaigns.hostile_figures import Measured, Memory, Outcome, largest_delay
from tests.campaigns.hostile_server import ATTACKS as SERVERS
from tests.campaigns.hostile_servers import Receiver, add_account, connected, hostile_server
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Client, Demo, RunningGateway, client_of, running_gateway, until

GOOD_INSTANCES: Final = 5
HOSTILE_INSTANCES: Final = 20
SEND_EVERY_SECONDS: Final = 0.1
READ_EVERY_SECONDS: Final = 0.5
REST_SECONDS: Final = 3.0
ARRIVAL_SECONDS: Final = 60.0
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
    """A gateway, the good account with its receiver, and the hostile one."""

    gateway: RunningGateway
    good: Sequence[Client]
    receiver: Receiver
    hostile: Sequence[Demo]
    seconds: float
    quiet_seconds: float
    rounds: int = 1

    async def run(self, name: str) -> Outcome:
        """Measures quiet windows and windows of the attack in turn."""
        assert self.gateway.process is not None
        outcome = Outcome(name, Memory(psutil.Process(self.gateway.process.pid)))
        for _ in range(self.rounds):
            outcome.quiet.append(await self.measure(self.quiet_seconds))
            before = await self.loop_delays()
            watching = asyncio.create_task(outcome.memory.watch())
            outcome.attacked.append(await self._attack(name, outcome.answered))
            watching.cancel()
            await asyncio.wait({watching})
            largest = largest_delay(before, await self.loop_delays())
            outcome.loop_seconds = max(outcome.loop_seconds, largest)
            await self.clear()
        return outcome

    async def _attack(self, name: str, answered: Counter[str]) -> Measured:
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

    async def measure(self, seconds: float) -> Measured:
        """Sends and reads for some seconds, and waits for the callbacks of what was sent."""
        measured, begun = Measured(), dict[str, float]()
        ending = time.perf_counter() + seconds
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(measured, begun, tasks, ending))
            tasks.create_task(self._read(measured, ending))
        arrived = self.receiver.arrived
        with suppress(TimeoutError):
            await until(self._arrived, begun.keys().__le__, seconds=ARRIVAL_SECONDS)
        measured.sent = [arrived[each] - at for each, at in begun.items() if each in arrived]
        measured.lost = len(begun) - len(measured.sent)
        return measured

    async def _arrived(self) -> set[str]:
        return set(self.receiver.arrived)

    async def _send(
        self,
        measured: Measured,
        begun: dict[str, float],
        tasks: asyncio.TaskGroup,
        ending: float,
    ) -> None:
        """Begins a send at each due time, whether the one before was answered or not."""

        async def one(client: Client) -> None:
            at = time.perf_counter()
            body = {"phone": "5511999999999", "message": "text"}
            try:
                answer = await client.call("POST", "/send-text", json=body)
            except httpx.HTTPError as error:
                measured.failed.append(repr(error))
                return
            if answer.status_code != httpx.codes.OK:
                measured.failed.append(f"{answer.status_code} {answer.text[:200]}")
                return
            measured.accepted.append(time.perf_counter() - at)
            begun[answer.json()["messageId"]] = at

        due, clients = time.perf_counter(), itertools.cycle(self.good)
        while due < ending:
            tasks.create_task(one(next(clients)))
            due += SEND_EVERY_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _read(self, measured: Measured, ending: float) -> None:
        client = self.good[0]
        while time.perf_counter() < ending:
            for reading in (client.call("GET", "/queue"), client.http.get("/ready")):
                began = time.perf_counter()
                try:
                    answer = await reading
                except httpx.HTTPError as error:
                    measured.failed.append(repr(error))
                    continue
                measured.reads.append(time.perf_counter() - began)
                if answer.status_code != httpx.codes.OK:
                    measured.failed.append(f"{answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(READ_EVERY_SECONDS)

    @asynccontextmanager
    async def attacking(self, name: str, url: str, answered: Counter[str]) -> AsyncIterator[None]:
        """Runs the attack in a process of its own, and adds its statuses to *answered*."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.campaigns.hostile_attacks", name),
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
    folder: Path, database_url: str, *, seconds: float, quiet_seconds: float, rounds: int = 1
) -> AsyncIterator[Campaign]:
    """Runs a gateway with both accounts, on a migrated database."""
    receiver = Receiver()
    with running_gateway(folder, database_url, **LIMITS) as gateway:
        await gateway.ready()
        async with AsyncExitStack() as stack:
            server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            demos = await add_account(gateway, GOOD_INSTANCES)
            hostile = await add_account(gateway, HOSTILE_INSTANCES)
            good = [await stack.enter_async_context(client_of(gateway, demo)) for demo in demos]
            for each in hostile:
                async with client_of(gateway, each) as client:
                    await connected([client])
            await connected(good)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            for client in good:
                await client.call("PUT", "/update-webhook-delivery", json={"value": url})
            yield Campaign(gateway, good, receiver, hostile, seconds, quiet_seconds, rounds)
        gateway.kill()


async def _main(names: Collection[str], seconds: float, rounds: int) -> int:
    echo(f"{os.cpu_count()} cores; p50/p99, quiet -> attacked")
    missed = 0
    with public_folder() as folder:
        server = EmbeddedPostgres(folder / "pg")
        await server.start()
        try:
            await migrate(server.url)
            async with running_campaign(
                folder, server.url, seconds=seconds, quiet_seconds=seconds, rounds=rounds
            ) as campaign:
                await campaign.measure(2.0)  # the first requests are slower
                for name in names:
                    outcome = await campaign.run(name)
                    outcome.show(load=os.getloadavg()[0])
                    missed += outcome.lost_or_failed
        finally:
            await server.stop()
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
