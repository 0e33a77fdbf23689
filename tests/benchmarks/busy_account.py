"""What an account that sends much gets alone, and beside another account with light work.

    python -m tests.benchmarks.busy_account [--instances 20] [--pace 0] [--rates 100,200,0]

The busy account sends texts at a steady rate, or with rate 0 as fast as they are answered on 32
connections. The light one sends ten texts per second and reads twice per second. "accepted" and
"sent" count answers and DeliveryCallbacks of the busy account within the window. Windows alone and
windows beside the light account alternate. No limit of requests is on: they are not the subject.
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.benchmarks.harness import fresh_database, main, percentile, say
from tests.benchmarks.steady_load import Caller
from tests.campaigns.good_account import GoodAccount, good_account
from tests.campaigns.hostile_figures import Measured
from tests.campaigns.hostile_servers import Receiver, add_account, connected
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Demo, client_of, until

_CONNECTIONS = 32
_LIGHT_BEGINS_SECONDS = 1.5
"""Before the window of the busy account begins, so that it is beside others from the start."""
_DRAIN_SECONDS = 300.0
_CHATS = 50


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.busy_account")
    parser.add_argument("--instances", type=int, default=20, help="of the busy account")
    parser.add_argument("--pace", default="0", help="seconds between its messages, as 0 or 1-3")
    parser.add_argument("--rates", default="100,200,0", help="texts per second; 0 sets no rate")
    parser.add_argument("--seconds", type=float, default=10.0, help="the length of a window")
    parser.add_argument("--rounds", type=int, default=2, help="windows of each kind")
    parser.add_argument("--steps", default="4", help="GATEWAY_ACCOUNT_MAX_STEPS_BESIDE_OTHERS")
    return parser.parse_args()


@dataclass
class Counts:
    """What the busy account got in its windows of one kind."""

    seconds: float = 0.0
    accepted: int = 0
    sent: int = 0
    milliseconds: list[float] = field(default_factory=list)
    """How long each message took from its request to its DeliveryCallback."""

    def __str__(self) -> str:
        p50, p99 = percentile(self.milliseconds, 50), percentile(self.milliseconds, 99)
        accepted, sent = self.accepted / self.seconds, self.sent / self.seconds
        rates = f"accepted {accepted:5.1f}/s  sent {sent:5.1f}/s"
        return f"{rates}  delivered after p50 {p50:.0f}, p99 {p99:.0f} ms"


@dataclass
class BusyAccount:
    """The instances of the account, and the receiver of its callbacks."""

    demos: Sequence[Demo]
    receiver: Receiver
    callers: "asyncio.Queue[Caller]" = field(default_factory=asyncio.Queue)

    async def run(self, rate: float, seconds: float, counts: Counts) -> None:
        """Sends for some seconds, adds what came of it to *counts*, and waits for the rest."""
        begun: dict[str, float] = {}
        requests, began = self._requests(), time.perf_counter()
        ending = began + seconds
        sends = (
            self._at_rate(rate, requests, begun, ending)
            if rate
            else self._at_once(requests, begun, ending)
        )
        await sends
        await asyncio.sleep(max(0.0, ending - time.perf_counter()))
        ending = time.perf_counter()
        arrived = self.receiver.arrived
        counts.seconds += ending - began
        counts.accepted += len(begun)
        counts.sent += sum(name in arrived for name in begun)
        await until(self._arrived, begun.keys().__le__, seconds=_DRAIN_SECONDS)
        counts.milliseconds += [(arrived[name] - at) * 1_000 for name, at in begun.items()]

    async def _at_rate(
        self, rate: float, requests: Iterator[bytes], begun: dict[str, float], ending: float
    ) -> None:
        due = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while due < ending:
                group.create_task(self._send(next(requests), begun))
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _at_once(
        self, requests: Iterator[bytes], begun: dict[str, float], ending: float
    ) -> None:
        async def one() -> None:
            while time.perf_counter() < ending:
                await self._send(next(requests), begun)

        await asyncio.gather(*(one() for _ in range(_CONNECTIONS)))

    async def _send(self, request: bytes, begun: dict[str, float]) -> None:
        at = time.perf_counter()
        caller = await self.callers.get()
        answer = await caller.ask(request)
        self.callers.put_nowait(caller)
        begun[json.loads(answer)["messageId"]] = at

    async def _arrived(self) -> set[str]:
        return set(self.receiver.arrived)

    def _requests(self) -> Iterator[bytes]:
        for number, demo in enumerate(itertools.cycle(self.demos)):
            phone = f"55119{98760000 + number // len(self.demos) % _CHATS}"
            body = json.dumps({"phone": phone, "message": "Your order is on its way."})
            yield _request("POST", demo, "send-text", body)


def _request(method: str, demo: Demo, action: str, body: str) -> bytes:
    return (
        f"{method} /instances/{demo.instance_id}/token/{demo.instance_token}/{action} HTTP/1.1\r\n"
        f"Host: benchmark\r\nClient-Token: {demo.client_token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@asynccontextmanager
async def busy_account(light: GoodAccount, instances: int, pace: str) -> AsyncIterator[BusyAccount]:
    """Adds the account to the gateway of the light one."""
    receiver, gateway = Receiver(), light.gateway
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    busy = BusyAccount(await add_account(gateway, instances), receiver)
    low, _, high = pace.partition("-")
    for demo in busy.demos:
        async with client_of(gateway, demo) as client:
            await client.call("PUT", "/update-webhook-delivery", json={"value": url})
            await client.call(
                "PUT",
                "/queue/settings",
                json={"paceMinSeconds": float(low), "paceMaxSeconds": float(high or low)},
            )
            await connected([client])
    for _ in range(_CONNECTIONS):
        made = partial(Caller, busy.callers)
        _, caller = await asyncio.get_running_loop().create_connection(
            made, "127.0.0.1", gateway.port
        )
        busy.callers.put_nowait(caller)
    try:
        yield busy
    finally:
        server.close()


async def _beside(
    light: GoodAccount, busy: BusyAccount, rate: float, seconds: float, counts: Counts
) -> Measured:
    measuring = asyncio.create_task(light.measure(seconds + _LIGHT_BEGINS_SECONDS))
    await asyncio.sleep(_LIGHT_BEGINS_SECONDS)
    await busy.run(rate, seconds, counts)
    return await measuring


async def _benchmark(server_url: str) -> None:
    arguments = _arguments()
    settings = {"GATEWAY_ACCOUNT_MAX_STEPS_BESIDE_OTHERS": arguments.steps}
    with public_folder() as folder:
        async with (
            fresh_database(server_url) as url,
            good_account(Path(folder), url, settings) as light,
            busy_account(light, arguments.instances, arguments.pace) as busy,
        ):
            await busy.run(50.0, 2.0, Counts())  # the first messages are slower
            for rate in map(float, arguments.rates.split(",")):
                await _compare(light, busy, rate, arguments)


async def _compare(
    light: GoodAccount, busy: BusyAccount, rate: float, arguments: argparse.Namespace
) -> None:
    alone, beside, lights = Counts(), Counts(), list[Measured]()
    for _ in range(arguments.rounds):
        await busy.run(rate, arguments.seconds, alone)
        await asyncio.sleep(_LIGHT_BEGINS_SECONDS)
        lights.append(await _beside(light, busy, rate, arguments.seconds, beside))
        await asyncio.sleep(_LIGHT_BEGINS_SECONDS)
    say(f"{arguments.instances} instances, pace {arguments.pace}, {rate or 'any'} texts/s")
    say(f"  alone:  {alone}")
    say(f"  beside: {beside}; sent {beside.sent / alone.sent:.2f} of alone")
    accepted = [1_000 * each for light in lights for each in light.accepted]
    sent = [1_000 * each for light in lights for each in light.sent]
    say(
        f"  light account: accepted p99 {percentile(accepted, 99):.0f} ms, "
        f"delivered p50 {percentile(sent, 50):.0f}, p99 {percentile(sent, 99):.0f} ms"
    )


if __name__ == "__main__":
    main(_benchmark)
