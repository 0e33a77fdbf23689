"""Links to media hold the URL with which callers reach the gateway."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import httpx
import pytest
from psycopg import AsyncConnection

from tests.fixtures import media
from tests.fixtures.media import file_server
from tests.fixtures.service import (
    Client,
    NewHouse,
    RunningGateway,
    client_of,
    running_gateway,
    until,
)

WILDCARD = {"GATEWAY_HOST": "0.0.0.0", "GATEWAY_ALLOW_REMOTE": "true"}
FORWARDED = {"X-Forwarded-Host": "proxy.example.com", "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_TRUSTED_PROXIES="127.0.0.1/32", **WILDCARD) as gateway:
        yield gateway


async def rows_of(
    host: RunningGateway, statement: LiteralString, *parameters: str
) -> list[tuple[Any, ...]]:
    url = host.environment["DATABASE_URL"]
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        return await (await connection.execute(statement, parameters)).fetchall()


async def link_of_received_picture(client: Client, host: RunningGateway) -> str:
    """Receives a picture and returns the `imageUrl` of its callback."""

    async def received() -> list[tuple[Any, ...]]:
        return await rows_of(
            host,
            "select payload from messages where status = 'received' and instance_id = %s"
            " order by created_at",
            client.demo.instance_id,
        )

    before = len(await received())
    async with file_server() as server:
        url = server.put("/picture.png", media.file(media.picture()))
        await client.control("receive", phone="5511999999999", image={"source": url})
        rows = await until(received, lambda rows: len(rows) > before)
    link: str = rows[-1][0]["image"]["imageUrl"]
    return link


async def base_of_link(client: Client, host: RunningGateway) -> str:
    parts = urlsplit(await link_of_received_picture(client, host))
    return f"{parts.scheme}://{parts.netloc}"


async def test_link_uses_the_host_of_authenticated_requests_only(
    host: RunningGateway, client: Client
) -> None:
    wrong_token = f"/instances/{client.demo.instance_id}/token/WRONG/status"
    forged = {"Host": "forged.example.com"}
    for path in ("/health", "/ready", "/docs", wrong_token, "/instances"):
        await client.http.get(path, headers=forged)
    refused = await client.call("GET", "/status", headers={**forged, "Client-Token": "WRONG"})
    assert refused.status_code == httpx.codes.FORBIDDEN
    nothing_learnt = await link_of_received_picture(client, host)
    await client.call("GET", "/status", headers={"Host": "wa.example.com:8443"})
    learnt = await base_of_link(client, host)
    await client.call("GET", "/status")

    assert nothing_learnt.startswith(f"{host.base_url}/media/")
    assert (await client.http.get(nothing_learnt)).content == media.picture()
    assert learnt == "http://wa.example.com:8443"
    assert await base_of_link(client, host) == learnt


async def test_link_uses_what_a_trusted_proxy_forwards(
    host: RunningGateway, client: Client
) -> None:
    await client.call("GET", "/status", headers=FORWARDED)

    assert await base_of_link(client, host) == "https://proxy.example.com"


async def test_link_of_idle_node_uses_base_url_of_another_node(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(tmp_path, database_url, **WILDCARD) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.call("GET", "/status", headers={"Host": "wa.example.com"})
    with running_gateway(tmp_path, database_url, **WILDCARD) as another:
        await another.ready()
        async with client_of(another) as client:
            base = await base_of_link(client, another)

    assert base == "http://wa.example.com"


async def test_token_of_one_instance_changes_no_other_links(
    host: RunningGateway, client: Client
) -> None:
    partner = {"Authorization": f"Bearer {client.demo.partner_token}"}
    made = await client.http.post(
        "/instances/integrator/on-demand", headers=partner, json={"name": "Other"}
    )
    other = made.json()
    await client.http.get(
        f"/instances/{other['id']}/token/{other['token']}/status",
        headers={"Host": "evil.example.com"},
    )
    stored = await rows_of(
        host, "select instance_id from instance_base_urls where base_url like '%%evil%%'"
    )

    assert stored == [(other["id"],)]
    assert await base_of_link(client, host) == host.base_url


async def test_public_url_replaces_learnt_url_and_its_warnings(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(
        tmp_path, database_url, GATEWAY_PUBLIC_URL="https://named.example.com", **WILDCARD
    ) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.call("GET", "/status", headers={"Host": "wa.example.com"})
            base = await base_of_link(client, gateway)
            ready = (await client.http.get("/ready")).json()

    assert base == "https://named.example.com"
    assert "warnings" not in ready
    assert "public_url_missing" not in gateway.log


async def test_missing_public_url_is_a_warning_only(
    host: RunningGateway, client: Client, command: Callable[..., Any]
) -> None:
    ready = await client.http.get("/ready")
    examined = command(host, "doctor")
    events = [json.loads(line) for line in host.log.splitlines() if line.startswith("{")]
    (warned,) = [line for line in events if line["event"] == "public_url_missing"]

    assert ready.status_code == httpx.codes.OK
    assert "GATEWAY_PUBLIC_URL is not set" in ready.json()["warnings"]["public URL"]
    assert warned["level"] == "warning"
    assert examined.returncode == 0
    assert "!! public URL: GATEWAY_PUBLIC_URL is not set" in examined.stdout
    assert client.demo.base_url == host.base_url
