"""The routes of a proxy set, try, replace and show it, and never show its password."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.extensions.proxies import Proxy
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.creation import Registry
from gateway.instances.tokens import TokenVault
from gateway.runtime.provider_selection import secret_settings_of
from gateway.sessions.proxy_trial import UNREACHABLE
from tests.fixtures.proxies import LocalProxy, local_proxy
from tests.fixtures.service import (
    Client,
    RunningGateway,
    free_port,
    guest_of,
    run_command,
    running_gateway,
    until,
)

FRIEND = "5511999999999"
NOTHING = {
    "proxyUrl": None,
    "proxyEnabled": False,
    "healthStatus": "unknown",
    "lastHealthCheck": None,
    "healthFailures": 0,
    "noWebsocket": False,
    "onlyLogin": False,
    "noMedia": False,
}


async def execute(client: Client, method: str, path: str, status: int = 200, **body: Any) -> Any:
    answer = await client.call(method, path, **({"json": body} if body else {}))
    assert answer.status_code == status, answer.text
    return answer.json()


async def health(client: Client) -> Any:
    return await execute(client, "GET", "/proxy/health")


async def closed_proxy() -> str:
    return f"http://user:secret@127.0.0.1:{free_port()}"


async def test_proxy_routes_set_mask_and_remove_a_proxy(client: Client) -> None:
    assert (await execute(client, "GET", "/proxy"))["proxy"] == NOTHING
    url = "socks5://user:secret@proxy.example.com:1080"
    was_set = await execute(client, "PUT", "/update-proxy", proxyUrl=url, noMedia=True)

    # The sandbox makes no connections, so it uses no proxy.
    shown = NOTHING | {"proxyUrl": "socks5://user:***@proxy.example.com:1080", "noMedia": True}
    assert was_set == {"value": True, "proxy": shown}
    assert await execute(client, "GET", "/proxy") == was_set
    assert await execute(client, "DELETE", "/proxy") == {"value": True}
    assert await execute(client, "DELETE", "/proxy") == {"value": True}
    assert (await execute(client, "GET", "/proxy"))["proxy"] == NOTHING


async def test_proxy_routes_refuse_an_invalid_url(client: Client) -> None:
    for path, method in (
        ("/update-proxy", "PUT"),
        ("/proxy/swap", "POST"),
        ("/proxy/test", "POST"),
    ):
        refused = await execute(
            client, method, path, 400, proxyUrl="ftp://user:secret@example.com:21"
        )
        assert "proxyUrl" in refused["error"]
        assert "secret" not in refused["error"]
    assert "proxyUrl" in (await execute(client, "PUT", "/update-proxy", 400, noMedia=True))["error"]
    assert "proxyUrl" in (await execute(client, "POST", "/proxy/test", 400))["error"]
    assert (await execute(client, "GET", "/proxy"))["proxy"] == NOTHING


async def test_proxy_test_of_another_url_changes_nothing(client: Client) -> None:
    async with local_proxy("socks5", login="user:secret") as proxy:
        result = await execute(client, "POST", "/proxy/test", proxyUrl=proxy.url)
    assert result.keys() == {"reachable", "latencyMs"}
    assert result["reachable"] is True
    assert proxy.targets == ["web.whatsapp.com:443"]
    result = await execute(client, "POST", "/proxy/test", proxyUrl=await closed_proxy())
    assert result.keys() == {"reachable", "error"}
    assert result["reachable"] is False
    assert await health(client) == {"proxy": NOTHING, "logs": []}


async def test_proxy_health_shows_the_tests_of_the_set_proxy(client: Client) -> None:
    async with local_proxy("http") as proxy:
        await execute(client, "PUT", "/update-proxy", proxyUrl=proxy.url)
        assert (await execute(client, "POST", "/proxy/test"))["reachable"] is True
        healthy = await health(client)
    for _ in range(2):
        assert (await execute(client, "POST", "/proxy/test"))["reachable"] is False
    failing = await health(client)

    assert healthy["proxy"]["healthStatus"] == "healthy"
    assert [log["status"] for log in healthy["logs"]] == ["healthy"]
    assert failing["proxy"]["healthStatus"] == "unhealthy"
    assert failing["proxy"]["healthFailures"] == 2
    assert failing["proxy"]["lastHealthCheck"] == failing["logs"][0]["checkedAt"]
    assert [log["status"] for log in failing["logs"]] == ["unhealthy", "unhealthy", "healthy"]
    assert failing["logs"][0]["errorMessage"] == UNREACHABLE
    assert failing["logs"][0]["latencyMs"] is None
    assert failing["logs"][0]["instanceId"] == client.demo.instance_id

    await execute(client, "PUT", "/update-proxy", proxyUrl=await closed_proxy())
    replaced = await health(client)
    assert replaced["proxy"]["healthStatus"] == "unknown"
    assert replaced["logs"] == []


async def test_proxy_health_shows_only_the_newest_tests(client: Client) -> None:
    async with local_proxy("http") as proxy:
        await execute(client, "PUT", "/update-proxy", proxyUrl=proxy.url)
        for _ in range(22):
            await execute(client, "POST", "/proxy/test")
    logs = (await health(client))["logs"]
    assert len(logs) == 20
    assert logs[0]["id"] > logs[-1]["id"]


async def test_private_proxy_is_refused_by_every_route(client: Client) -> None:
    url = "http://user:secret@10.0.0.1:8080"
    for path, method in (
        ("/update-proxy", "PUT"),
        ("/proxy/swap", "POST"),
        ("/proxy/test", "POST"),
    ):
        refused = (await execute(client, method, path, 400, proxyUrl=url))["error"]
        assert "GATEWAY_PROXY_NETWORKS" in refused
        assert "secret" not in refused
    assert (await execute(client, "GET", "/proxy"))["proxy"] == NOTHING


async def test_proxy_tests_of_an_account_are_limited(client: Client) -> None:
    async with local_proxy("http") as proxy:
        for _ in range(30):
            await execute(client, "POST", "/proxy/test", proxyUrl=proxy.url)
        limited = await client.call("POST", "/proxy/test", json={"proxyUrl": proxy.url})
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) > 0


async def test_proxy_swap_needs_a_proxy_that_reaches_whatsapp(
    client: Client,
) -> None:
    before = await closed_proxy()
    await execute(client, "PUT", "/update-proxy", proxyUrl=before, noMedia=True)
    refused = await execute(client, "POST", "/proxy/swap", 422, proxyUrl=await closed_proxy())
    assert refused["error"] == f"proxyUrl: {UNREACHABLE}"
    unchanged = await execute(client, "GET", "/proxy")
    assert unchanged["proxy"]["proxyUrl"] == before.replace("secret", "***")

    async with local_proxy("socks5") as proxy:
        swapped = await execute(client, "POST", "/proxy/swap", proxyUrl=proxy.url)
    assert swapped["value"] is True
    assert swapped["proxy"]["proxyUrl"] == proxy.url
    assert swapped["proxy"]["healthStatus"] == "healthy"
    assert swapped["proxy"]["noMedia"] is True


@pytest.fixture
async def proxy() -> Any:
    async with local_proxy("http") as proxy:
        yield proxy


async def test_queue_keeps_order_while_the_proxy_changes(client: Client, proxy: LocalProxy) -> None:
    ids = []
    for number in range(10):
        ids.append((await client.send_text(f"text {number}"))["messageId"])
        url = (
            f"http://127.0.0.1:{proxy.port}"
            if number % 2
            else f"http://user@127.0.0.1:{proxy.port}"
        )
        await execute(client, "PUT", "/update-proxy", proxyUrl=url)
    sent = await client.sent_at_least(len(ids))

    assert [message["messageId"] for message in sent] == ids


async def test_proxy_password_is_in_no_log_and_no_table(
    gateway: RunningGateway, run_sql: Any
) -> None:
    secret = "Hunter2Hunter2"
    async with guest_of(gateway) as client:
        url = f"http://user:{secret}@127.0.0.1:{free_port()}"

        async def openings() -> int:
            return gateway.log.count('"event":"connection_changed"')

        before = await openings()
        await execute(client, "PUT", "/update-proxy", proxyUrl=url)
        await execute(client, "POST", "/proxy/test")
        await execute(client, "POST", "/proxy/swap", 422, proxyUrl=url)
        await until(openings, lambda count: count > before)
        assert secret not in gateway.log
        assert secret not in str(await health(client))
        rows = await run_sql(
            "select i::text from instances i union all select a::text from audit_log a"
        )
        assert any(client.demo.instance_id in row for (row,) in rows)
        assert secret not in str(rows)
        assert secret.encode().hex() not in str(rows)


async def test_stored_private_proxy_is_named_at_start_and_by_doctor(
    tmp_path: Path, database_url: str
) -> None:
    secret = "a secret of thirty-two characters"
    instance_id = await _instance_with_proxy(database_url, secret, "http://u:Hunter2@10.0.0.1:8080")

    with running_gateway(tmp_path, database_url, GATEWAY_SECRET_KEY=secret) as gateway:

        async def warning() -> str:
            lines = gateway.log.splitlines()
            return next((line for line in lines if "proxy_address_not_allowed" in line), "")

        await gateway.ready()
        named = await until(warning, bool)
        gateway.kill()
        log = gateway.log
    found = await asyncio.to_thread(
        run_command,
        "doctor",
        DATABASE_URL=database_url,
        GATEWAY_ENV="development",
        GATEWAY_SECRET_KEY=secret,
        GATEWAY_DATA_DIR=str(tmp_path),
    )

    assert instance_id in named
    assert f"!! proxies: some are at addresses that are not public ({instance_id})" in found.stdout
    assert "Hunter2" not in log + found.stdout


async def _instance_with_proxy(url: str, secret: str, proxy_url: str) -> str:
    """Stores an instance with a proxy, as a release that did not check addresses did."""
    vault = TokenVault((secret,), os.urandom)
    database = Database(url, min_size=1, max_size=1)
    await database.open()
    try:
        registry = Registry(database, vault, os.urandom, secret_settings=secret_settings_of)
        account = await registry.add_account("A", client_token_required=True)
        made = await registry.add_instance(
            account.id, "I", provider="sandbox", provider_settings={"paired": True}
        )
        sealed = vault.seal(Proxy(proxy_url=proxy_url).model_dump_json())
        await database.execute(
            query("proxies", "set_proxy"),
            instance_id=made.id,
            ciphertext=sealed.ciphertext,
            key_id=sealed.key_id,
        )
    finally:
        await database.pool.close()
    return made.id
