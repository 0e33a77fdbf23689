"""API keys: a part of an account's rights, which binds whatever else a request shows."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from gateway.contract.scopes import ApiScope
from gateway.database.pool import Database
from gateway.instances.api_key_uses import ApiKeyUses
from tests.fixtures.event_stream import stream_of, take
from tests.fixtures.service import (
    Client,
    RunningGateway,
    client_of,
    guest_of,
    running_gateway,
)
from tests.fixtures.users import SetClock
from tests.service.test_accounts import create, partner
from tests.service.test_events_socket import address, end_of, refusal_of

__all__ = ["partner"]

PATH = "/account/keys"
TEXT = {"phone": "5511999999999", "message": "Hello"}
EVERY = [scope.value for scope in ApiScope]
FAR = (datetime.now(UTC) + timedelta(days=30)).isoformat()


async def new_key(partner: httpx.AsyncClient, *scopes: str, **fields: Any) -> dict[str, Any]:
    answer = await partner.post(PATH, json={"name": "CRM", "scopes": scopes, **fields})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
async def bare(client: Client) -> AsyncIterator[httpx.AsyncClient]:
    """Sends no token by itself."""
    async with httpx.AsyncClient(base_url=client.demo.base_url, timeout=60) as http:
        yield http


def under(client: Client, key: Mapping[str, Any], path: str) -> str:
    return f"/instances/{client.demo.instance_id}/token/{key['key']}{path}"


def bearer(key: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


async def test_key_is_shown_once_listed_used_and_revoked(
    partner: httpx.AsyncClient, client: Client, bare: httpx.AsyncClient
) -> None:
    made = await new_key(partner, "send", "read", "send", expiresAt=FAR)
    sent = await bare.post(under(client, made, "/send-text"), json=TEXT)
    listed = (await partner.get(PATH)).json()["keys"]
    gone = await partner.delete(f"{PATH}/{made['id']}")
    after = await bare.post(under(client, made, "/send-text"), json=TEXT)
    again = await partner.delete(f"{PATH}/{made['id']}")
    wrong = await bare.post(under(client, {"key": "x" * 32}, "/send-text"), json=TEXT)

    assert made["key"].startswith("gwk_")
    assert len(made["key"]) == 68
    assert sent.status_code == 200, sent.text
    assert [(key["id"], key["scopes"], key["createdBy"]) for key in listed] == [
        (made["id"], ["read", "send"], "partner token")
    ]
    assert made["key"] not in str(listed)
    assert (gone.status_code, again.status_code) == (200, 404)
    assert after.status_code == 404
    assert after.content == wrong.content


async def test_scopes_bind_whatever_else_is_shown(
    partner: httpx.AsyncClient, client: Client, bare: httpx.AsyncClient
) -> None:
    reads, sends = await new_key(partner, "read"), await new_key(partner, "send")
    tokens = {
        "Client-Token": client.demo.client_token,
        "Partner-Token": client.demo.partner_token,
    }
    subscribe = "/integrator/on-demand/subscription"
    answers = {
        "read may read": await bare.get(under(client, reads, "/status"), headers=tokens),
        "read may not send": await bare.post(
            under(client, reads, "/send-text"), json=TEXT, headers=tokens
        ),
        "send may send": await bare.post(under(client, sends, "/send-text"), json=TEXT),
        "send may not read": await bare.get(under(client, sends, "/messages"), headers=tokens),
        "send may not manage": await bare.put(
            under(client, sends, "/update-name"), json={"value": "x"}, headers=tokens
        ),
        "send may not subscribe": await bare.post(under(client, sends, subscribe), headers=tokens),
        "read beside the partner token": await bare.post(
            "/instances/integrator/on-demand",
            json={"name": "x"},
            headers={**bearer(reads), "Partner-Token": client.demo.partner_token},
        ),
        "partner token beside a key in its header": await bare.get(
            PATH,
            headers={
                "Authorization": f"Bearer {client.demo.partner_token}",
                "Partner-Token": reads["key"],
            },
        ),
        "instance token beside a key": await bare.post(
            f"{client.instance}/send-text", json=TEXT, headers={**tokens, **bearer(reads)}
        ),
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "read may read": 200,
        "read may not send": 403,
        "send may send": 200,
        "send may not read": 403,
        "send may not manage": 403,
        "send may not subscribe": 403,
        "read beside the partner token": 403,
        "partner token beside a key in its header": 403,
        "instance token beside a key": 403,
    }
    refused = answers["read may not send"].json()
    assert refused["error"] == "This needs the scope send, which this API key lacks"


async def test_wrong_key_beside_right_tokens_is_refused(
    partner: httpx.AsyncClient, client: Client, bare: httpx.AsyncClient
) -> None:
    made, wrong = await new_key(partner, *EVERY), "gwk_" + "0" * 64
    token = {"Client-Token": client.demo.client_token}
    partner_token = {"Partner-Token": client.demo.partner_token}
    answers = [
        await bare.get(f"{client.instance}/status", headers={**token, **bearer({"key": wrong})}),
        await bare.get("/instances", headers={**partner_token, **bearer({"key": wrong})}),
        await bare.get("/instances", headers={"Client-Token": wrong, **partner_token}),
        await bare.get(under(client, {"key": wrong}, "/status"), headers=token),
        await bare.get(under(client, made, "/status"), headers=bearer({"key": wrong})),
        await bare.get(under(client, made, "/status"), headers=bearer(made)),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 404, 400, 200]


async def test_key_of_another_account_or_instance_or_network_does_not_reach(
    partner: httpx.AsyncClient, client: Client, bare: httpx.AsyncClient, host: RunningGateway
) -> None:
    second = await create(partner)
    mine = client.demo.instance_id
    limited = await new_key(partner, *EVERY, instanceIds=[second["id"]])
    far_away = await new_key(partner, *EVERY, networks=["203.0.113.0/24"])
    near = await new_key(partner, *EVERY, networks=["127.0.0.0/8", "::1/128"])
    async with guest_of(host) as other:
        theirs = {"Authorization": f"Bearer {other.demo.partner_token}"}
        async with httpx.AsyncClient(base_url=host.base_url, headers=theirs) as stranger:
            foreign = await new_key(stranger, *EVERY)
            named = await stranger.post(
                PATH, json={"name": "x", "scopes": ["read"], "instanceIds": [mine]}
            )
            listed = (await stranger.get(PATH)).json()["keys"]
            revoked = await stranger.delete(f"{PATH}/{near['id']}")
    unknown = f"/instances/{'0' * 32}/token"
    none = await bare.get(f"{unknown}/{foreign['key']}/status")
    answers = {
        "foreign": await bare.get(under(client, foreign, "/status")),
        "foreign beside the right token": await bare.get(
            f"{client.instance}/status",
            headers={"Client-Token": client.demo.client_token, **bearer(foreign)},
        ),
        "other instance": await bare.get(under(client, limited, "/status")),
        "its instance": await bare.get(f"/instances/{second['id']}/token/{limited['key']}/status"),
        "account": await bare.get("/instances", headers=bearer(limited)),
        "events": await bare.get("/events", headers=bearer(limited)),
        "other network": await bare.get(under(client, far_away, "/status")),
        "account from another network": await bare.get("/instances", headers=bearer(far_away)),
        "its network": await bare.get(under(client, near, "/status")),
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "foreign": 404,
        "foreign beside the right token": 404,
        "other instance": 404,
        "its instance": 200,
        "account": 403,
        "events": 403,
        "other network": 403,
        "account from another network": 403,
        "its network": 200,
    }
    assert {answers["foreign"].content, answers["other instance"].content} == {none.content}
    assert (named.status_code, revoked.status_code) == (404, 404)
    assert [key["id"] for key in listed] == [foreign["id"]]


async def test_without_manage_no_answer_shows_a_secret(
    partner: httpx.AsyncClient, client: Client, bare: httpx.AsyncClient
) -> None:
    hook = "http://127.0.0.1:9/path-secret?token=query-secret"
    changed = await client.call("PUT", "/update-webhook-received", json={"value": hook})
    assert changed.status_code == 200, changed.text
    reads, manages = await new_key(partner, "read"), await new_key(partner, "read", "manage")

    async def shown(key: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        me = (await bare.get(under(client, key, "/me"))).json()
        (listed,) = (await bare.get("/instances", headers=bearer(key))).json()["content"]
        return me, listed

    for answer in await shown(reads):
        assert answer["token"] == ""
        assert answer["receivedCallbackUrl"] == "http://127.0.0.1:9"
    for answer in await shown(manages):
        assert answer["token"] == client.demo.instance_token
        assert answer["receivedCallbackUrl"] == hook
    assert (await client.call("GET", "/me")).json()["token"] == client.demo.instance_token


async def test_key_makes_no_key_that_can_do_more(
    partner: httpx.AsyncClient, bare: httpx.AsyncClient
) -> None:
    maker = await new_key(partner, "manage", "read", networks=["127.0.0.0/8", "::1"], expiresAt=FAR)
    within = {
        "name": "n",
        "scopes": ["read"],
        "networks": ["127.0.0.1"],
        "expiresAt": FAR,
    }
    later = (datetime.now(UTC) + timedelta(days=60)).isoformat()
    wrong: list[dict[str, Any]] = [
        {**within, "scopes": ["read", "send"]},
        {**within, "networks": []},
        {**within, "networks": ["126.0.0.0/7"]},
        {**within, "networks": ["203.0.113.7"]},
        {**within, "expiresAt": later},
        {k: v for k, v in within.items() if k != "expiresAt"},
    ]

    refused = [(await bare.post(PATH, json=body, headers=bearer(maker))) for body in wrong]
    made = await bare.post(PATH, json=within, headers=bearer(maker))
    listed = (await partner.get(PATH)).json()["keys"]

    assert [answer.status_code for answer in refused] == [403] * len(wrong)
    assert made.status_code == 201, made.text
    assert [key["createdBy"] for key in listed] == ["partner token", "API key CRM"]


async def test_wrong_bodies_and_the_client_token_make_no_key(
    partner: httpx.AsyncClient, client: Client, bare: httpx.AsyncClient
) -> None:
    good = {"name": "n", "scopes": ["read"]}
    wrong: list[dict[str, Any]] = [
        {},
        {**good, "scopes": []},
        {**good, "scopes": ["root"]},
        {**good, "name": " "},
        {**good, "name": "a\x00b"},
        {**good, "networks": ["fe80::%eth0/64"]},
        {**good, "networks": ["203.0.113.7/24"]},
        {**good, "networks": ["here"]},
        {**good, "expiresAt": "2020-01-01T00:00:00Z"},
        {**good, "expiresAt": "2100-01-01T00:00:00"},
        {**good, "instanceId": "x"},
    ]
    bad = [(await partner.post(PATH, json=body)).status_code for body in wrong]
    with_client_token = {"Client-Token": client.demo.client_token}
    by_client_token = [
        await bare.get(PATH, headers=with_client_token),
        await bare.post(PATH, json=good, headers=with_client_token),
        await bare.delete(f"{PATH}/x", headers=with_client_token),
    ]

    assert bad == [400] * len(wrong)
    assert [answer.status_code for answer in by_client_token] == [403] * 3
    assert (await partner.get(PATH)).json() == {"keys": []}


async def test_revoked_key_ends_its_open_streams(
    partner: httpx.AsyncClient, client: Client
) -> None:
    made, other = await new_key(partner, "read"), await new_key(partner, "read")
    socket_address = address(client)
    ticket = (await partner.post("/events/ticket", headers=bearer(other))).json()["ticket"]
    unused = (await partner.post("/events/ticket", headers=bearer(made))).json()["ticket"]
    async with (
        stream_of(client, **bearer(made)) as events,
        connect(socket_address, additional_headers=bearer(made)) as socket,
        connect(address(client, ticket=ticket)) as lasting,
    ):
        await client.control("receive", phone="5511888888888", text="before")
        await take(events, 1)
        await lasting.recv()
        await partner.delete(f"{PATH}/{made['id']}")
        later = [event async for event in events]  # comes to an end
        code = await end_of(socket)
        await client.control("receive", phone="5511888888888", text="after")
        goes_on = await lasting.recv()

    assert (later, code) == ([], 1008)
    assert "after" in str(goes_on)
    assert (await refusal_of(address(client, ticket=unused)))[0] == 401


async def test_act_of_a_key_is_audited_with_its_name(
    partner: httpx.AsyncClient, client: Client, bare: httpx.AsyncClient
) -> None:
    made = await new_key(partner, "manage")
    await bare.post(under(client, made, "/queue/pause"))
    acts = (await partner.get("/account/audit")).json()

    assert [(act["act"], act["credential"], act["user"]) for act in acts[:2]] == [
        ("PauseQueue", "api_key", "CRM"),
        ("CreateApiKey", "partner_token", None),
    ]
    (shown,) = acts[1]["after"].values()
    assert shown["scopes"] == ["manage"]
    assert made["key"] not in str(acts)


async def test_account_turns_off_that_its_client_token_manages(
    partner: httpx.AsyncClient, client: Client, bare: httpx.AsyncClient
) -> None:
    token = {"Client-Token": client.demo.client_token}
    before = await bare.get("/instances", headers=token)
    async with stream_of(client, **{"Authorization": "", **token}) as events:
        await client.control("receive", phone="5511888888888", text="before")
        await take(events, 1)
        off = await partner.put("/account/settings", json={"clientTokenManages": False})
        later = [event async for event in events]  # comes to an end
    after = [
        await bare.get("/instances", headers=token),
        await bare.put("/account/settings", json={"clientTokenManages": True}, headers=token),
    ]
    sent = await client.send_text("still sends")
    per_instance = await partner.put(
        "/account/settings",
        json={"clientTokenManages": False, "instanceId": client.demo.instance_id},
    )

    assert before.status_code == 201
    assert off.json()["effective"]["clientTokenManages"] is False
    assert later == []
    assert [answer.status_code for answer in after] == [403, 403]
    assert sent["messageId"]
    assert per_instance.status_code == 400


async def test_uses_are_stored_together_and_apart_from_requests(
    tmp_path: Path, database_url: str, run_sql: Any
) -> None:
    """The loop writes once a minute and at the end; here a node ends."""
    with running_gateway(tmp_path, database_url) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            http = {"Authorization": f"Bearer {client.demo.partner_token}"}
            async with httpx.AsyncClient(base_url=gateway.base_url, headers=http) as partner:
                made = await new_key(partner, "read", "manage")
                unused = await new_key(partner, "read")
                await client.http.get(under(client, made, "/status"))
                before = (await partner.get(PATH)).json()["keys"]
        await asyncio.to_thread(gateway.stop)
    database, clock = Database(database_url, min_size=1, max_size=2), SetClock()
    await database.open()
    try:
        uses = ApiKeyUses(database, clock)
        uses.note(made["id"], "203.0.113.7")  # earlier than what is stored
        uses.note("of a revoked key", None)
        await uses.flush()
    finally:
        await database.pool.close()

    rows = await run_sql("select key_id, address from api_key_uses")

    assert [key["lastUsedAt"] for key in before] == [None, None]
    assert rows == [(made["id"], "127.0.0.1")]
    assert unused["id"] != made["id"]
