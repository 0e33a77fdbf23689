"""The overview of an account, what is stored of a person, and an erasure with its progress."""

import csv
import io
from typing import Any

import httpx

from tests.fixtures.service import Client, RunningGateway, client_of, until

ANA, BEN = "5511988887777", "5511977776666"


async def of_account(client: Client, path: str, **asked: Any) -> Any:
    bearer = {"Authorization": f"Bearer {client.demo.partner_token}"}
    answer = await client.http.get(path, params=asked, headers=bearer)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def person_data(client: Client, **asked: Any) -> Any:
    answer = await client.call("GET", f"/contacts/{ANA}/data", params=asked)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def test_account_and_person_are_shown_and_the_person_is_erased(
    gateway: RunningGateway, command: Any
) -> None:
    async with client_of(gateway) as client:
        await client.call("POST", "/queue/pause")
        await client.send_text("waits", phone=ANA)
        for text in ("one", "two"):
            await client.control("receive", phone=ANA, text=text, senderName="Ana")
        await client.control("receive", phone=BEN, text=f"call {ANA}", senderName="Ben")
        await client.call("PUT", f"/contacts/{ANA}/consent", json={"status": "granted"})
        stored = await until(lambda: person_data(client), lambda shown: len(shown["messages"]) == 2)
        first = await person_data(client, pageSize=1)
        second = await person_data(client, pageSize=1, pagingState=first["pagingState"])
        wrong = await client.call("GET", f"/contacts/{ANA}/data", params={"pagingState": "!"})
        overview = await of_account(client, "/account/overview")
        (listed,) = (await of_account(client, "/account/instances", query="demo"))["instances"]
        retention = await of_account(client, "/account/retention")
        unknown = await client.http.get("/account/instances", params={"state": "happy"})

        erased = command(gateway, "people", "erase", listed["id"], ANA, "--yes")

        after = await person_data(client)
        (erasures,) = [(await client.call("GET", "/erasures")).json()["erasures"]]
        paused = await of_account(client, "/account/audit", act="PauseQueue")
        failed = await of_account(client, "/account/audit", outcome="failed")
        later = await of_account(client, "/account/audit", **{"from": "2100-01-01T00:00:00Z"})
        written = command(gateway, "accounts", "audit", "demo", "--format", "csv")
        token = await client.http.post(
            f"/account/instances/{listed['id']}/rotate-token",
            headers={"Authorization": f"Bearer {client.demo.partner_token}"},
        )
        refused = await until(
            lambda: client.call("GET", "/queue/count"),
            lambda answer: answer.status_code != httpx.codes.OK,
        )

    assert [each["payload"]["text"]["message"] for each in stored["messages"]] == ["two", "one"]
    assert [each["type"] for each in stored["queued"]] == ["send-text"]
    assert [each["status"] for each in stored["consents"]] == ["granted"]
    assert ANA in stored["names"]
    assert (first["hasMore"], second["hasMore"]) == (True, False)
    assert first["messages"] + second["messages"] == stored["messages"]
    assert wrong.status_code == httpx.codes.BAD_REQUEST
    assert (overview["instances"]["connected"], overview["queue"]["waiting"]) == (1, 1)
    assert "no_webhook" in {each["kind"] for each in overview["findings"]}
    assert (listed["state"], listed["paused"], listed["waiting"]) == ("connected", True, 1)
    assert "token" not in listed
    assert retention["auditDays"] == 90
    assert unknown.status_code != httpx.codes.OK
    assert "person erased" in erased.stdout
    assert ANA not in gateway.log
    assert (after["messages"], after["queued"], after["contacts"]) == ([], [], [])
    assert [each["note"] for each in after["consents"]] == [None], "a consent outlasts the erasure"
    assert erasures == []
    assert [each["after"] for each in paused] == [{"paused": True}]
    assert [each["act"] for each in failed] == ["ReadPersonData"]
    assert later == []
    rows = list(csv.DictReader(io.StringIO(written.stdout)))
    assert "ErasePerson" in {row["act"] for row in rows}
    assert ANA not in written.stdout
    assert token.json()["token"] != client.demo.instance_token
    assert refused.status_code == httpx.codes.NOT_FOUND, "the token before is unknown"
