"""An account that sends at a steady rate, gets its callbacks and reads; no other may slow it.

"accept" is the answer to a send; "sent" is from the request to the arrival of the
DeliveryCallback.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.campaigns.hostile_figures import Measured
from tests.campaigns.hostile_servers import Receiver, add_account, connected
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

INSTANCES: Final = 5
SEND_EVERY_SECONDS: Final = 0.1
READ_EVERY_SECONDS: Final = 0.5
ARRIVAL_SECONDS: Final = 60.0


@dataclass
class GoodAccount:
    """The instances of the account, and the receiver of its callbacks."""

    gateway: RunningGateway
    clients: Sequence[Client]
    receiver: Receiver

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

        due, clients = time.perf_counter(), itertools.cycle(self.clients)
        while due < ending:
            tasks.create_task(one(next(clients)))
            due += SEND_EVERY_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _read(self, measured: Measured, ending: float) -> None:
        client = self.clients[0]
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
async def good_account(
    folder: Path, database_url: str, settings: Mapping[str, str]
) -> AsyncIterator[GoodAccount]:
    """Runs a gateway with such an account, on a migrated database."""
    receiver = Receiver()
    with running_gateway(folder, database_url, **settings) as gateway:
        await gateway.ready()
        async with AsyncExitStack() as stack:
            server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            demos = await add_account(gateway, INSTANCES)
            clients = [await stack.enter_async_context(client_of(gateway, demo)) for demo in demos]
            await connected(clients)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            for client in clients:
                await client.call("PUT", "/update-webhook-delivery", json={"value": url})
            yield GoodAccount(gateway, clients, receiver)
        gateway.kill()
