"""Every route that changes something leaves a line that says who, from where, and what changed."""

import getpass
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation, declared_operations
from tests.fixtures.service import Client

ANA = "5511988887777"
UNKNOWN = "0123456789ABCDEF0123456789ABCDEF"
UNAUDITED = {
    "CheckPhones": "reads",
    "CheckRegistration": "reads",
    "ConnectNamed": "reads",
    "ListQueue": "reads, like its GET",
    "RecoverNamed": "leads to Restart",
    "RetryNamedQueue": "leads to RetryFailed or RetryQueued",
    "ScheduleNamedMessage": "queues a message, as a send",
    "SendChannelMessage": "queues a message, as a send",
    "SendNamedMessage": "queues a message, as a send",
    "SendNamedText": "queues a message, as a send",
    "ReadMessage": "daily traffic of a chat, one for each message",
    "SearchNewsletters": "reads",
}
COMMANDS = {"GATEWAY_ENV": "development", "GATEWAY_SECRET_KEY": "k0123456789abcdef0123456789abcdef"}
AUDITED_GETS = {"AcceptInvitation", "Disconnect", "ReadPersonData", "Restart", "RestoreSession"}


def as_partner(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.demo.partner_token}"}


async def acts(client: Client, **query: Any) -> list[dict[str, Any]]:
    answer = await client.http.get("/account/audit", params=query, headers=as_partner(client))
    assert answer.status_code == httpx.codes.OK, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def operations() -> list[type[Operation[Any]]]:
    catalogue()  # imports every module that declares one
    return list(declared_operations())


def changing() -> list[type[Operation[Any]]]:
    return [o for o in operations() if o.address and o.address.method != "GET"]


def test_only_named_routes_change_without_a_line() -> None:
    assert {o.__name__ for o in changing() if not o.is_audited()} == set(UNAUDITED)
    audited = {o.__name__ for o in operations() if o.is_audited()}
    assert audited == {o.__name__ for o in changing()} - set(UNAUDITED) | AUDITED_GETS


async def test_every_changing_route_leaves_a_line(client: Client) -> None:
    reached = set()
    for declared in changing():
        if declared.__name__ in UNAUDITED or declared.absolute:
            continue
        assert declared.address
        path = re.sub(r"\{\w+\}", ANA, declared.address.path)
        answer = await client.call(
            declared.address.method, path, json=dict(declared.example), headers=as_partner(client)
        )
        if "expected" not in answer.text and answer.status_code != httpx.codes.BAD_REQUEST:
            reached.add(declared.__name__)  # its fields were right, so it was executed

    seen = {act["act"] for page in (1, 2) for act in await acts(client, page=page, pageSize=100)}
    assert len(reached) > 60, reached
    assert reached <= seen


async def test_a_line_says_who_and_what_changed(client: Client) -> None:
    await client.call("PUT", "/update-name", json={"value": "Audited"})
    await client.call("PUT", "/update-webhook-delivery", json={"value": "https://x.example/a?k=1"})
    await client.call("POST", "/queue/pause")
    await client.call("PUT", "/queue/settings", json={"dailyLimit": 7})
    await client.send_text("later", scheduledFor=(datetime.now(UTC) + timedelta(1)).isoformat())
    await client.call("DELETE", "/queue")
    await client.call(
        "PUT", f"/contacts/{ANA}/consent", json={"status": "revoked", "note": "zephyr"}
    )
    await client.call("DELETE", f"/contacts/{ANA}/data")
    await client.call("GET", "/status")

    found = await acts(client)

    assert {act["instanceId"] for act in found} == {client.demo.instance_id}
    assert {act["address"] for act in found} == {"127.0.0.1"}
    assert {act["credential"] for act in found} == {"instance_token"}
    assert {act["outcome"] for act in found} == {"done"}
    changes = {act["act"]: (act["before"], act["after"]) for act in found}
    assert [act["act"] for act in found] == [
        "ErasePerson",
        "RecordConsent",
        "ClearQueue",
        "ChangeQueueSettings",
        "PauseQueue",
        "SetDeliveryWebhook",
        "Rename",
    ]
    assert changes["Rename"][1] == {"name": "Audited"}
    assert changes["SetDeliveryWebhook"][1] == {"delivery_callback_url": "https://x.example/a"}
    assert changes["PauseQueue"] == ({"paused": False}, {"paused": True})
    assert changes["ChangeQueueSettings"] == ({"daily_limit": None}, {"daily_limit": 7})
    assert changes["ClearQueue"] == ({"scheduled": 1}, {"scheduled": 0})
    assert changes["RecordConsent"] == ({"consent": None}, {"consent": "revoked"})
    assert ANA not in str(found)
    assert "zephyr" not in str(found)


async def test_a_failed_act_has_its_error_as_outcome(client: Client) -> None:
    answer = await client.call("POST", f"/queue/{UNKNOWN}/move-to-front")

    assert answer.status_code == httpx.codes.NOT_FOUND
    (act,) = await acts(client)
    assert (act["act"], act["outcome"]) == ("MoveToFront", "NotFound")
    assert act["given"] == {"zaap_id": UNKNOWN}


@pytest.mark.parametrize("written", [ANA, "zephyr", f"{ANA}-1609459200"])
async def test_a_line_holds_no_text_that_stands_in_the_place_of_an_id(
    client: Client, written: str
) -> None:
    await client.call("POST", f"/queue/{written}/move-to-front")
    await client.call("POST", f"/redefine-invitation-link/{ANA}-1609459200")

    assert written not in str(await acts(client))


async def test_an_account_rule_names_the_partner_token(client: Client) -> None:
    await client.http.put(
        "/account/refuse-opted-out", json={"value": True}, headers=as_partner(client)
    )

    (act,) = await acts(client)
    assert (act["credential"], act["given"]) == ("partner_token", {"value": True})
    assert act["after"] == {"refuse_opted_out": True}


def test_a_command_on_secrets_leaves_a_line(
    database_url: str, command_in: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    command_in(database_url, "accounts", "create", "Shop", **COMMANDS)
    command_in(database_url, "accounts", "secret", "Shop", **COMMANDS)
    command_in(database_url, "accounts", "secret", "Shop", "--retire", **COMMANDS)

    with psycopg.connect(database_url) as connection:
        lines = connection.execute(
            "select act, credential, user_name, outcome, details from audit_log order by id"
        ).fetchall()

    assert [line[0] for line in lines] == [
        "CreateAccount",
        "RotateWebhookSecret",
        "RetireWebhookSecret",
    ]
    assert {line[1:4] for line in lines} == {("command_line", getpass.getuser(), "done")}
    assert set(lines[1][4]["after"]) >= {"webhook_secret"}
