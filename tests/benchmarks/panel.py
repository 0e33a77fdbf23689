"""How soon a page of the panel is painted, and the processor time of the gateway for it.

    python -m tests.benchmarks.panel [instances] [waiting]

One account with 2,000 instances, and 100,000 messages that wait in the queue of one. Everything
runs for real: a gateway in its own process, on a Postgres of its own, with Chromium.
"""

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from typing import LiteralString

import httpx
import psutil
import psycopg
from playwright.async_api import Browser
from typer import echo

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import account_of, browser_of, people_of
from tests.fixtures.panel_browser import chromium, context_of
from tests.fixtures.panel_seed import SETTINGS
from tests.fixtures.panel_walk import route_of
from tests.fixtures.postgres import public_folder, running_postgres
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

INSTANCES, WAITING = 2_000, 100_000
REQUESTS, PAINTS = 20, 5
_START_AIM_MS, _LIST_AIM_MS = 1_000, 1_500
PAGES: tuple[tuple[str, int], ...] = (
    ("/panel/", _START_AIM_MS),
    ("/panel/queue", _LIST_AIM_MS),
    ("/panel/instances", _LIST_AIM_MS),
)
_INSTANCES: LiteralString = """
    insert into instances (id, account_id, name, token_hash, token_ciphertext, token_key_id,
                           provider, subscribed, provider_settings, wanted)
    select 'BENCH' || lpad(n::text, 8, '0'), account_id, 'Loja ' || n,
           sha256(n::text::bytea), token_ciphertext, token_key_id, provider, subscribed,
           provider_settings, false
    from instances, generate_series(1, %(count)s) n where id = %(id)s
"""
_WAITING: LiteralString = """
    insert into message_queue (instance_id, sequence_number, position, version, priority,
                               max_attempts, status, zaap_id, message_id, type, phone, payload)
    select %(id)s, 1000000 + n, 1000000 + n, 1, n %% 3, 5, 'pending', 'Z' || n, 'M' || n,
           'send-text', (5511900000000 + n %% 5000)::text,
           jsonb_build_object('phone', (5511900000000 + n %% 5000)::text, 'message', 'Pedido ' || n)
    from generate_series(1, %(count)s) n
"""
_TIMES = """
    () => new Promise((done) => {
        const first = () => performance.getEntriesByName("first-contentful-paint")[0];
        const ready = () => {
            const load = performance.getEntriesByType("navigation")[0].loadEventEnd;
            if (first() && load) done([first().startTime, load]);
            else requestAnimationFrame(ready);
        };
        ready();
    })
"""


@dataclass(frozen=True)
class Measured:
    """Milliseconds, the middle of several runs."""

    painted: float
    loaded: float
    answered: float
    cpu: float


def main() -> None:
    instances = int(sys.argv[1]) if len(sys.argv) > 1 else INSTANCES
    waiting = int(sys.argv[2]) if len(sys.argv) > 2 else WAITING
    with (
        public_folder() as folder,
        running_postgres(folder / "pg") as url,
        running_gateway(folder, url, **SETTINGS) as gateway,
    ):
        asyncio.run(_measure(gateway, url, instances, waiting))


async def _measure(gateway: RunningGateway, url: str, instances: int, waiting: int) -> None:
    await gateway.ready()
    async with client_of(gateway) as client:
        await until(
            lambda: client.call("GET", "/status"), lambda a: a.json().get("connected") is True
        )
        await client.call("POST", "/queue/pause", json={})
        _fill(url, client.demo.instance_id, instances, waiting)
        session = await _session(gateway, client)
    where = f"?instance={gateway.demo().instance_id}"
    echo(f"{'':20} {'painted ms':>11} {'loaded ms':>10} {'answer ms':>10} {'cpu ms':>8}  aim")
    async with chromium() as browser:
        for path, aim in PAGES:
            if route_of("GET", path) is None:
                echo(f"{path:20} there is no such page")
                continue
            found = await _time(browser, gateway, session, path + where)
            outcome = "met" if found.painted <= aim else "missed"
            echo(
                f"{path:20} {found.painted:11.0f} {found.loaded:10.0f} {found.answered:10.0f}"
                f" {found.cpu:8.1f}  {aim} ms: {outcome}"
            )


def _fill(url: str, instance_id: str, instances: int, waiting: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_INSTANCES, {"id": instance_id, "count": instances})
        connection.execute(_WAITING, {"id": instance_id, "count": waiting})
        connection.execute("analyze")


async def _session(gateway: RunningGateway, client: Client) -> str:
    async with people_of(gateway) as people:
        email = await people.add(UserRole.OWNER, await account_of(client), password=None)
        return await people.session_of(email)


async def _time(browser: Browser, gateway: RunningGateway, session: str, path: str) -> Measured:
    answered, cpu = await _answers(gateway, session, path)
    paints = []
    for _ in range(PAINTS):
        context = await context_of(browser, gateway, session=session)  # with an empty cache
        page = await context.new_page()
        await page.goto(path, wait_until="load")
        paints.append(await page.evaluate(_TIMES))
        await context.close()
    painted, loaded = (statistics.median(times) for times in zip(*paints, strict=True))
    return Measured(painted, loaded, answered, cpu)


async def _answers(gateway: RunningGateway, session: str, path: str) -> tuple[float, float]:
    """Returns the time of an answer and the processor time of the gateway for it."""
    assert gateway.process is not None
    process = psutil.Process(gateway.process.pid)
    async with browser_of(gateway, session=session) as http:
        await http.get(path)
        times = []
        before = process.cpu_times()
        for _ in range(REQUESTS):
            began = time.perf_counter()
            answer = await http.get(path)
            times.append((time.perf_counter() - began) * 1_000)
            assert answer.status_code == httpx.codes.OK, answer.text[-3000:]
        after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return statistics.median(times), used * 1_000 / REQUESTS


if __name__ == "__main__":
    main()
