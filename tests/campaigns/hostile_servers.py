"""What hostile file servers and receivers of one account do to the sends of another account.

    PYTHONPATH=. .venv/bin/python -m tests.campaigns.hostile_servers [ATTACK ...]

One account has 20 instances. Each sends files that a hostile server holds ("files"), or has the
hostile server as its receiver ("receivers"). Another account sends a text every 250 ms; a send
takes from the request to the arrival of its DeliveryCallback. `event loop` is the longest answer to
GET /health, which needs the event loop and nothing else. The other account does the same work where
its server answers 404 ("refusal"): compare an attack with that, in one run.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import httpx
import orjson

from gateway.database.migrations import migrate
from gateway.database.pool import Database
from gateway.embedded_postgres.server import EmbeddedPostgres
from gateway.instances.creation import Registry
from gateway.instances.tokens import TokenVault
from gateway.runtime.provider_selection import secret_settings_of
from tests.campaigns.hostile_server import ATTACKS
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Client, Demo, RunningGateway, client_of, running_gateway, until

SECONDS = 10.0
SEND_EVERY_SECONDS = 0.25
HOSTILE_INSTANCES = 20
FILES_PER_INSTANCE = 10
WAYS = ("files", "receivers")


@dataclass
class Receiver:
    """Accepts the callbacks of the good account, and records when each message was reported."""

    arrived: dict[str, float] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
                body = orjson.loads(await reader.readexactly(length))
                self.arrived.setdefault(body.get("messageId", ""), time.perf_counter())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()


@dataclass(frozen=True)
class Figures:
    """Milliseconds of the sends, and of the longest answer to /health."""

    sends: Sequence[float]
    unfinished: int
    event_loop: float

    def __str__(self) -> str:
        ordered = sorted(self.sends) or [float("nan")]
        p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
        return (
            f"send p50 {p50:7.1f} ms  p99 {p99:8.1f} ms  unfinished {self.unfinished:3}  "
            f"event loop {self.event_loop:8.1f} ms"
        )


async def measure(good: Client, receiver: Receiver, health: str) -> Figures:
    """Sends texts for some seconds, and asks /health meanwhile."""
    sent: dict[str, float] = {}
    longest, ending = 0.0, time.perf_counter() + SECONDS

    async def ask() -> None:
        nonlocal longest
        async with httpx.AsyncClient(timeout=60) as http:
            while time.perf_counter() < ending:
                began = time.perf_counter()
                await http.get(health)
                longest = max(longest, time.perf_counter() - began)
                await asyncio.sleep(0.005)

    async def send() -> None:
        while time.perf_counter() < ending:
            began = time.perf_counter()
            sent[(await good.send_text("text"))["messageId"]] = began
            await asyncio.sleep(max(0.0, began + SEND_EVERY_SECONDS - time.perf_counter()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask())
        tasks.create_task(send())
    await asyncio.sleep(1.0)  # the last ones may arrive
    arrived = receiver.arrived
    took = [(arrived[name] - began) * 1_000 for name, began in sent.items() if name in arrived]
    return Figures(took, len(sent) - len(took), longest * 1_000)


async def attack(clients: Sequence[Client], url: str, way: str) -> None:
    """Lets every hostile instance use the hostile server."""

    async def one(client: Client) -> None:
        if way == "receivers":
            await client.call("PUT", "/update-webhook-delivery", json={"value": url})
        for number in range(FILES_PER_INSTANCE):
            phone = f"55119999{number:05}"
            if way == "receivers":
                await client.call("POST", "/send-text", json={"phone": phone, "message": "x"})
            else:
                body = {"phone": phone, "image": f"{url}{number}.png"}
                await client.call("POST", "/send-image", json=body)

    await asyncio.gather(*map(one, clients))


async def run(name: str, way: str, database_url: str) -> Figures:
    """Runs one attack on a gateway of its own; without a way there is none."""
    with public_folder() as folder, running_gateway(folder, database_url) as gateway:
        await gateway.ready()
        async with AsyncExitStack() as stack:
            receiver = Receiver()
            server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            own_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            demos = [*await add_account(gateway, 1), *await add_account(gateway, HOSTILE_INSTANCES)]
            good, *hostile = [
                await stack.enter_async_context(client_of(gateway, demo)) for demo in demos
            ]
            await connected([good, *hostile])
            await good.call("PUT", "/update-webhook-delivery", json={"value": own_url})
            async with hostile_server(name) as url:
                attacking = asyncio.create_task(attack(hostile if way else [], url, way))
                figures = await measure(good, receiver, f"{gateway.base_url}/health")
                attacking.cancel()
                await asyncio.wait({attacking})
        gateway.kill()
    return figures


async def add_account(gateway: RunningGateway, instances: int) -> list[Demo]:
    """Adds an account with instances."""
    database = Database(gateway.environment["DATABASE_URL"], min_size=1, max_size=1)
    await database.open()
    try:
        vault = TokenVault(((gateway.data_dir / "secret.key").read_text().strip(),), os.urandom)
        registry = Registry(database, vault, os.urandom, secret_settings=secret_settings_of)
        account = await registry.add_account("A", client_token_required=True)
        made = [
            await registry.add_instance(
                account.id, "I", provider="sandbox", provider_settings={"paired": True}
            )
            for _ in range(instances)
        ]
    finally:
        await database.pool.close()
    tokens = account.client_token, account.partner_token
    return [Demo(gateway.base_url, each.id, each.token, *tokens) for each in made]


async def connected(clients: Sequence[Client]) -> None:
    for client in clients:
        await until(
            partial(client.call, "GET", "/status"),
            lambda answer: answer.json().get("connected") is True,
        )


@asynccontextmanager
async def hostile_server(name: str) -> AsyncIterator[str]:
    """Runs the hostile server and yields its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.campaigns.hostile_server", name, stdout=subprocess.PIPE
    )
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}/"
    finally:
        process.kill()
        await process.wait()


async def main(names: Sequence[str]) -> None:
    runs = [(name, way) for name in names for way in WAYS]
    for name, way in (("silence", ""), *runs):
        with public_folder() as folder:
            server = EmbeddedPostgres(folder / "pg")
            await server.start()
            try:
                await migrate(server.url)
                figures = await run(name, way, server.url)
            finally:
                await server.stop()
        sys.stdout.write(f"{name if way else 'quiet':9} {way:10} {figures}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or list(ATTACKS)))
