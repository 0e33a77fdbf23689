"""An account or one instance is given new behaviour before the others."""

from typing import Any

import httpx

from tests.fixtures.service import Client, RunningGateway, until
from tests.service.test_accounts import create, partner

__all__ = ["partner"]

PATH = "/account/settings"
ABSENT = "14155550000"  # the simulation has no number that ends so
DEFAULTS = {"numberLookup": True, "messagesPerMinute": 0, "clientTokenManages": True}


async def put(partner: httpx.AsyncClient, **settings: Any) -> dict[str, Any]:
    answer = await partner.put(PATH, json=settings)
    assert answer.status_code == httpx.codes.OK, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def read(partner: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    made: dict[str, Any] = (await partner.get(PATH, params=query)).json()
    return made


async def test_instance_overrides_its_account_and_both_the_service(
    partner: httpx.AsyncClient, client: Client
) -> None:
    mine = client.demo.instance_id
    other = (await create(partner))["id"]
    before = await read(partner)
    await put(partner, numberLookup=False, messagesPerMinute=60)
    await put(partner, instanceId=mine, messagesPerMinute=30)
    await put(partner, instanceId=other, messagesPerMinute=90)  # the account's limit is lower

    assert before == {"own": {}, "effective": DEFAULTS}
    assert (await read(partner, instanceId=mine)) == {
        "instanceId": mine,
        "own": {"messagesPerMinute": 30},
        "effective": {"numberLookup": False, "messagesPerMinute": 30, "clientTokenManages": True},
    }
    assert (await read(partner, instanceId=other))["effective"]["messagesPerMinute"] == 60

    await put(partner, instanceId=mine, messagesPerMinute="default")
    await put(partner, numberLookup="default")
    assert (await read(partner, instanceId=mine))["effective"] == {
        "numberLookup": True,
        "messagesPerMinute": 60,
        "clientTokenManages": True,
    }


async def test_unknown_keys_and_foreign_instances_are_refused(
    partner: httpx.AsyncClient, command: Any, gateway: RunningGateway
) -> None:
    command(gateway, "accounts", "create", "Other")
    foreign = command(gateway, "instances", "create", "Theirs", "--account", "Other").stdout
    foreign_id = dict(line.split("=", 1) for line in foreign.splitlines())["INSTANCE_ID"]

    wrong = [
        await partner.put(PATH, json={"messagesPerMinut": 30}),
        await partner.put(PATH, json={"messagesPerMinute": -1}),
        await partner.put(PATH, json={"messagesPerMinute": True}),
        await partner.put(PATH, json={"numberLookup": "maybe"}),
        await partner.put(PATH, json={"instanceId": foreign_id, "messagesPerMinute": 1}),
        await partner.get(PATH, params={"instanceId": foreign_id}),
    ]

    assert [answer.status_code for answer in wrong] == [400, 400, 400, 400, 404, 404]
    assert "messagesPerMinute" in wrong[0].json()["message"]
    assert (await read(partner))["own"] == {}


async def test_setting_of_an_account_reaches_its_open_sessions(
    partner: httpx.AsyncClient, client: Client
) -> None:
    await put(partner, numberLookup=False)

    async def sent_without_look_up() -> bool:
        queued = await client.send_text("looked up or not", phone=ABSENT)

        async def finished() -> dict[str, Any]:
            answer = await client.call("GET", f"/messages/{queued['messageId']}")
            state: dict[str, Any] = answer.json()
            return state

        state = await until(finished, lambda state: state.get("status") in {"sent", "failed"})
        return bool(state["status"] == "sent")

    # The session reads its settings again a moment after they changed.
    assert await until(sent_without_look_up, bool)
