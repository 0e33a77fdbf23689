"""The sides of `compare` with linked phones: the gateway with Baileys, and a loop of one's own.

Both have the same Node and library, and the same number of phones in one process of it. They are at
a fake WhatsApp of their own, whose processor time is left out of the figures. Each text goes to one
of ten people who are away, so that nobody answers.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import psycopg

from gateway.providers.baileys.node_program import find_node
from gateway.providers.baileys.settings import read_settings
from tests.benchmarks import steady
from tests.benchmarks.enqueue import TOKEN, answering, path_of, program
from tests.benchmarks.harness import SECRET, add_instances
from tests.benchmarks.steady_load import CHATS, phone_of
from tests.fixtures.baileys_packages import installed_packages
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import free_port, until
from tests.providers.baileys_node import environment_of
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

_AT_ONCE = 6
_FIRST_PHONE = 5511970000001
_PROGRAM = Path(__file__).with_name("other_baileys.mjs")

Opened = Callable[
    [str, psycopg.AsyncConnection, str, int],
    AbstractAsyncContextManager[tuple[int, int, list[str]]],
]
"""Opens a side with so many linked phones; yields port, process id and instances."""


@asynccontextmanager
async def gateway(
    url: str, operator: psycopg.AsyncConnection, hook: str, count: int
) -> AsyncIterator[tuple[int, int, list[str]]]:
    instance_ids = await add_instances(url, count, token=TOKEN, provider="baileys")
    await steady.prepare(operator, hook, receipts=False)
    port = free_port()
    with _folder_and_fake() as (folder, whatsapp):
        settings = {
            "DATABASE_URL": url,
            "GATEWAY_ENV": "development",
            "GATEWAY_PORT": str(port),
            "GATEWAY_INTERNAL_PORT": "0",
            "GATEWAY_DATA_DIR": str(folder),
            "GATEWAY_SECRET_KEY": SECRET,
            "GATEWAY_LOG_LEVEL": "WARNING",
            "GATEWAY_PACE_MIN_SECONDS": "0",
            "GATEWAY_PACE_MAX_SECONDS": "0",
        }
        command = (sys.executable, "-m", "gateway", "serve")
        async with program(*command, **environment_of(whatsapp), **settings) as server:
            await answering(server, port, "/ready")
            await _link_all(port, instance_ids, whatsapp)
            yield port, server.pid, instance_ids


@asynccontextmanager
async def bare_loop(
    _url: str,
    _operator: psycopg.AsyncConnection,
    hook: str,
    count: int,
    *,
    has_files: bool = True,
) -> AsyncIterator[tuple[int, int, list[str]]]:
    instance_ids, port = [f"BENCH{n:08d}" for n in range(count)], free_port()
    with _folder_and_fake() as (folder, whatsapp):
        environment = environment_of(whatsapp) | {"CALLBACK_URL": hook, "TOKEN": TOKEN}
        node = find_node(read_settings(environment))  # the gateway's
        command = (node, _PROGRAM, installed_packages(), port, *([folder] if has_files else []))
        async with program(*map(str, command), **environment) as server:
            await answering(server, port, "/")
            await _link_all(port, instance_ids, whatsapp)
            yield port, server.pid, instance_ids


@contextmanager
def _folder_and_fake() -> Iterator[tuple[Path, FakeWhatsApp]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as fake,
        running_fake(Path(fake)) as whatsapp,
    ):
        yield Path(folder), whatsapp


async def _link_all(port: int, instance_ids: list[str], whatsapp: FakeWhatsApp) -> None:
    """Links a phone to each instance; makes the accounts of the recipients first."""
    for chat in range(CHATS):
        person = {"phone": phone_of(chat), "person": str(_FIRST_PHONE), "name": "Ana"}
        await whatsapp.control("save_contact", **person)
    gate = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Client-Token": "client-token"},
        timeout=PATIENCE_SECONDS,
    ) as http:

        async def link(instance_id: str, phone: str) -> None:
            base = path_of(instance_id).removesuffix("/send-text")

            async def code() -> str:
                answer = await http.get(f"{base}/qr-code")
                return str(answer.json().get("value") or "")

            async def is_connected() -> bool:
                return bool((await http.get(f"{base}/status")).json().get("connected"))

            async with gate:
                shown = await until(code, bool)
                assert (await whatsapp.control("scan", phone=phone, code=shown))["linked"]
                await until(is_connected, bool)

        phones = (str(_FIRST_PHONE + n) for n in range(len(instance_ids)))
        await asyncio.gather(*map(link, instance_ids, phones))
