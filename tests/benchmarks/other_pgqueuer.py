"""A service around PgQueuer: `uvicorn ...:service`, and a worker in a process of its own.

    python -m tests.benchmarks.other_pgqueuer schema | worker

It has nothing that keeps the order of each number: its limits count jobs of a whole entrypoint.
As its guide says, the web server has a pool and the worker one connection, and the tables get its
settings of autovacuum.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from tests.benchmarks.other_service import DATABASE_URL, Enqueue, Fields, send, service_of


@asynccontextmanager
async def _opened() -> AsyncIterator[Enqueue]:
    async with asyncpg.create_pool(DATABASE_URL) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))

        async def enqueue(message: Fields) -> None:
            await queries.enqueue("send_text", json.dumps(message).encode())

        yield enqueue


service = service_of(_opened)


async def _work() -> None:
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(DATABASE_URL)))
    http = httpx.AsyncClient()

    @queuer.entrypoint("send_text")  # type: ignore[untyped-decorator] # of a library that mypy does not see
    async def send_text(job: Job) -> None:
        await send(http, json.loads(job.payload))

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
    await queuer.run()


async def _make_tables() -> None:
    queries = Queries(AsyncpgDriver(await asyncpg.connect(DATABASE_URL)))
    await queries.install()
    await queries.optimize_autovacuum()


if __name__ == "__main__":
    uvloop.run(_make_tables() if sys.argv[1] == "schema" else _work())
