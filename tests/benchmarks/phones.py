"""Many linked phones in one gateway that may have 20 connections to Postgres.

    PYTHONPATH=. python -m tests.benchmarks.phones [phones] [phones per process]

Postgres refuses the role of the gateway a 21st connection. Each phone sends a text to the next.
"""

import asyncio
import collections
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from tests.fixtures.postgres import folder_in_memory, public_folder, running_postgres
from tests.fixtures.service import RunningGateway, running_gateway, until
from tests.fixtures.whatsmeow import Instance, children_of, new_instance, partner_of
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

CONNECTIONS = 20
_AT_ONCE = 6
_PROGRESS = 25
_MIB = 1 << 20
_FIRST_PHONE = 5511970000001


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
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as operator:
            while True:
                cursor = await operator.execute(
                    """select application_name, count(*) from pg_stat_activity
                       where usename = 'phones' group by application_name"""
                )
                found = {str(name): int(count) for name, count in await cursor.fetchall()}
                self.most_in_all = max(self.most_in_all, sum(found.values()))
                for name, count in found.items():
                    self.most[name] = max(self.most[name], count)
                await asyncio.sleep(0.5)


async def each(work: Sequence[Callable[[], Awaitable[None]]]) -> float:
    """Does all of it, a few at once; returns the seconds."""
    gate, began = asyncio.Semaphore(_AT_ONCE), time.monotonic()

    async def one(todo: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await todo()

    await asyncio.gather(*map(one, work))
    return time.monotonic() - began


def memory_of(gateway: RunningGateway) -> str:
    children = children_of(gateway)
    assert gateway.process
    own = psutil.Process(gateway.process.pid).memory_full_info().pss / _MIB
    theirs = sum(child.memory_full_info().pss for child in children) / _MIB
    return f"{len(children)} processes of whatsmeow with {theirs:.0f} MiB, gateway {own:.0f} MiB"


async def run(gateway: RunningGateway, whatsapp: FakeWhatsApp, server_url: str, count: int) -> None:
    phones = [str(_FIRST_PHONE + number) for number in range(count)]
    connections = Connections(server_url)
    async with partner_of(gateway) as http, connections.watched():
        instances = [await new_instance(http, f"phone {number}") for number in range(count)]

        linked: list[str] = []

        def linking(instance: Instance, phone: str) -> Callable[[], Awaitable[None]]:
            async def link() -> None:
                await instance.link(whatsapp, phone)
                linked.append(phone)
                if len(linked) % _PROGRESS == 0:
                    most = connections.most_in_all
                    print(f"{len(linked)} linked, at most {most} connections", flush=True)

            return link

        pairs = list(zip(instances, phones, strict=True))
        took = await each([linking(*pair) for pair in pairs])
        print(f"{count} phones linked in {took:.0f} s; {memory_of(gateway)}", flush=True)

        async def online() -> int:
            return len((await whatsapp.control("state"))["online"])

        await until(online, lambda seen: seen == count)
        print(f"{count} phones online", flush=True)
        following = [*phones[1:], phones[0]]

        def sending(instance: Instance, phone: str) -> Callable[[], Awaitable[None]]:
            async def send() -> None:
                await instance.call("POST", "/send-text", json={"phone": phone, "message": "x"})

            return send

        began = time.monotonic()
        await each([sending(*pair) for pair in zip(instances, following, strict=True)])
        state = await whatsapp.state_when(lambda seen: len(seen["sent"]) >= count)
        ids = [message["id"] for message in state["sent"]]
        print(
            f"{len(ids)} messages at WhatsApp, {len(set(ids))} ids, after "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
        assert len(set(ids)) == len(ids) == count
    print(f"connections to Postgres: at most {connections.most_in_all}, {dict(connections.most)}")
    print(f"refused by Postgres: {gateway.log.count('too many connections')}", flush=True)


def main(count: int, per_process: int) -> None:
    with public_folder(folder_in_memory()) as folder:
        (folder / "whatsapp").mkdir()
        (folder / "gateway").mkdir()
        with (
            running_postgres(folder / "postgres") as server_url,
            running_fake(folder / "whatsapp") as whatsapp,
            running_gateway(
                Path(folder / "gateway"),
                limited_database(server_url),
                **whatsapp.environment,
                GATEWAY_WHATSMEOW_INSTANCES_PER_PROCESS=str(per_process),
                GATEWAY_LEASE_SECONDS="300",
            ) as gateway,
        ):

            async def measured() -> None:
                await gateway.ready()
                await run(gateway, whatsapp, server_url, count)

            asyncio.run(measured())


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [500, 50][len(given) :]))
