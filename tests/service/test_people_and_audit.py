"""What a person may ask for, what an account may look up, and who can do what."""

from typing import Any

import httpx

from gateway.runtime.readme import offers
from tests.fixtures.service import Client, RunningGateway, until

ANA, BEN = "5511988887777", "5511977776666"


async def got(client: Client, path: str, **query: Any) -> Any:
    answer = await client.call("GET", path, params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def known(client: Client, phone: str, messages: int) -> None:
    async def look() -> Any:
        return await got(client, f"/chat-messages/{phone}", amount=50)

    await until(look, lambda seen: len(seen) == messages)


def as_partner(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.demo.partner_token}"}


async def test_erasing_a_person_leaves_nothing_of_them_and_others_alone(
    client: Client, host: RunningGateway
) -> None:
    for phone in (ANA, BEN):
        await client.control("receive", phone=phone, text="hi", senderName="Somebody")
        await client.send_text("hello", phone=phone)
        await known(client, phone, 2)
    await client.send_text("later", phone=ANA, scheduledFor="2026-12-24T18:00:00Z")

    answer = await client.call("DELETE", f"/contacts/{ANA}/data")

    assert answer.json() == {
        "phone": ANA,
        "erased": {
            "queue": 1,
            "messages": 2,
            "media": 0,
            "callbacks": 0,
            "chats": 1,
            "contacts": 1,
            "identities": 0,
        },
    }
    assert await got(client, f"/chat-messages/{ANA}") == []
    assert await got(client, "/queue") == []
    assert [chat["phone"] for chat in await got(client, "/chats")] == [BEN]
    assert [contact["phone"] for contact in await got(client, "/contacts")] == [BEN]
    assert len(await got(client, f"/chat-messages/{BEN}")) == 2
    again = await client.call("DELETE", f"/contacts/{ANA}/data")
    assert set(again.json()["erased"].values()) == {0}
    log = [line for line in host.log.splitlines() if client.demo.instance_id in line]
    assert any("person_erased" in line for line in log)
    assert not any(ANA in line for line in log)


async def test_whoever_opted_out_is_not_written_to_where_the_account_says_so(
    client: Client,
) -> None:
    path = f"/contacts/{ANA}/consent"
    assert await got(client, path) == {"phone": ANA, "status": "unknown", "at": 0}
    recorded = await client.call("PUT", path, json={"status": "revoked", "source": "a call"})
    assert (recorded.json()["status"], recorded.json()["source"]) == ("revoked", "a call")
    await client.send_text("the rule is off", phone=ANA)

    await client.http.put(
        "/account/refuse-opted-out", json={"value": True}, headers=as_partner(client)
    )

    async def refused() -> int:
        body = {"phone": ANA, "message": "hi"}
        return (await client.call("POST", "/send-text", json=body)).status_code

    await until(refused, lambda status: status == httpx.codes.FORBIDDEN)
    await client.send_text("to somebody else", phone=BEN)
    assert (await client.call("DELETE", path)).json() == {"value": True}
    await client.send_text("forgotten", phone=ANA)


async def test_administrative_acts_are_noted_before_they_are_done(client: Client) -> None:
    await client.call("PUT", "/update-name", json={"value": "Audited"})
    await client.call("DELETE", f"/contacts/{ANA}/data")
    await client.call("GET", "/status")

    answer = await client.http.get("/account/audit", headers=as_partner(client))

    acts = answer.json()
    assert [act["act"] for act in acts] == ["ErasePerson", "Rename"]
    assert {act["instanceId"] for act in acts} == {client.demo.instance_id}
    assert {act["address"] for act in acts} == {"127.0.0.1"}
    assert ANA not in answer.text


async def test_the_table_of_providers_knows_every_route(client: Client) -> None:
    table = (await client.http.get("/providers")).json()

    rows = {(row["method"], row["path"]): row for row in table["operations"]}
    assert "sandbox" in table["providers"]
    assert rows["GET", "/groups"]["supportedBy"].count("sandbox") == 1
    assert rows["POST", "/send-text"]["operation"] == "SendText"
    assert rows["GET", "/tags"]["supportedBy"] == table["providers"], "our own tables answer"
    assert [row["path"] for row in table["operations"] if not row["supportedBy"]] == []
    assert table == offers(), "README shows the same"


async def test_a_route_is_switched_on_and_shown(client: Client) -> None:
    for name in ("call-reject-auto", "auto-read-message", "auto-read-status"):
        answer = await client.call("PUT", f"/update-{name}", json={"value": "true"})
        assert answer.json() == {"value": True}
    await client.call("PUT", "/update-call-reject-message", json={"value": "Please write"})

    me = await got(client, "/me")

    assert (me["callRejectAuto"], me["callRejectMessage"], me["autoReadMessage"]) == (
        True,
        "Please write",
        True,
    )
