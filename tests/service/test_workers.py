"""`gateway serve --workers N` runs N nodes on one port and one embedded Postgres."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import RunningGateway, client_of, free_port, running_gateway, until

CLEAN = 0


def family(gateway: RunningGateway) -> list[psutil.Process]:
    assert gateway.process
    children: list[psutil.Process] = psutil.Process(gateway.process.pid).children(recursive=True)
    return children


def workers_of(gateway: RunningGateway) -> list[psutil.Process]:
    return [child for child in family(gateway) if "--worker" in command(child)]


def command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):  # the process may have ended
        words: list[str] = process.cmdline()
        return words
    return []


async def gone(processes: list[psutil.Process], *, seconds: float = PATIENCE_SECONDS) -> None:
    async def look() -> list[psutil.Process]:
        return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    await until(look, lambda left: not left, seconds=seconds)


async def metrics(port: int) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}/metrics")


async def ready(gateway: RunningGateway, *, workers: int) -> None:
    """Waits until each worker is ready on its internal port."""
    async with httpx.AsyncClient(trust_env=False) as http:

        async def look() -> list[int]:
            codes = []
            for number in range(workers):
                url = f"http://127.0.0.1:{gateway.internal_port + number}/ready"
                try:
                    codes.append((await http.get(url)).status_code)
                except httpx.TransportError:
                    assert gateway.process
                    assert gateway.process.poll() is None, gateway.log[-3000:]
            return codes

        await until(look, lambda codes: codes == [200] * workers)


async def test_two_workers_share_port_and_postgres_and_drain(tmp_path: Path) -> None:
    with running_gateway(tmp_path, None, "--workers", "2") as gateway:
        await ready(gateway, workers=2)
        async with client_of(gateway) as client:
            accepted = [(await client.send_text(f"text {n}"))["messageId"] for n in range(40)]
            sent = await client.sent_at_least(40)
        scraped = [await metrics(gateway.internal_port + n) for n in range(2)]
        everybody = family(gateway)
        postmasters = [p for p in everybody if "-D" in command(p)]
        code = gateway.stop()
        await gone(everybody)

    assert [s["messageId"] for s in sent] == accepted
    assert all("messages_queued_total" in page.text for page in scraped)
    assert len(postmasters) == 1
    assert code == CLEAN


async def test_killed_worker_restarts_and_its_queue_goes_on(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(
        tmp_path, database_url, "--workers", "2", GATEWAY_LEASE_SECONDS="2"
    ) as gateway:
        await ready(gateway, workers=2)
        async with client_of(gateway) as client:
            before = {p.pid for p in workers_of(gateway)}
            for worker in workers_of(gateway):
                worker.send_signal(signal.SIGKILL)
            await until(
                lambda: asyncio.to_thread(workers_of, gateway),
                lambda now: len(now) == 2 and not before & {p.pid for p in now},
            )
            await ready(gateway, workers=2)
            message = await client.send_text("after")
            sent = await client.sent_at_least(1)
        code = gateway.stop()

    assert [s["messageId"] for s in sent] == [message["messageId"]]
    assert gateway.log.count('"event":"worker_ended"') == 2
    assert code == CLEAN


async def test_workers_end_when_their_parent_is_killed(tmp_path: Path, database_url: str) -> None:
    with running_gateway(tmp_path, database_url, "--workers", "2") as gateway:
        await ready(gateway, workers=2)
        workers = workers_of(gateway)
        gateway.kill()
        await gone(workers)
        assert len(workers) == 2
        assert gateway.log.count('"event":"stopped"') == 2  # both drained


async def test_used_port_is_refused_before_any_worker_starts(
    tmp_path: Path, database_url: str
) -> None:
    taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", free_port())
    port = taken.sockets[0].getsockname()[1]
    with running_gateway(
        tmp_path, database_url, "--workers", "2", GATEWAY_PORT=str(port)
    ) as gateway:
        assert gateway.process
        code = await asyncio.to_thread(gateway.process.wait, PATIENCE_SECONDS)
    taken.close()
    await taken.wait_closed()

    assert code == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in gateway.log
