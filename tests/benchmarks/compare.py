"""What a message costs here, and what it costs the other ways that people would take, in one run.

    python -m tests.benchmarks.compare --sides gateway,procrastinate,pgqueuer --rounds 3
    python -m tests.benchmarks.compare --sides gateway-baileys,baileys,baileys-memory

The first three accept a text over HTTP, store it, hand it to a WhatsApp in memory and post one
callback. The others have phones at the fake WhatsApp of the tests, whose own work is left out:
`compare_phones` says more. It prints milliseconds of processor time for each text at a steady rate,
and where texts come as fast as they are accepted, from the first request to the last callback.

BENCHMARK_PYTHON is a Python with tests/benchmarks/requirements.txt; `make bench` makes one.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import psycopg

from tests.benchmarks import compare_phones, steady
from tests.benchmarks.enqueue import TOKEN, answering, program
from tests.benchmarks.figures import number, operator_of
from tests.benchmarks.harness import add_instances, dsn, fresh_database, main, percentile, say
from tests.benchmarks.measured import Meter
from tests.benchmarks.steady_load import Load
from tests.benchmarks.webhooks import receivers
from tests.fixtures.service import free_port, until

_PYTHON = os.environ.get("BENCHMARK_PYTHON", ".bench/bin/python")
_DRAIN_SECONDS = 120.0
_KEEP_ALIVE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Running:
    """A side that takes texts on a port, for its instances; the processes count as its own."""

    port: int
    pids: Sequence[int]
    instance_ids: list[str]
    operator: psycopg.AsyncConnection


class Side(Protocol):
    """Starts one of the sides, which posts its callbacks to *hook*."""

    def __call__(
        self, server_url: str, hook: str, arguments: argparse.Namespace
    ) -> AbstractAsyncContextManager[Running]: ...


@dataclass
class Results:
    """The figures of one side, one value for each round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return statistics.median(self.values[name])


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the arguments of the command line, or *words*."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compare")
    parser.add_argument("--sides", default=_sides_here(), help="which, of " + ", ".join(SIDES))
    parser.add_argument("--rounds", type=int, default=1, help="how often each side has its turn")
    parser.add_argument("--instances", type=int, default=200, help="numbers that send")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two texts of one")
    parser.add_argument("--phones", type=int, default=20, help="numbers, of the sides with phones")
    parser.add_argument("--phones-every", type=float, default=0.3, help="their seconds between two")
    parser.add_argument("--seconds", type=float, default=30.0, help="the length of a window")
    parser.add_argument("--warm-up", type=float, default=6.0, help="seconds before the window")
    parser.add_argument("--peak", type=int, default=4_000, help="texts at the peak; 0: none")
    return parser.parse_args(words)


@asynccontextmanager
async def gateway(
    server_url: str, hook: str, arguments: argparse.Namespace
) -> AsyncIterator[Running]:
    words = steady.arguments_of([])
    async with fresh_database(server_url) as url, operator_of(url) as operator:
        instance_ids = await add_instances(url, arguments.instances, token=TOKEN)
        await steady.prepare(operator, hook, receipts=False)
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            async with steady.steady_gateway(url, port, folder, words) as pid:
                connected = """select count(*) from instance_lines
                               where connected and instance_id like 'BENCH%'"""
                await until(
                    partial(number, operator, connected),
                    lambda n: n == arguments.instances,
                    seconds=300,
                )
                yield Running(port, [pid], instance_ids, operator)


@asynccontextmanager
async def other(
    module: str, server_url: str, hook: str, arguments: argparse.Namespace
) -> AsyncIterator[Running]:
    """A service around another queue: a web server and a worker, as its guides have it."""
    name, port = f"tests.benchmarks.{module}", free_port()
    async with fresh_database(server_url, migrated=False) as url, operator_of(url) as operator:
        environment = {"DATABASE_URL": dsn(url), "CALLBACK_URL": hook, "TOKEN": TOKEN}
        async with program(_PYTHON, "-m", name, "schema", **environment) as making:
            if await making.wait():
                sys.exit(f"{name} failed: is {_PYTHON} there? `make .bench/.ready` makes it")
        web = ["-m", "uvicorn", f"{name}:service", "--port", str(port), "--log-level", "warning"]
        web += ["--timeout-keep-alive", str(_KEEP_ALIVE_SECONDS)]  # the load may rest for longer
        async with (
            program(_PYTHON, *web, **environment) as server,
            program(_PYTHON, "-m", name, "worker", **environment) as worker,
        ):
            await answering(server, port, "/")
            ids = [f"BENCH{n:08d}" for n in range(arguments.instances)]
            yield Running(port, [server.pid, worker.pid], ids, operator)


@asynccontextmanager
async def phones(
    opened: compare_phones.Opened, server_url: str, hook: str, arguments: argparse.Namespace
) -> AsyncIterator[Running]:
    async with (
        fresh_database(server_url) as url,
        operator_of(url) as operator,
        opened(url, operator, hook, arguments.phones) as (port, pid, instance_ids),
    ):
        yield Running(port, [pid], instance_ids, operator)


SIDES: dict[str, Side] = {
    "gateway": gateway,
    "procrastinate": partial(other, "other_procrastinate"),
    "pgqueuer": partial(other, "other_pgqueuer"),
    "gateway-baileys": partial(phones, compare_phones.gateway),
    "baileys": partial(phones, compare_phones.bare_loop),
    "baileys-memory": partial(phones, partial(compare_phones.bare_loop, has_files=False)),
}


def _sides_here() -> str:
    """Returns those that can run here: phones need node and npm."""
    return ",".join(name for name in SIDES if shutil.which("npm") or "baileys" not in name)


async def measure(name: str, server_url: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Returns the figures of one side, by name, and prints them."""
    has_phones = "baileys" in name
    every = arguments.phones_every if has_phones else arguments.every
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "callbacks.log"
        async with (
            receivers(1, log=str(log)) as (hook,),
            SIDES[name](server_url, hook, arguments) as side,
        ):
            meter = Meter(side.operator, side.pids)
            load = Load(side.port, side.instance_ids, every)
            await load.open()
            await load.run(arguments.warm_up)
            figures = await _steady(meter, load, arguments.seconds)
            await _callbacks(log, load)
            if arguments.peak:
                figures |= await _peak(meter, load, log, arguments.peak)
            steady.check(log, load)
            load.close()
    say(f"  {name}: " + ", ".join(f"{each} {value:.2f}" for each, value in figures.items()))
    return figures


async def _steady(meter: Meter, load: Load, seconds: float) -> dict[str, float]:
    before, began, first = await meter.read(), time.perf_counter(), len(load.milliseconds)
    await load.run(seconds)
    cost, took = (await meter.read()).since(before), time.perf_counter() - began
    taken = load.milliseconds[first:]
    texts = len(taken)
    return {
        "rate": texts / took,
        "service": cost.gateway / texts * 1_000,
        "postgres": cost.postgres / texts * 1_000,
        "sum": (cost.gateway + cost.postgres) / texts * 1_000,
        "commits": cost.commits / texts,
        "fsyncs": cost.fsyncs / texts,
        "p50": percentile(taken, 50),
        "p99": percentile(taken, 99),
    }


async def _peak(meter: Meter, load: Load, log: Path, texts: int) -> dict[str, float]:
    before, began = await meter.read(), time.perf_counter()
    await load.burst(texts)
    await _callbacks(log, load)
    cost, took = (await meter.read()).since(before), time.perf_counter() - began
    return {
        "peak sum": (cost.gateway + cost.postgres) / texts * 1_000,
        "peak service": cost.gateway / texts * 1_000,
        "peak postgres": cost.postgres / texts * 1_000,
        "peak rate": texts / took,
    }


async def _callbacks(log: Path, load: Load) -> None:
    """Waits until each accepted text has its callback."""

    async def posted() -> int:
        await asyncio.sleep(0.1)  # reading the log takes from the cores that are measured
        return steady.callbacks_in(log).total()

    await until(posted, lambda count: count >= len(load.accepted), seconds=_DRAIN_SECONDS)


def _show(results: dict[str, Results]) -> None:
    say("side | Postgres + service = ms of CPU per text | commits, fsyncs | accepted p50, p99 (ms)")
    for name, of in results.items():
        m = of.median
        say(
            f"  {name:15} | {m('postgres'):.2f} + {m('service'):.2f} = {m('sum'):.2f} | "
            f"{m('commits'):.2f}, {m('fsyncs'):.2f} | {m('p50'):.1f}, {m('p99'):.1f}"
        )
        if "peak sum" in of.values:
            say(
                f"  {'at the peak':15} | {m('peak postgres'):.2f} + {m('peak service'):.2f} = "
                f"{m('peak sum'):.2f} | {m('peak rate'):,.0f} texts/s from request to callback"
            )
    ours = next(iter(results))
    for name in list(results)[1:]:
        ratio = results[name].median("sum") / results[ours].median("sum")
        line = f"  {name} / {ours} = {ratio:.2f}"
        if "peak sum" in results[name].values:
            at_peak = results[name].median("peak sum") / results[ours].median("peak sum")
            line += f", at the peak {at_peak:.2f}"
        say(line)


async def run(server_url: str) -> None:
    arguments = arguments_of()
    names = arguments.sides.split(",")
    results = {name: Results() for name in names}
    for turn in range(arguments.rounds):
        say(f"round {turn + 1} of {arguments.rounds}, windows of {arguments.seconds:g} s")
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            results[name].add(await measure(name, server_url, arguments))
    _show(results)


if __name__ == "__main__":
    main(run)
