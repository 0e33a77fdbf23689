"""The whole gateway with whatsmeow: no message is lost or repeated when processes die."""

import asyncio
import collections
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from psycopg import AsyncConnection

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.proxies import local_proxy
from tests.fixtures.service import RunningGateway, run_command, running_gateway, until
from tests.fixtures.tcp_postgres import (
    PASSWORD,
    TcpPostgres,
    in_front_with_tls,
    running_tcp_postgres,
)
from tests.fixtures.whatsmeow import (
    RECIPIENT,
    SENDER,
    children_of,
    children_when,
    command_of,
    new_instance,
    partner_of,
)
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
SECRET = "a secret that two gateways share"
COUNT = int(os.environ.get("WHATSMEOW_SENDS", "30"))


@pytest.fixture
def whatsapp(tmp_path: Path) -> Iterator[FakeWhatsApp]:
    folder = tmp_path / "whatsapp"
    folder.mkdir()
    with running_fake(folder) as fake:
        yield fake


def doctor_of(gateway: RunningGateway) -> subprocess.CompletedProcess[str]:
    return run_command(
        "doctor",
        fails=True,
        GATEWAY_ENV="development",
        GATEWAY_DATA_DIR=str(gateway.data_dir),
        **gateway.environment,
    )


def _open_files_of(process: psutil.Process) -> list[str]:
    return [str(each.readlink()) for each in Path(f"/proc/{process.pid}/fd").iterdir()]


async def test_whatsmeow_kill_9_of_child_and_gateway_repeats_nothing(
    tmp_path: Path, database_url: str, whatsapp: FakeWhatsApp
) -> None:
    environment = whatsapp.environment | {"GATEWAY_WHATSMEOW_KEYS": "file"}
    with running_gateway(tmp_path, database_url, **environment) as gateway:
        await gateway.ready()
        async with partner_of(gateway) as http:
            sender = await new_instance(http, "sender")
            await sender.link(whatsapp, SENDER)
            sent_by = await children_when(gateway, 1)
            recipient = await new_instance(http, "recipient")
            await recipient.link(whatsapp, RECIPIENT)

            accepted = [await sender.send(f"text {number}") for number in range(COUNT)]
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
            report = f"{len(accepted)} accepted, {len(ids)} at WhatsApp, {dict(outcomes)}"
            (tmp_path / "report.txt").write_text(report)
            # No message twice; one that may not have been sent is reported as unconfirmed.
            assert len(ids) == len(set(ids))
            assert outcomes["sent"] + outcomes["failed"] == COUNT
            assert outcomes["failed"] <= 1
            assert COUNT - outcomes["failed"] <= len(ids) <= COUNT

            orphans = children_of(gateway)
            assert len(orphans) == 2
            (lock,) = (tmp_path / "nodes").glob("*.lock")
            assert all(str(lock) in _open_files_of(p) for p in orphans)
            gateway.kill()
            psutil.wait_procs(orphans, timeout=PATIENCE_SECONDS)
            assert not any(p.is_running() for p in orphans)
            gateway.start()
            await gateway.ready()
            await until(sender.connected, bool)
            await sender.send("after all that")
            await whatsapp.state_when(lambda s: len(s["sent"]) > len(ids))


async def test_whatsmeow_kill_9_of_the_gateway_ends_all_children(
    tmp_path: Path, whatsapp: FakeWhatsApp
) -> None:
    """Also Postgres, the converter of files, and a child that has not loaded the library yet."""
    with running_gateway(tmp_path, None, **whatsapp.environment) as gateway:
        await gateway.ready()
        async with partner_of(gateway) as http:
            await http.post(
                f"/instances/{gateway.demo().instance_id}/token/{gateway.demo().instance_token}"
                "/send-image",
                json={"phone": RECIPIENT, "image": _PIXEL},
            )
            instance = await new_instance(http, "sender")
            request = asyncio.create_task(instance.answer("GET", "/qr-code"))
            await children_when(gateway, 1)
            assert gateway.process
            family = psutil.Process(gateway.process.pid).children(recursive=True)
            names = {" ".join(command_of(process)) for process in family}
            for expected in ("postgres", "media.child", "whatsmeow.child"):
                assert any(expected in name for name in names), names
            gateway.kill()
            _, left = psutil.wait_procs(family, timeout=30)
            assert left == []
            with pytest.raises(httpx.TransportError):
                await request


async def test_whatsmeow_change_of_proxy_loses_no_message(
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
            assert first.targets
            recipient = await new_instance(http, "recipient")
            await recipient.link(whatsapp, RECIPIENT)
            for number in range(COUNT):
                if number == COUNT // 2:
                    await sender.call("POST", "/proxy/swap", json={"proxyUrl": second.url})
                await sender.send(f"text {number}")
            await until(sender.waiting, lambda left: left == 0)

            assert len(second.targets) > 1  # the test of the proxy, then the session
            await until(sender.connected, bool)
            state = await whatsapp.control("state")
            ids = [m["id"] for m in state["sent"] if m["sender"] == SENDER]
            assert len(ids) == len(set(ids)) == COUNT
            assert "secret" not in gateway.log


@pytest.fixture(scope="module")
def plain() -> Iterator[TcpPostgres]:
    with running_tcp_postgres() as server:
        yield server


async def test_whatsmeow_over_tcp_links_once_its_key_store_opens(
    tmp_path: Path, plain: TcpPostgres, whatsapp: FakeWhatsApp
) -> None:
    url = plain.url(keepalives_idle=30)
    environment = whatsapp.environment | {"GATEWAY_SECRET_KEY": SECRET}
    with running_gateway(tmp_path, url, **environment) as gateway:
        await gateway.ready()
        async with (
            partner_of(gateway) as http,
            await AsyncConnection.connect(url, autocommit=True) as operator,
        ):
            instance = await new_instance(http, "over tcp")
            await operator.execute("create table whatsmeow.whatsmeow_version (broken text)")
            answer = await instance.answer("GET", "/qr-code")
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert "key store in Postgres does not open" in answer.text
            assert "pq: " in answer.text
            status = await until(
                lambda: instance.call("GET", "/status"), lambda seen: "reason" in seen
            )
            assert "pq: " in status["reason"]
            assert "pq: " in gateway.log
            found = doctor_of(gateway)
            assert found.returncode != 0
            assert "!! store of whatsmeow: The key store in Postgres does not open" in found.stdout
            assert PASSWORD not in gateway.log + found.stdout + answer.text

            await operator.execute("drop table whatsmeow.whatsmeow_version")
            await instance.link(whatsapp, SENDER)
            assert "reason" not in await instance.call("GET", "/status")


async def test_whatsmeow_over_tls_links_with_keys_in_postgres(
    tmp_path: Path, plain: TcpPostgres, whatsapp: FakeWhatsApp
) -> None:
    environment = whatsapp.environment | {"GATEWAY_SECRET_KEY": SECRET}
    with (
        in_front_with_tls(plain, tmp_path) as server,
        running_gateway(tmp_path, server.url(), **environment) as gateway,
    ):
        await gateway.ready()
        async with partner_of(gateway) as http:
            instance = await new_instance(http, "over tls")
            await instance.link(whatsapp, RECIPIENT)
        found = doctor_of(gateway)
        assert "ok store of whatsmeow: it opens, with the keys of" in found.stdout
        assert "ok network of whatsmeow: web.whatsapp.com:443 answers" in found.stdout
