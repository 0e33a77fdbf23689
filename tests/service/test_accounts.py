"""Partner routes, tokens, allow lists, rate limits and trials work as their owners expect."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.service import (
    Client,
    Demo,
    RunningGateway,
    client_of,
    running_gateway,
    until,
)

ON_DEMAND = "/instances/integrator/on-demand"
TEXT = {"phone": "5511999999999", "message": "Hello"}
UNAUTHORIZED = {"error": "Unauthorized", "message": "Unauthorized"}
NEVER_DUE_MS = 4_102_444_800_000


@asynccontextmanager
async def a_gateway(
    folder: Path, url: str, **environment: str
) -> AsyncIterator[tuple[RunningGateway, Client]]:
    with running_gateway(folder, url, **environment) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            yield gateway, client


@pytest.fixture
async def partner(client: Client) -> AsyncIterator[httpx.AsyncClient]:
    """Calls with the partner token alone."""
    bearer = {"Authorization": f"Bearer {client.demo.partner_token}"}
    async with httpx.AsyncClient(base_url=client.demo.base_url, headers=bearer) as http:
        yield http


async def create(partner: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await partner.post(ON_DEMAND, json={"name": "Second", **fields})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def of(made: Mapping[str, Any], path: str) -> str:
    return f"/instances/{made['id']}/token/{made['token']}{path}"


async def test_partner_makes_links_uses_and_deletes_instance(
    partner: httpx.AsyncClient, client: Client
) -> None:
    made = await create(partner)
    assert made.keys() == {"id", "token", "due"}
    assert made["due"] == NEVER_DUE_MS

    second = Client(
        Demo(
            client.demo.base_url,
            made["id"],
            made["token"],
            client.demo.client_token,
            client.demo.partner_token,
        ),
        client.http,
    )
    assert (await second.call("GET", "/status")).json()["connected"] is False
    shown = await until(
        lambda: second.call("GET", "/qr-code"),
        lambda answer: answer.status_code != httpx.codes.SERVICE_UNAVAILABLE,
    )
    assert shown.json()["value"]
    scan = await second.http.post(
        f"{second.sandbox}/scan", headers={"Instance-Token": made["token"]}
    )
    assert scan.status_code == 200, scan.text

    async def status() -> Any:
        return (await second.call("GET", "/status")).json()

    await until(status, lambda seen: seen["connected"])
    await second.send_text("from the second")
    gone = await partner.delete(f"/instances/{made['id']}")

    assert (gone.status_code, gone.json()) == (200, {"value": True, "status": "deleted"})
    assert (await second.call("GET", "/status")).status_code == 404
    again = await partner.delete(f"/instances/{made['id']}")
    assert (again.status_code, again.json()["error"]) == (404, "Instance not found")


async def test_deleted_instance_with_full_queue_leaves_no_rows(
    tmp_path: Path, database_url: str, database_rows: Any
) -> None:
    async with a_gateway(
        tmp_path, database_url, GATEWAY_PACE_MIN_SECONDS="600", GATEWAY_PACE_MAX_SECONDS="600"
    ) as (_gateway, client):
        await asyncio.gather(*(client.send_text(f"text {n}") for n in range(300)))
        gone = await client.http.delete(f"/instances/{client.demo.instance_id}")
        assert gone.status_code == 200, gone.text
        late = await client.call("POST", "/send-text", json=TEXT)

        async def left() -> int:
            return sum(await database_rows(client.demo.instance_id))

        assert late.status_code == 404
        assert await until(left, lambda rows: rows == 0) == 0


async def test_instance_list_shows_options_of_creation(
    partner: httpx.AsyncClient, client: Client
) -> None:
    address = "http://127.0.0.1:9/webhook"
    made = await create(partner, name="Optional", receivedAndDeliveryCallbackUrl=address)

    page = (await partner.get("/instances", params={"query": "option", "pageSize": 1})).json()

    assert (page["total"], page["totalPage"], page["pageSize"], page["page"]) == (1, 1, 1, 1)
    (listed,) = page["content"]
    assert (listed["id"], listed["token"], listed["name"]) == (
        made["id"],
        made["token"],
        "Optional",
    )
    assert listed["receivedAndDeliveryCallbackUrl"] == address
    everything = (await partner.get("/instances")).json()["content"]
    assert {i["id"] for i in everything} == {made["id"], client.demo.instance_id}


WRONG_OPTIONS: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "name: is required"),
    ({"name": "  "}, "name: must not be empty"),
    ({"name": "x" * 256}, "name: must be at most 255 characters, not 256"),
    ({"name": "x", "provider": "telegram"}, "provider: must be one of "),
    ({"name": "x", "receivedCallbackUrl": "ftp://a"}, "receivedCallbackUrl: "),
    ({"name": "x", "deliveryCallbackUrl": "http://10.0.0.1/"}, "deliveryCallbackUrl: "),
    ({"name": "x", "providerSettings": []}, "providerSettings: must be an object"),
)


async def test_create_instance_with_wrong_option_is_refused(partner: httpx.AsyncClient) -> None:
    for body, sentence in WRONG_OPTIONS:
        answer = await partner.post(ON_DEMAND, json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"].startswith(sentence)

    assert (await partner.get("/instances")).json()["total"] == 1


WRONG_CREDENTIALS: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Basic wrong"},
    {"Client-Token": "wrong"},
)


async def test_partner_routes_with_wrong_token_answer_401(client: Client) -> None:
    async with httpx.AsyncClient(base_url=client.demo.base_url) as caller:
        for headers in WRONG_CREDENTIALS:
            caller.headers = httpx.Headers(headers)
            for answer in (
                await caller.post(ON_DEMAND, json={"name": "x"}),
                await caller.get("/instances"),
                await caller.delete(f"/instances/{client.demo.instance_id}"),
                await caller.post(f"{client.instance}/integrator/on-demand/subscription"),
            ):
                assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


async def test_other_account_neither_sees_nor_deletes_instance(
    gateway: RunningGateway, client: Client, command: Any
) -> None:
    made = command(gateway, "accounts", "create", "Other")
    tokens = dict(line.split("=", 1) for line in made.stdout.splitlines())
    bearer = {"Authorization": f"Bearer {tokens['PARTNER_TOKEN']}"}
    async with httpx.AsyncClient(base_url=client.demo.base_url, headers=bearer) as other:
        assert (await other.get("/instances")).json()["total"] == 0
        answer = await other.delete(f"/instances/{client.demo.instance_id}")
        assert answer.status_code == 404
        subscribe = await other.post(f"{client.instance}/integrator/on-demand/subscription")
        assert subscribe.status_code == 404
    assert (await client.call("GET", "/status")).status_code == 200


async def test_client_token_manages_at_most_25_instances(client: Client) -> None:
    for _ in range(24):
        answer = await client.http.post(ON_DEMAND, json={"name": "x"})
        assert answer.status_code == 200, answer.text

    one_more = await client.http.post(ON_DEMAND, json={"name": "x"})

    assert one_more.status_code == 403
    assert "at most 25 instances" in one_more.json()["error"]


async def test_subscription_is_made_extended_and_cancelled(
    partner: httpx.AsyncClient,
) -> None:
    made = await create(partner)
    prefix = "/integrator/on-demand"
    answers = [
        await partner.post(of(made, f"{prefix}/subscription"), json={}),
        await partner.put(of(made, f"{prefix}/subscription/update"), json={"withCalls": True}),
        await partner.post(of(made, f"{prefix}/cancel")),
    ]

    assert [(a.status_code, a.text) for a in answers] == [(201, "OK")] * 3
    (listed,) = (await partner.get("/instances", params={"query": made["id"]})).json()["content"]
    assert listed["paymentStatus"] != "PAID" or listed["due"] < NEVER_DUE_MS


async def test_expired_trial_refuses_sends_until_subscribed(
    tmp_path: Path, database_url: str, run_sql: Any
) -> None:
    async with a_gateway(tmp_path, database_url, GATEWAY_TRIALS="true") as (_gateway, client):
        bearer = {"Authorization": f"Bearer {client.demo.partner_token}"}
        made = (await client.http.post(ON_DEMAND, json={"name": "t"}, headers=bearer)).json()
        assert made["due"] < NEVER_DUE_MS
        await run_sql(
            "update instances set trial_ends_at = now() - interval '1 day' where id = %s",
            made["id"],
        )

        async def send() -> httpx.Response:
            return await client.http.post(of(made, "/send-text"), json=TEXT)

        refused = await until(send, lambda answer: answer.status_code == 400)
        assert refused.json()["error"] == (
            "To continue sending a message, you must subscribe to this instance again"
        )
        subscribe = of(made, "/integrator/on-demand/subscription")
        assert (await client.http.post(subscribe, json={}, headers=bearer)).status_code == 201
        await until(send, lambda answer: answer.status_code == 200)


async def test_call_from_address_outside_allow_list_is_refused(
    tmp_path: Path, database_url: str, command: Any
) -> None:
    async with a_gateway(tmp_path, database_url, GATEWAY_TRUSTED_PROXIES="127.0.0.1/32") as (
        gateway,
        client,
    ):
        command(gateway, "accounts", "allow", "Demo", "203.0.113.0/24")

        async def call_from(address: str) -> httpx.Response:
            return await client.call("GET", "/status", headers={"X-Forwarded-For": address})

        refused = await until(
            lambda: call_from("198.51.100.7"), lambda answer: answer.status_code == 403
        )
        assert refused.json()["error"] == "198.51.100.7 not allowed"
        assert (await call_from("203.0.113.9")).status_code == 200
        assert (await call_from("203.0.113.9, 198.51.100.7")).status_code == 403
        partner_list = await client.http.get(
            "/instances", headers={"X-Forwarded-For": "198.51.100.7"}
        )
        assert partner_list.status_code == 403


async def test_requests_over_rate_answer_429_with_retry_after(
    tmp_path: Path, database_url: str
) -> None:
    limit = {
        "GATEWAY_INSTANCE_REQUESTS_PER_SECOND": "0.01",
        "GATEWAY_INSTANCE_REQUESTS_BURST": "3",
    }
    async with a_gateway(tmp_path, database_url, **limit) as (_gateway, client):
        answers = [await client.call("GET", "/status") for _ in range(4)]

    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 100


async def test_account_without_client_token_rule_accepts_calls(
    gateway: RunningGateway, client: Client, command: Any
) -> None:
    made = command(gateway, "accounts", "create", "Open", "--no-client-token")
    assert "CLIENT_TOKEN=" in made.stdout
    printed = command(gateway, "instances", "create", "Support", "--account", "Open").stdout
    values = dict(line.split("=", 1) for line in printed.splitlines())
    path = f"/instances/{values['INSTANCE_ID']}/token/{values['INSTANCE_TOKEN']}/status"
    async with httpx.AsyncClient(base_url=client.demo.base_url) as http:
        plain = await http.get(path)
        odd = await http.get(path, headers={"Client-Token": "whatever"})

    assert (plain.status_code, odd.status_code) == (200, 200)
