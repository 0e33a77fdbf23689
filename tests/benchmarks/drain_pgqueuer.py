"""Drains PgQueuer as its own benchmark does: five consumers, ten jobs at a time, over asyncpg.

Takes a URL and a number of jobs; writes the jobs per second. Runs where requirements.txt is
installed.
"""

import asyncio
import sys
import time

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

_CONSUMERS, _BATCH = 5, 10


async def run(url: str, jobs: int) -> float:
    async def queries() -> Queries:
        return Queries(AsyncpgDriver(await asyncpg.connect(dsn=url)))

    first = await queries()
    await first.install()
    await first.enqueue(["job"] * jobs, [b""] * jobs, [0] * jobs)
    consumers = [PgQueuer((await queries()).driver) for _ in range(_CONSUMERS)]
    done = 0
    for consumer in consumers:

        @consumer.entrypoint("job")  # type: ignore[untyped-decorator] # of a library that mypy does not see
        async def work(_job: Job) -> None:
            nonlocal done
            done += 1

    began = time.perf_counter()
    await asyncio.gather(
        *(c.run(batch_size=_BATCH, mode=QueueExecutionMode.drain) for c in consumers)
    )
    taken = time.perf_counter() - began
    assert done == jobs, done
    return jobs / taken


if __name__ == "__main__":
    sys.stdout.write(f"{uvloop.run(run(sys.argv[1], int(sys.argv[2])))}\n")
