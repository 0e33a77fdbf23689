"""A service around procrastinate: `uvicorn ...:service`, and a worker in a process of its own.

    python -m tests.benchmarks.other_procrastinate schema | worker

Its lock keeps the order of each number: of two jobs with one lock the second waits for the first.
Finished jobs stay in its table, as by default.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvloop
from procrastinate import App, PsycopgConnector

from tests.benchmarks.other_service import DATABASE_URL, Enqueue, Fields, send, service_of

_AT_ONCE = 200
"""Each number may send at the same time; the default is one job at a time for all."""

app = App(connector=PsycopgConnector(conninfo=DATABASE_URL))
http = httpx.AsyncClient()


@app.task(name="send_text")  # type: ignore[untyped-decorator] # of a library that mypy does not see
async def send_text(**message: str) -> None:
    await send(http, message)


@asynccontextmanager
async def _opened() -> AsyncIterator[Enqueue]:
    async def enqueue(message: Fields) -> None:
        await send_text.configure(lock=message["instanceId"]).defer_async(**message)

    async with app.open_async():
        yield enqueue


service = service_of(_opened)


async def _run(verb: str) -> None:
    async with app.open_async():
        if verb == "schema":
            await app.schema_manager.apply_schema_async()
        else:
            await app.run_worker_async(concurrency=_AT_ONCE)


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1]))
