"""No SQL error of one part ends the process: every loop of a gateway meets one and goes on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from psycopg import AsyncConnection

from gateway import periodic_loop
from gateway.cli.execution import read_settings
from gateway.clock import Clock
from gateway.periodic_loop import PeriodicLoop
from gateway.runtime.service import run_until
from gateway.runtime.wiring import Gateway
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import until

# They run no statement without a call and nothing arrives.
IDLE = {
    "API key uses",
    "auto_actions",
    "completion_waiters",
    "connection_health",
    "event_stream",
    "event_stream_access",
    "file_fetches",
    "garbage collection",
    "loop probe",
    "panel_live",
    "proxy addresses",
    "sandbox_events",
    "session_settings",
    "traffic",
    "wrong phones",
}
BUSY = {
    "event_positions",
    "gauges",
    "inbox",
    "leases",
    "maintenance: delete expired callbacks",
    "maintenance: delete expired rows of the queue",
    "maintenance: delete expired traffic",
    "maintenance: encryption of content",
    "maintenance: erased people",
    "maintenance: expire messages",
    "maintenance: history partitions",
    "maintenance: missing receipts",
    "maintenance: sample waiting messages",
    "maintenance: settings of connections",
    "media_maintenance",
    "removal",
    "sandbox_retention",
    "schedule",
    "watchdog",
    "webhooks",
}
HIDE = "alter schema public rename to hidden; alter schema sandbox rename to hidden_sandbox"
SHOW = "alter schema hidden rename to public; alter schema hidden_sandbox rename to sandbox"


class QuickClock(Clock):
    """Shortens every pause, so that each loop runs a step many times a second."""

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        short = 0.05 if timeout_seconds is None else min(timeout_seconds, 0.05)
        return await super().wait(event, short)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.05))


class Loops:
    """Counts the steps of every loop in this process that ended well, and those that failed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done, self.failed = Counter[str](), Counter[str]()
        self.errors: set[str] = set()
        run_step = PeriodicLoop._run_step

        async def counted(loop: PeriodicLoop) -> float | None:
            failed = self.failed[loop._name]
            pause = await run_step(loop)
            if self.failed[loop._name] == failed:
                self.done[loop._name] += 1
            return pause

        def note(error: Exception, *, component: str) -> None:
            self.errors.add(type(error).__name__)
            self.failed[component] += 1

        monkeypatch.setattr(PeriodicLoop, "_run_step", counted)
        monkeypatch.setattr(periodic_loop, "report_error", note)

    async def all_have(self, counter: Counter[str], names: set[str]) -> None:
        counter.clear()

        async def lacking() -> set[str]:
            return {name for name in names if not counter[name]}

        await until(lacking, lambda names: not names)


@asynccontextmanager
async def running(url: str, folder: Path) -> AsyncIterator[Gateway]:
    environment = {
        "DATABASE_URL": url,
        "GATEWAY_ENV": "development",
        "GATEWAY_PORT": "0",
        "GATEWAY_INTERNAL_PORT": "0",
        "GATEWAY_DATA_DIR": str(folder),
    }
    gateway = Gateway(read_settings(environment), environment, clock=QuickClock())
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(run_until(gateway, stopping, drain_seconds=PATIENCE_SECONDS))
        yield gateway
        stopping.set()


async def test_sql_error_in_every_part_ends_nothing(
    database_url: str, operator: AsyncConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = Loops(monkeypatch)
    async with (
        running(database_url, tmp_path) as gateway,
        httpx.AsyncClient(base_url=gateway.base_url) as http,
    ):
        await until(lambda: http.get("/ready"), lambda answer: answer.status_code == 200)
        await loops.all_have(loops.done, BUSY)

        await operator.execute(HIDE)
        await loops.all_have(loops.failed, BUSY)
        await operator.execute(SHOW)
        await loops.all_have(loops.done, BUSY)
        await until(lambda: http.get("/ready"), lambda answer: answer.status_code == 200)

    assert {"UndefinedTable"} <= loops.errors <= {"UndefinedTable", "UndefinedFunction"}
    assert set(loops.done) <= BUSY | IDLE  # a new loop belongs into one of them
