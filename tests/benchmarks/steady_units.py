"""The units of `steady`: what the least of such work costs on this machine, at the same rate.

A route that does nothing is the unit of the gateway, and an insert of one row that of Postgres.
At some requests a second every cache is cold, so what a tight loop costs is no measure for it.
"""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
import psycopg

from tests.benchmarks.enqueue import process
from tests.benchmarks.measured import Meter, processor_seconds
from tests.benchmarks.steady_load import Load
from tests.fixtures.service import free_port

_INSERT = """insert into message_queue (instance_id, zaap_id, message_id, type, version, phone,
    payload, priority, max_attempts, sequence_number, position, status, due_at)
values ('UNIT', %(id)s, %(id)s, 'send-text', 1, '5511999999999',
    '{"phone": "5511999999999", "message": "Your order 4711 is on its way."}', 1, 3, %(n)s, %(n)s,
    'pending', now())"""


@dataclass(frozen=True, slots=True)
class Units:
    """Milliseconds of processor time: of a request to the no-op, and of an insert of one row."""

    noop: float
    insert: float

    def ratios(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Returns what a message costs in these units."""
        return {
            "gateway": figures["gateway"] / self.noop,
            "postgres": figures["postgres"] / self.insert,
        }


async def measure_units(
    meter: Meter,
    operator: psycopg.AsyncConnection,
    instance_ids: list[str],
    *,
    every: float,
    seconds: float,
) -> Units:
    """Measures both at the same time; nothing else may use this Postgres meanwhile."""
    noop, insert = await asyncio.gather(
        _noop(instance_ids, every=every, seconds=seconds),
        _insert(meter, operator, len(instance_ids) / every, seconds),
    )
    return Units(noop, insert)


async def _noop(instance_ids: list[str], *, every: float, seconds: float) -> float:
    port = free_port()
    arguments = ("--port", str(port), "--no-access-log", "--log-level", "error")
    async with process(
        "uvicorn", "tests.benchmarks.noop:app", *arguments, port=port, path="/"
    ) as pid:
        load = Load(port, instance_ids, every)
        await load.open()
        await load.run(every)
        before, count = processor_seconds(psutil.Process(pid)), len(load.milliseconds)
        await load.run(seconds)
        used, count = (
            processor_seconds(psutil.Process(pid)) - before,
            len(load.milliseconds) - count,
        )
        load.close()
    return used / count * 1_000


async def _insert(
    meter: Meter, operator: psycopg.AsyncConnection, rate: float, seconds: float
) -> float:
    """Inserts on a connection of its own, whose backend counts."""
    async with await psycopg.AsyncConnection.connect(
        operator.info.dsn, autocommit=True, prepare_threshold=0
    ) as connection:
        await connection.execute("delete from message_queue where instance_id = 'UNIT'")
        loop, count = asyncio.get_running_loop(), int(rate * seconds)
        before, began = await meter.read(), loop.time()
        for n in range(count):
            await connection.execute(_INSERT, {"id": f"{n:032X}", "n": n})
            await asyncio.sleep(max(0.0, began + (n + 1) / rate - loop.time()))
        used = (await meter.read()).since(before).postgres
        await connection.execute("delete from message_queue where instance_id = 'UNIT'")
    return used / count * 1_000


def show(units: Units, ratios: Mapping[str, float]) -> None:
    sys.stdout.write(
        f"  units: a request to the no-op {units.noop:.2f} ms, an insert {units.insert:.2f} ms; "
        f"gateway {ratios['gateway']:.2f} no-ops, Postgres {ratios['postgres']:.2f} inserts\n"
    )
