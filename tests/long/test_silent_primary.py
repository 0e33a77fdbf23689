"""A primary whose host is silent: how long no text is accepted, and that none is lost or repeated.

Prints its figures: pytest -s -m long tests/long/test_silent_primary.py
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.fixtures.postgres_proxy import BadConnection, bad_connection
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

pytestmark = pytest.mark.long

CALLERS = 5
SILENT_SECONDS = 60.0


@dataclass
class Campaign:
    """Callers that send one text after the other and never repeat one."""

    client: Client
    gateway: RunningGateway
    began: float = field(default_factory=time.monotonic)
    accepted: list[str] = field(default_factory=list)
    accepted_at: list[float] = field(default_factory=list)
    answers: dict[int, list[float]] = field(default_factory=dict)
    ready: list[float] = field(default_factory=list)

    async def call(self, caller: int, stopping: asyncio.Event) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            began = time.monotonic()
            answer = await self.client.call(
                "POST",
                "/send-text",
                json={"phone": f"551199999999{caller}", "message": f"{number}"},
            )
            now = time.monotonic()
            self.answers.setdefault(answer.status_code, []).append(now - began)
            if answer.status_code == httpx.codes.OK:
                self.accepted.append(answer.json()["messageId"])
                self.accepted_at.append(now)
            await asyncio.sleep(0.05)

    async def probe(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            began = time.monotonic()
            await self.gateway.get("/ready")
            self.ready.append(time.monotonic() - began)
            await asyncio.sleep(0.5)

    async def accepts_after(self, moment: float) -> None:
        async def last() -> float:
            return self.accepted_at[-1]

        await until(last, lambda at: at > moment)

    def no_service_seconds(self) -> float:
        """The longest time between two texts that were accepted."""
        return max(b - a for a, b in zip(self.accepted_at, self.accepted_at[1:], strict=False))


def url_of(*proxies: BadConnection) -> str:
    hosts = [conninfo_to_dict(proxy.url) for proxy in proxies]
    return make_conninfo(
        proxies[0].url,
        host=",".join(str(each["host"]) for each in hosts),
        port=",".join(str(each["port"]) for each in hosts),
    )


@asynccontextmanager
async def campaign(url: str, folder: Path) -> AsyncIterator[Campaign]:
    stopping = asyncio.Event()
    with running_gateway(folder, url) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            running = Campaign(client, gateway)
            async with asyncio.TaskGroup() as tasks:
                for caller in range(CALLERS):
                    tasks.create_task(running.call(caller, stopping))
                tasks.create_task(running.probe(stopping))
                await until(lambda: _count(running), lambda count: count > 50)
                yield running
                stopping.set()
            await _verify(running)
        gateway.kill()


async def _count(running: Campaign) -> int:
    return len(running.accepted)


async def _verify(running: Campaign) -> None:
    """Each accepted text arrived once; those of one caller in order."""

    async def arrived() -> list[str]:
        return [row["messageId"] for row in await running.client.sent()]

    sent = await until(arrived, lambda ids: set(running.accepted) <= set(ids))
    log = running.gateway.log
    print(_figures(running, sent, log))  # noqa: T201 - the figures are what a campaign is for
    assert len(sent) == len(set(sent))
    assert set(running.answers) <= {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}
    assert log.count('"event":"connection_changed"') == 1
    assert "unexpected_error" not in log


def _figures(running: Campaign, sent: list[str], log: str) -> str:
    pool_lines = log.count('"logger":"psycopg.pool"')
    answers = {code: (len(s), round(max(s), 1)) for code, s in running.answers.items()}
    return (
        f"\naccepted {len(running.accepted)}, arrived {len(sent)}, "
        f"repeated {len(sent) - len(set(sent))}, no service {running.no_service_seconds():.1f} s, "
        f"answers (count, slowest) {answers}, slowest /ready {max(running.ready):.1f} s, "
        f"lines of the pool {pool_lines}"
    )


async def test_next_host_of_the_url_serves_while_the_first_is_silent(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        bad_connection(database_url) as silent,
        bad_connection(database_url) as promoted,
        campaign(url_of(silent, promoted), tmp_path) as running,
    ):
        silent.freeze()
        moment = time.monotonic()
        await running.accepts_after(moment + 1.0)
        await asyncio.sleep(30)  # and it goes on so


async def test_only_host_is_silent_for_a_minute(tmp_path: Path, database_url: str) -> None:
    async with bad_connection(database_url) as proxy, campaign(proxy.url, tmp_path) as running:
        proxy.freeze()
        await asyncio.sleep(SILENT_SECONDS)
        proxy.thaw()
        await running.accepts_after(time.monotonic())
