"""The whole gateway with whatsmeow: no message is lost or repeated when processes die."""

import asyncio
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
    command_of,
    new_instance,
    partner_of,
)
from tests.fixtures.whatsmeow_pair import linked_pair
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
SECRET = "a secret that two gateways share"
COUNT = 10


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


async def test_whatsmeow_kill_9_of_child_and_gateway_repeats_nothing(
    tmp_path: Path, memory_path: Path, database_url: str, whatsapp: FakeWhatsApp
) -> None:
    """The child dies with a message in flight; `tests/long` kills at any moment."""
    async with linked_pair(tmp_path, memory_path, database_url, whatsapp) as pair:
        await pair.send(2)
        await pair.outcomes()
        await whatsapp.control("behave", hold_acks=True)
        await pair.send(COUNT)
        in_flight = await pair.arrived_at_least(3)
        await pair.kill_the_child()
        await whatsapp.control("behave", hold_acks=False)

        await pair.check(kills=1)
        assert (await pair.arrived())[:3] == in_flight
        await pair.everything_received()
        await pair.kill_the_gateway()


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
            assert gateway.process
            parent = psutil.Process(gateway.process.pid)

            async def look() -> list[psutil.Process]:
                return list(parent.children(recursive=True))

            def is_complete(family: list[psutil.Process]) -> bool:
                names = [" ".join(command_of(process)) for process in family]
                expected = ("postgres", "media.child", "whatsmeow.child")
                return all(any(part in name for name in names) for part in expected)

            family = await until(look, is_complete)  # the converter starts when the worker does
            gateway.kill()
            _, left = psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
            assert [command_of(process) for process in left] == []
            with pytest.raises(httpx.TransportError):
                await request


async def test_whatsmeow_change_of_proxy_loses_no_message(
    tmp_path: Path, memory_path: Path, database_url: str, whatsapp: FakeWhatsApp
) -> None:
    (tmp_path / "whatsmeow").symlink_to(memory_path)
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


async def test_whatsmeow_kill_9_with_keys_in_postgres_repeats_nothing(
    tmp_path: Path, memory_path: Path, database_url: str, whatsapp: FakeWhatsApp
) -> None:
    """The keys go through the pool, on two connections for both phones."""
    async with linked_pair(tmp_path, memory_path, database_url, whatsapp, keys="postgres") as pair:
        await pair.send(2)
        await pair.outcomes()
        await whatsapp.control("behave", hold_acks=True)
        await pair.send(COUNT)
        in_flight = await pair.arrived_at_least(3)
        await pair.kill_the_child()
        await whatsapp.control("behave", hold_acks=False)

        await pair.check(kills=1)
        assert (await pair.arrived())[:3] == in_flight
        await pair.kill_the_gateway()
