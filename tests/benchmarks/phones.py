"""Many linked phones in one gateway that may have 20 connections to Postgres.

    PYTHONPATH=. python -m tests.benchmarks.phones [phones] [phones per process]

Postgres refuses the role of the gateway a 21st connection. Each phone sends a text to the next,
which has to decrypt it: once after the linking, once after the gateway was killed, and once after
Postgres was. Then the gateway is told to stop.
"""

import asyncio
import collections
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from gateway.embedded_postgres.postmaster import live_postmaster
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.fixtures.postgres import folder_in_memory, public_folder
from tests.fixtures.service import RunningGateway, running_gateway, until
from tests.fixtures.whatsmeow import Instance, children_of, new_instance, partner_of
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

CONNECTIONS = 20
_AT_ONCE = 6
_PROGRESS = 25
_MIB = 1 << 20
_FIRST_PHONE = 5511970000001
_LOOK_SECONDS = 0.5
_IDLE_SECONDS = 20
_PATIENCE_SECONDS = 600.0
_OPEN = """
    select application_name, count(*) from pg_stat_activity
    where usename = 'phones' group by application_name
"""
_RECEIVED = "select count(*) from messages where status = 'received'"


def limited_database(server_url: str) -> str:
    """Returns the URL of a database whose owner may have a few connections."""
    with psycopg.connect(server_url, autocommit=True) as operator:
        operator.execute(f"create role phones login connection limit {CONNECTIONS}")
        operator.execute("create database phones owner phones")
    return make_conninfo(server_url, user="phones", dbname="phones")


class Connections:
    """The connections of the gateway to Postgres, looked at twice a second."""

    def __init__(self, server_url: str) -> None:
        self._url = server_url
        self.most: collections.Counter[str] = collections.Counter()
        self.most_in_all = 0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            yield
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            with suppress(psycopg.OperationalError):  # it is killed, too
                await self._watch_server()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _watch_server(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as operator:
            while True:
                cursor = await operator.execute(_OPEN)
                found = {str(name): int(count) for name, count in await cursor.fetchall()}
                self.most_in_all = max(self.most_in_all, sum(found.values()))
                for name, count in found.items():
                    self.most[name] = max(self.most[name], count)
                await asyncio.sleep(_LOOK_SECONDS)


class Server:
    """Postgres, which can be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedPostgres(folder, durable=False)

    async def start(self) -> str:
        await self._server.start()
        return self._server.url

    async def kill(self) -> None:
        """Kills it with its backends, and starts it again."""
        (data,) = {file.parent for file in self._folder.rglob("postmaster.pid")}
        postmaster = live_postmaster(data)
        assert postmaster
        processes = [psutil.Process(postmaster.pid)]
        processes += processes[0].children(recursive=True)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await asyncio.to_thread(psutil.wait_procs, processes, timeout=10)
        self._server = EmbeddedPostgres(self._folder, durable=False)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()


async def each(work: Sequence[Callable[[], Awaitable[None]]]) -> float:
    """Does all of it, a few at once; returns the seconds."""
    gate, began = asyncio.Semaphore(_AT_ONCE), time.monotonic()

    async def one(todo: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await todo()

    await asyncio.gather(*map(one, work))
    return time.monotonic() - began


def say(text: str) -> None:
    print(text, flush=True)


@dataclass
class Fleet:
    """The linked phones, in a ring: each writes to the next."""

    gateway: RunningGateway
    whatsapp: FakeWhatsApp
    database_url: str
    instances: list[Instance]
    phones: list[str]
    sent: int = 0

    async def link(self, connections: Connections) -> None:
        linked: list[str] = []
        began = time.monotonic()

        def linking(instance: Instance, phone: str) -> Callable[[], Awaitable[None]]:
            async def link() -> None:
                with suppress(httpx.ReadError):  # of a gateway that other work stopped for long
                    await instance.link(self.whatsapp, phone)
                await until(instance.connected, bool, seconds=_PATIENCE_SECONDS)
                linked.append(phone)
                if len(linked) % _PROGRESS == 0:
                    passed, most = time.monotonic() - began, connections.most_in_all
                    say(f"{len(linked)} linked after {passed:.0f} s, at most {most} connections")

            return link

        pairs = zip(self.instances, self.phones, strict=True)
        took = await each([linking(*pair) for pair in pairs])
        say(f"{len(self.phones)} phones linked in {took:.0f} s; {self.cost()}")

    async def online(self, count: int) -> float:
        """Returns the seconds until so many phones are online."""
        began = time.monotonic()

        async def look() -> int:
            return len((await self.whatsapp.control("state"))["online"])

        await until(look, lambda seen: seen == count, seconds=_PATIENCE_SECONDS)
        return time.monotonic() - began

    async def send_around(self, text: str) -> None:
        """Has each phone write to the next, which decrypts it."""
        began = time.monotonic()
        following = [*self.phones[1:], self.phones[0]]

        def sending(instance: Instance, phone: str) -> Callable[[], Awaitable[None]]:
            async def send() -> None:
                body = {"phone": phone, "message": text}
                await until(
                    lambda: instance.answer("POST", "/send-text", json=body),
                    lambda answer: answer.is_success,
                    seconds=_PATIENCE_SECONDS,
                )

            return send

        pairs = zip(self.instances, following, strict=True)
        await each([sending(*pair) for pair in pairs])
        self.sent += len(self.phones)
        await until(self.received, lambda seen: seen >= self.sent, seconds=_PATIENCE_SECONDS)
        ids = [message["id"] for message in (await self.whatsapp.control("state"))["sent"]]
        say(
            f"{text}: {len(self.phones)} messages sent and decrypted after "
            f"{time.monotonic() - began:.0f} s; {len(ids)} at WhatsApp, {len(set(ids))} ids"
        )
        assert len(ids) == len(set(ids)) == self.sent == await self.received()

    async def received(self) -> int:
        with suppress(psycopg.OperationalError):
            async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
                cursor = await connection.execute(_RECEIVED)
                return int((await cursor.fetchall())[0][0])
        return 0

    async def idle(self) -> None:
        before = self.processor_seconds()
        await asyncio.sleep(_IDLE_SECONDS)
        percents = [
            100 * (after - used) / _IDLE_SECONDS
            for used, after in zip(before, self.processor_seconds(), strict=True)
        ]
        say(
            "at rest: gateway {:.1f} %, processes of whatsmeow {:.1f} % of one core".format(
                *percents
            )
        )

    def processor_seconds(self) -> tuple[float, float]:
        assert self.gateway.process
        own = psutil.Process(self.gateway.process.pid).cpu_times()
        theirs = [child.cpu_times() for child in children_of(self.gateway)]
        return own.user + own.system, sum(times.user + times.system for times in theirs)

    def cost(self) -> str:
        """Returns the memory, and the processor time since each process began."""
        children = children_of(self.gateway)
        assert self.gateway.process
        own = psutil.Process(self.gateway.process.pid).memory_full_info().pss / _MIB
        theirs = sum(child.memory_full_info().pss for child in children) / _MIB
        seconds = self.processor_seconds()
        return (
            f"{len(children)} processes of whatsmeow with {theirs:.0f} MiB and {seconds[1]:.0f} s "
            f"of processor, gateway {own:.0f} MiB and {seconds[0]:.0f} s"
        )


async def run(folder: Path, whatsapp: FakeWhatsApp, count: int, per_process: int) -> None:
    server = Server(folder / "postgres")
    server_url = await server.start()
    database_url = limited_database(server_url)
    phones = [str(_FIRST_PHONE + number) for number in range(count)]
    connections = Connections(server_url)
    with running_gateway(
        folder / "gateway",
        database_url,
        **whatsapp.environment,
        GATEWAY_WHATSMEOW_INSTANCES_PER_PROCESS=str(per_process),
        GATEWAY_LEASE_SECONDS="300",
    ) as gateway:
        await gateway.ready()
        operator_url = make_conninfo(server_url, dbname="phones")
        async with partner_of(gateway) as http, connections.watched():
            instances = [await new_instance(http, f"phone {number}") for number in range(count)]
            fleet = Fleet(gateway, whatsapp, operator_url, instances, phones)
            await fleet.link(connections)
            await fleet.online(count)
            say(f"{count} phones online; {fleet.cost()}")
            await fleet.idle()
            await fleet.send_around("after the linking")
            gateway.kill()
            await fleet.online(0)
            gateway.start()
            await gateway.ready()
            took = await fleet.online(count)
            say(f"gateway killed: {count} phones online {took:.0f} s after it is; {fleet.cost()}")
            await fleet.send_around("after a kill of the gateway")
            before = {child.pid for child in children_of(gateway)}
            began = time.monotonic()
            await server.kill()
            await gateway.ready()
            took, left = time.monotonic() - began, before & {c.pid for c in children_of(gateway)}
            say(
                f"Postgres killed: ready after {took:.0f} s, {len(left)} of {len(before)} processes"
            )
            await fleet.online(count)
            await fleet.send_around("after a kill of Postgres")
            say(f"{fleet.cost()}")
        began = time.monotonic()
        code = await asyncio.to_thread(gateway.stop)
        say(f"SIGTERM: ended with {code} after {time.monotonic() - began:.0f} s")
        say(f"connections to Postgres: at most {connections.most_in_all}, {dict(connections.most)}")
        say(f"refused by Postgres: {gateway.log.count('too many connections')}")
    await server.stop()


def main(count: int, per_process: int) -> None:
    with public_folder(folder_in_memory()) as folder:
        (folder / "whatsapp").mkdir()
        (folder / "gateway").mkdir()
        with running_fake(folder / "whatsapp") as whatsapp:
            asyncio.run(run(folder, whatsapp, count, per_process))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [500, 50][len(given) :]))
