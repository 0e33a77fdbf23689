"""What all benchmarks share: a database, instances, rounds that alternate the sides, ratios.

Only numbers of one run may be compared with each other: machines differ, and so do hours.
"""

import asyncio
import os
import platform
import statistics
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
import uvloop
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from gateway.instances.tokens import TokenVault, hash_of
from gateway.observability.logging import configure_logging
from tests.fixtures.postgres import public_folder

SECRET = "of-the-benchmarks-and-of-nothing-else-0123456789"
"""The secret of every gateway that they start: it must open the tokens of the instances."""

Side = Callable[[], Awaitable[float]]


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass
class Rounds:
    """Runs each side once per round, in another order each time, and compares the medians."""

    unit: str
    sides: Mapping[str, Side]
    results: dict[str, list[float]] = field(default_factory=dict)

    async def run(self, count: int) -> None:
        names = list(self.sides)
        for round_number in range(count):
            for name in names:
                self.results.setdefault(name, []).append(await self.sides[name]())
            shown = ", ".join(f"{name} {self.results[name][-1]:,.0f}" for name in self.sides)
            say(f"  round {round_number + 1}: {shown} {self.unit}")
            names.append(names.pop(0))

    def median(self, name: str) -> float:
        return statistics.median(self.results[name])

    def ratio(self, ours: str, theirs: str, *, aim: float | None = None) -> None:
        found = self.median(ours) / self.median(theirs)
        wanted = "" if aim is None else f" (aim {aim:g}: {'met' if found >= aim else 'missed'})"
        say(f"  {ours} / {theirs} = {found:.2f}{wanted}")

    def report(self) -> None:
        for name, values in self.results.items():
            spread = f"{min(values):,.0f} to {max(values):,.0f}"
            say(f"  {name}: median {self.median(name):,.0f} {self.unit} ({spread})")


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def dsn(url: str) -> str:
    """The same address as those read it who know only URLs."""
    parts = {name: quote(str(value), safe="") for name, value in conninfo_to_dict(url).items()}
    user, database = parts.get("user", "postgres"), parts.get("dbname", "postgres")
    password = f":{parts['password']}" if "password" in parts else ""
    port = parts.get("port", "5432")
    return f"postgresql://{user}{password}@/{database}?host={parts['host']}&port={port}"


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """A durable Postgres: the one that BENCHMARK_DATABASE_URL names, or an embedded one."""
    if url := os.environ.get("BENCHMARK_DATABASE_URL"):
        yield url
        return
    with public_folder() as folder:
        postgres = EmbeddedPostgres(folder / "pg")
        await postgres.start()
        try:
            yield postgres.url
        finally:
            await postgres.stop()


@asynccontextmanager
async def fresh_database(server_url: str, *, migrated: bool = True) -> AsyncIterator[str]:
    name = f"benchmark_{uuid.uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(server_url, autocommit=True) as connection:
        await connection.execute(f"create database {name}".encode())
        url = make_conninfo(server_url, dbname=name)
        try:
            if migrated:
                await migrate(url)
            yield url
        finally:
            await connection.execute(f"drop database {name} with (force)".encode())


async def add_instances(
    url: str,
    count: int,
    *,
    token: str = "token",
    wanted: bool = True,
    provider: str = "sandbox",
) -> list[str]:
    """Instances of one account, all with the same token; those that are wanted get connected.

    The account asks for its Client-Token, which is `client-token`.
    """
    sealed = TokenVault((SECRET,), os.urandom).seal(token)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            """insert into accounts (id, name, client_token_hash, client_token_required)
               values ('acme', 'Acme', %s, true)
               on conflict do nothing""",
            [hash_of("client-token")],
        )
        cursor = await connection.execute(
            """insert into instances (id, account_id, name, token_hash, token_ciphertext,
                                      token_key_id, provider, subscribed, provider_settings,
                                      wanted)
               select 'BENCH' || lpad(n::text, 8, '0'), 'acme', 'Bench', %s, %s, %s, %s,
                      true, %s, %s
               from generate_series(1, %s) n
               returning id""",
            [
                *(hash_of(token), sealed.ciphertext, sealed.key_id, provider),
                *('{"paired": true}' if provider == "sandbox" else "{}", wanted, count),
            ],
        )
        return [instance_id for (instance_id,) in await cursor.fetchall()]


async def show_machine(server_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(server_url) as connection:
        cursor = await connection.execute("select version(), current_setting('synchronous_commit')")
        ((version, commit),) = await cursor.fetchall()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    say(f"machine: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB")
    say(f"         load {os.getloadavg()[0]:.1f} before the start; everything shares the cores")
    say(f"         Python {platform.python_version()}, {version.split(' on ')[0]}")
    say(f"         synchronous_commit {commit}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def main(benchmark: Callable[[str], Awaitable[None]]) -> None:
    """Runs a benchmark that takes the URL of a server."""

    async def run() -> None:
        async with server() as url:
            await show_machine(url)
            await benchmark(url)

    configure_logging(level="WARNING", pretty=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
