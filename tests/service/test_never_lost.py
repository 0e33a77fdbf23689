"""Every event is delivered at least once and in the order of its chat, also after kills.

TEST_EVENTS and TEST_KILLS make it longer; a release is tested with 5000 and 50.
"""

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher

EVENTS = int(os.environ.get("TEST_EVENTS", "300"))
KILLS = int(os.environ.get("TEST_KILLS", "5"))
RESTARTS = max(1, KILLS // 2)
CHATS = [f"55118888800{n:02}" for n in range(7)]
QUICK = {"GATEWAY_WEBHOOK_RETRY_BASE_SECONDS": "0.05"}


async def test_kills_lose_and_reorder_no_event(tmp_path: Path, database_url: str) -> None:
    fate = random.Random(7)
    with running_gateway(tmp_path, database_url, **QUICK) as gateway:
        await gateway.ready()

        async def kill() -> None:
            await asyncio.sleep(fate.uniform(0.1, 1.0))
            gateway.kill()
            gateway.start()
            await gateway.ready()

        await _tell_while(kill, KILLS, gateway, fate)


async def test_postgres_restarts_lose_and_reorder_no_event(tmp_path: Path) -> None:
    fate = random.Random(8)
    with public_folder() as folder:
        postgres = EmbeddedPostgres(folder / "pg")
        await postgres.start()
        try:
            with running_gateway(tmp_path, postgres.url, **QUICK) as gateway:
                await gateway.ready()

                async def restart() -> None:
                    await asyncio.sleep(fate.uniform(0.1, 1.0))
                    await postgres.stop()
                    await postgres.start()

                await _tell_while(restart, RESTARTS, gateway, fate)
        finally:
            await postgres.stop()


async def _tell_while(
    disturb: Callable[[], Coroutine[Any, Any, None]],
    times: int,
    gateway: RunningGateway,
    fate: random.Random,
) -> None:
    catcher = WebhookCatcher(answer=lambda _number: 500 if fate.random() < 1 / 3 else 200)
    async with catcher.serving(), client_of(gateway) as client:
        await client.call("PUT", "/update-webhook-received", json={"value": catcher.url})
        disturbed = 0

        async def share() -> float:
            return disturbed / times

        telling = asyncio.create_task(_receive_all(client, share))
        for _ in range(times):
            await disturb()
            disturbed += 1
        await telling
        await catcher.wait_for(lambda c: len(_first_times(c)) >= EVENTS)

    texts: dict[str, list[int]] = defaultdict(list)
    for chat, number in _first_times(catcher):
        texts[chat].append(number)
    assert texts == {chat: list(range(n, EVENTS, len(CHATS))) for n, chat in enumerate(CHATS)}
    bodies: dict[str, bytes] = {}
    for posted in catcher.posted:
        assert bodies.setdefault(posted.id, posted.raw) == posted.raw
    assert len({posted.status for posted in catcher.posted}) == 2


async def _receive_all(client: Client, share: Callable[[], Awaitable[float]]) -> None:
    """Sends every event, a share between any two disturbances; repeats one without an answer."""
    for number in range(EVENTS):
        await until(share, partial(_may_come, number))
        event = {"phone": CHATS[number % len(CHATS)], "text": str(number)}
        await until(partial(_accepted, client, event), bool)


def _may_come(number: int, share: float) -> bool:
    return number < EVENTS * (share + 0.1)


async def _accepted(client: Client, event: dict[str, str]) -> bool:
    try:
        answer = await client.http.post(f"{client.sandbox}/receive", json=event)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK


def _first_times(catcher: WebhookCatcher) -> list[tuple[str, int]]:
    """Returns each event that was delivered, at its first delivery."""
    told = ((b["phone"], int(b["text"]["message"])) for b in catcher.of_type("ReceivedCallback"))
    return list(dict.fromkeys(told))
