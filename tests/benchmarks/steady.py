"""What a message costs at the loads people have: each instance sends one text per three seconds.

    python -m tests.benchmarks.steady --instances 20,200,1000 --receipts --pace 0

Prints processor time of the gateway and of Postgres, commits, fsyncs and WAL for each message, how
long accepting takes, and what the process costs at rest. Every text has its DeliveryCallback,
which a receiver in its own process takes. WhatsApp is in memory (`steady_gateway`). With a server
that has pg_stat_statements loaded (BENCHMARK_DATABASE_URL) it prints the statements too.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg

from tests.benchmarks.enqueue import TOKEN, process
from tests.benchmarks.figures import number, operator_of
from tests.benchmarks.harness import SECRET, add_instances, fresh_database, main, percentile, say
from tests.benchmarks.measured import Meter, Reading, cores
from tests.benchmarks.steady_load import CHATS, Load, phone_of
from tests.benchmarks.steady_units import measure_units, show
from tests.benchmarks.webhooks import receivers
from tests.fixtures.service import free_port, until

_DRAIN_SECONDS = 60.0


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the arguments of the command line, or *words*."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.steady")
    parser.add_argument("--instances", default="20,200,1000", help="numbers of instances")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two texts of one")
    parser.add_argument("--seconds", type=float, default=30.0, help="the length of a window")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before the window")
    parser.add_argument("--idle", type=float, default=10.0, help="seconds at rest; 0 leaves it out")
    parser.add_argument("--pace", default="0", help="seconds, as 0 or 1-3")
    parser.add_argument("--receipts", action="store_true", help="receipts, and one answer in ten")
    parser.add_argument("--units", action="store_true", help="compare with the least of such work")
    parser.add_argument("--statements", type=int, default=0, help="how many statements to print")
    return parser.parse_args(words)


async def prepare(operator: psycopg.AsyncConnection, hook: str, *, receipts: bool) -> None:
    """Sets the webhooks, and lets the gateway know every number, as after some days of use."""
    await operator.execute("update instances set delivery_callback_url = %s", [hook])
    if receipts:
        await operator.execute(
            "update instances set message_status_callback_url = %s, received_callback_url = %s",
            [hook, hook],
        )
    await operator.execute(
        """insert into whatsapp_numbers (instance_id, spelling, phone)
           select i.id, p, p from instances i, unnest(%s::text[]) p""",
        [[phone_of(chat) for chat in range(CHATS)]],
    )
    await operator.execute("analyze")


@asynccontextmanager
async def steady_gateway(
    url: str, port: int, folder: str, arguments: argparse.Namespace
) -> AsyncIterator[int]:
    low, _, high = arguments.pace.partition("-")
    async with process(
        "tests.benchmarks.steady_gateway",
        "serve",
        port=port,
        path="/ready",
        DATABASE_URL=url,
        GATEWAY_ENV="development",
        GATEWAY_PORT=str(port),
        GATEWAY_INTERNAL_PORT="0",
        GATEWAY_DATA_DIR=folder,
        GATEWAY_SECRET_KEY=SECRET,
        GATEWAY_LOG_LEVEL="WARNING",
        GATEWAY_PACE_MIN_SECONDS=low,
        GATEWAY_PACE_MAX_SECONDS=high or low,
        STEADY_RECEIPTS="true" if arguments.receipts else "false",
    ) as pid:
        yield pid


async def measure(
    server_url: str, instances: int, arguments: argparse.Namespace
) -> dict[str, float]:
    """Returns the figures of one window, by name, and prints them."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "callbacks.log"
        async with (
            fresh_database(server_url) as url,
            operator_of(url) as operator,
            receivers(1, log=str(log)) as (hook,),
        ):
            instance_ids = await add_instances(url, instances, token=TOKEN)
            await prepare(operator, hook, receipts=arguments.receipts)
            port = free_port()
            async with steady_gateway(url, port, folder, arguments) as pid:
                connected = """select count(*) from instance_lines
                               where connected and instance_id like 'BENCH%'"""
                await until(
                    lambda: number(operator, connected), lambda n: n == instances, seconds=300
                )
                meter = Meter(operator, [pid])
                await meter.prepare()
                load = Load(port, instance_ids, arguments.every)
                figures = await _window(meter, operator, load, arguments)
                check(log, load)
            if arguments.units:
                figures |= await _in_units(operator, instance_ids, figures, arguments)
            return figures


async def _in_units(
    operator: psycopg.AsyncConnection,
    instance_ids: list[str],
    figures: dict[str, float],
    arguments: argparse.Namespace,
) -> dict[str, float]:
    """Measures the units once the gateway has ended, and shows the figures in them."""
    meter = Meter(operator, [])
    units = await measure_units(
        meter, operator, instance_ids, every=arguments.every, seconds=arguments.seconds
    )
    ratios = units.ratios(figures)
    show(units, ratios)
    return {"noop": units.noop, "insert": units.insert}


async def _window(
    meter: Meter,
    operator: psycopg.AsyncConnection,
    load: Load,
    arguments: argparse.Namespace,
) -> dict[str, float]:
    await load.open()
    await load.run(arguments.warm_up)
    before, began, first = await meter.read(), time.perf_counter(), len(load.milliseconds)
    await load.run(arguments.seconds)
    cost, seconds = (await meter.read()).since(before), time.perf_counter() - began
    taken = load.milliseconds[first:]
    await _all_delivered(operator)
    idle = None
    if arguments.idle:
        await asyncio.sleep(3.0)
        before = await meter.read()
        await asyncio.sleep(arguments.idle)
        idle = (await meter.read()).since(before)
    load.close()
    return _show(cost, idle, seconds, taken, arguments)


async def _all_delivered(operator: psycopg.AsyncConnection) -> None:
    waiting = """select (select count(*) from message_queue)
                        + (select coalesce(sum(pending), 0) from delivery_queues)"""
    await until(lambda: number(operator, waiting), lambda n: n == 0, seconds=_DRAIN_SECONDS)


def callbacks_in(log: Path) -> Counter[str]:
    """Returns how many DeliveryCallbacks of each message a receiver has logged."""
    *lines, _unfinished = log.read_bytes().split(b"\n")
    bodies = (json.loads(line.split(b" ", 1)[1]) for line in lines)
    return Counter(b["messageId"] for b in bodies if b["type"] == "DeliveryCallback")


def check(log: Path, load: Load) -> None:
    """Each accepted text must have exactly one DeliveryCallback."""
    delivered = callbacks_in(log)
    repeated = sum(count > 1 for count in delivered.values())
    missing = len(set(load.accepted) - set(delivered))
    if load.refused or repeated or missing:
        say(f"  WRONG: {load.refused} refused, {repeated} repeated, {missing} without a callback")


def _show(
    cost: Reading,
    idle: Reading | None,
    seconds: float,
    taken: list[float],
    arguments: argparse.Namespace,
) -> dict[str, float]:
    messages = len(taken)
    figures = {
        "gateway": cost.gateway / messages * 1_000,
        "postgres": cost.postgres / messages * 1_000,
        "commits": cost.commits / messages,
        "fsyncs": cost.fsyncs / messages,
        "wal": cost.wal / messages / 1_000,
        "p50": percentile(taken, 50),
        "p99": percentile(taken, 99),
        "rate": messages / seconds,
        "share": (cost.gateway + cost.postgres) / seconds / cores(),
    }
    figures["sum"] = figures["gateway"] + figures["postgres"]
    say(
        "  {rate:.1f}/s: Postgres {postgres:.2f} + gateway {gateway:.2f} = {sum:.2f} ms of CPU per "
        "message; {commits:.2f} commits, {fsyncs:.2f} fsyncs, {wal:.1f} kB of WAL; accepted in "
        "p50 {p50:.1f}, p99 {p99:.1f} ms; {share:.0%} of the machine".format(**figures)
    )
    if idle:
        say(
            f"  at rest: Postgres {idle.postgres / arguments.idle * 1_000:.1f}, gateway "
            f"{idle.gateway / arguments.idle * 1_000:.1f} ms of CPU per second, "
            f"{idle.commits / arguments.idle:.1f} commits/s"
        )
    by_time = sorted(
        cost.statements.values(), key=lambda each: each.executing + each.planning, reverse=True
    )
    for each in by_time[: arguments.statements]:
        say(
            f"    {each.executing / messages:6.3f} ms, planning {each.planning / messages:6.3f}, "
            f"{each.calls / messages:5.2f} calls, {each.plans / each.calls:4.2f} plans a call: "
            f"{each.text}"
        )
    return figures


async def run(server_url: str) -> None:
    arguments = arguments_of()
    kind = "with receipts and answers" if arguments.receipts else "without receipts"
    for instances in map(int, arguments.instances.split(",")):
        say(
            f"steady: {instances:,} instances, one text per {arguments.every:g} s each, {kind}, "
            f"pace {arguments.pace} s, {arguments.seconds:g} s"
        )
        await measure(server_url, instances, arguments)


if __name__ == "__main__":
    main(run)
