"""Drains procrastinate with twenty jobs at a time.

Takes a URL and a number of jobs; writes the jobs per second. Runs where requirements.txt is
installed.
"""

import sys
import time

import uvloop
from procrastinate import App, PsycopgConnector

_AT_ONCE = 20


async def run(url: str, jobs: int) -> float:
    app, done = App(connector=PsycopgConnector(conninfo=url)), 0

    @app.task(name="job")  # type: ignore[untyped-decorator] # of a library that mypy does not see
    async def work() -> None:
        nonlocal done
        done += 1

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await work.batch_defer_async(*({} for _ in range(jobs)))
        began = time.perf_counter()
        await app.run_worker_async(
            wait=False, concurrency=_AT_ONCE, install_signal_handlers=False, delete_jobs="always"
        )
        taken = time.perf_counter() - began
    assert done == jobs, done
    return jobs / taken


if __name__ == "__main__":
    sys.stdout.write(f"{uvloop.run(run(sys.argv[1], int(sys.argv[2])))}\n")
