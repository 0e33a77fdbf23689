"""The whole gateway over WhatsApp's own library: what becomes of each message when things die."""

import collections
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.proxies import local_proxy
from tests.fixtures.service import RunningGateway, running_gateway, until
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

SENDER, RECIPIENT = "5511910000001", "5511910000002"
COUNT = int(os.environ.get("WHATSMEOW_SENDS", "30"))


@pytest.fixture
def whatsapp(tmp_path: Path) -> Iterator[FakeWhatsApp]:
    folder = tmp_path / "whatsapp"
    folder.mkdir()
    with running_fake(folder) as fake:
        yield fake


class Instance:
    """One instance, as its owner calls it."""

    def __init__(self, http: httpx.AsyncClient, made: dict[str, Any]) -> None:
        self._http, self._path = http, f"/instances/{made['id']}/token/{made['token']}"

    async def call(self, method: str, path: str, **options: Any) -> Any:
        answer = await self._http.request(method, self._path + path, **options)
        assert answer.is_success, answer.text
        return answer.json()

    async def connected(self) -> bool:
        return bool((await self.call("GET", "/status"))["connected"])

    async def link(self, whatsapp: FakeWhatsApp, phone: str) -> None:
        await until(self._offers_a_code, bool)
        code = (await self.call("GET", "/qr-code"))["value"]
        assert (await whatsapp.control("scan", phone=phone, code=code))["linked"]
        await until(self.connected, bool)

    async def _offers_a_code(self) -> bool:
        answer = await self._http.get(f"{self._path}/qr-code")
        return answer.is_success

    async def send(self, text: str) -> str:
        body = {"phone": RECIPIENT, "message": text}
        return str((await self.call("POST", "/send-text", json=body))["messageId"])

    async def waiting(self) -> int:
        return int((await self.call("GET", "/queue/count"))["count"])


@asynccontextmanager
async def partner_of(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    demo = gateway.demo()
    headers = {"Client-Token": demo.client_token, "Authorization": f"Bearer {demo.partner_token}"}
    async with httpx.AsyncClient(
        base_url=gateway.base_url, headers=headers, timeout=PATIENCE_SECONDS
    ) as http:
        yield http


async def new_instance(http: httpx.AsyncClient, name: str) -> Instance:
    body = {"name": name, "provider": "whatsmeow"}
    made = await http.post("/instances/integrator/on-demand", json=body)
    assert made.is_success, made.text
    return Instance(http, made.json())


def children_of(gateway: RunningGateway) -> list[psutil.Process]:
    assert gateway.process
    everything = psutil.Process(gateway.process.pid).children(recursive=True)
    return [p for p in everything if "gateway.whatsmeow_child" in _command_of(p)]


def _command_of(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except psutil.Error:  # it ended while we looked
        return []
    return command


async def test_kill_9_of_a_child_amid_sends_and_then_of_the_gateway(
    tmp_path: Path, database_url: str, whatsapp: FakeWhatsApp
) -> None:
    environment = whatsapp.environment | {"GATEWAY_WHATSMEOW_KEYS": "file"}
    with running_gateway(tmp_path, database_url, **environment) as gateway:
        await gateway.ready()
        async with partner_of(gateway) as http:
            sender = await new_instance(http, "sender")
            await sender.link(whatsapp, SENDER)
            sent_by = await _children_when(gateway, 1)
            recipient = await new_instance(http, "recipient")
            await recipient.link(whatsapp, RECIPIENT)

            ours = [await sender.send(f"text {number}") for number in range(COUNT)]
            await whatsapp.state_when(lambda s: len(s["sent"]) >= COUNT // 2)
            sent_by[0].kill()
            await until(sender.waiting, lambda left: left == 0)

            state = await whatsapp.control("state")
            ids = [m["id"] for m in state["sent"] if m["sender"] == SENDER]
            outcomes = collections.Counter(
                line.partition('"outcome":"')[2].partition('"')[0]
                for line in gateway.log.splitlines()
                if '"event":"attempt_ended"' in line
            )
            report = f"{len(ours)} accepted, {len(ids)} at WhatsApp, {dict(outcomes)}"
            (tmp_path / "report.txt").write_text(report)
            # Nothing twice; what did not go is told as unconfirmed.
            assert len(ids) == len(set(ids))
            assert outcomes["sent"] + outcomes["failed"] == COUNT
            assert outcomes["failed"] <= 1
            assert COUNT - outcomes["failed"] <= len(ids) <= COUNT

            orphans = children_of(gateway)
            assert len(orphans) == 2
            gateway.kill()
            psutil.wait_procs(orphans, timeout=PATIENCE_SECONDS)
            assert not any(p.is_running() for p in orphans)
            gateway.start()
            await gateway.ready()
            await until(sender.connected, bool)
            await sender.send("after all that")
            await whatsapp.state_when(lambda s: len(s["sent"]) > len(ids))


async def test_a_linked_instance_changes_its_proxy_without_losing_a_message(
    tmp_path: Path, database_url: str, whatsapp: FakeWhatsApp
) -> None:
    environment = whatsapp.environment | {"GATEWAY_WHATSMEOW_KEYS": "file"}
    with running_gateway(tmp_path, database_url, **environment) as gateway:
        await gateway.ready()
        async with (
            partner_of(gateway) as http,
            local_proxy("http", beyond=whatsapp.port, login="user:secret") as first,
            local_proxy("socks5", beyond=whatsapp.port) as second,
        ):
            sender = await new_instance(http, "sender")
            shown = await sender.call("PUT", "/update-proxy", json={"proxyUrl": first.url})
            assert shown["proxy"]["proxyEnabled"] is True
            await sender.link(whatsapp, SENDER)
            assert first.asked
            recipient = await new_instance(http, "recipient")
            await recipient.link(whatsapp, RECIPIENT)
            for number in range(COUNT):
                if number == COUNT // 2:
                    await sender.call("POST", "/proxy/swap", json={"proxyUrl": second.url})
                await sender.send(f"text {number}")
            await until(sender.waiting, lambda left: left == 0)

            assert len(second.asked) > 1  # the test of it, and the session
            await until(sender.connected, bool)
            state = await whatsapp.control("state")
            ids = [m["id"] for m in state["sent"] if m["sender"] == SENDER]
            assert len(ids) == len(set(ids)) == COUNT
            assert "secret" not in gateway.log


async def _children_when(gateway: RunningGateway, count: int) -> list[psutil.Process]:
    async def look() -> list[psutil.Process]:
        return children_of(gateway)

    return await until(look, lambda found: len(found) == count)
