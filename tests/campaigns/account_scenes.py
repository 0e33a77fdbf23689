"""Scenes of an account: its people, its further webhooks, its settings and its encryption."""

import httpx

from tests.campaigns.message_scenes import receive
from tests.campaigns.tour import ANA, BEN, Tour


async def keep_people(tour: Tour) -> None:
    """Records a consent, and erases a person whom no other scene meets.

    What that person got is not counted: the erasure takes it from the simulated WhatsApp, too.
    """
    person = tour.person()
    path = f"/contacts/{person}/consent"
    await tour.line.call("PUT", path, json={"status": "granted", "source": "form"})
    await tour.line.call("GET", path)
    await tour.line.call("DELETE", path)
    await tour.line.control("receive", phone=person, text=tour.text("hello"))
    await receive(tour)
    await tour.line.call("POST", "/queue/pause")
    await tour.line.post("/send-text", {"phone": person, "message": tour.text("to be erased")})
    card = {"phone": ANA, "contactName": "Eve", "contactPhone": person}
    await tour.line.post("/send-contact", card)
    await tour.line.call("DELETE", f"/contacts/{person}/data")
    await tour.line.call("POST", "/queue/resume")


async def search_people(tour: Tour) -> None:
    """Erases a person, and waits until all that is stored was searched for people."""
    await tour.line.call("DELETE", f"/contacts/{tour.person()}/data")
    await tour.until(lambda: tour.rows("select from person_searches"), lambda found: not found)


async def refuse_opted_out(tour: Tour) -> None:
    path, phone = f"/contacts/{BEN}/consent", {"phone": BEN, "message": "unwanted"}
    await tour.line.call("PUT", path, json={"status": "revoked", "source": "form"})
    await tour.partner("PUT", "/account/refuse-opted-out", json={"value": True})
    await tour.until(
        lambda: tour.line.call("POST", "/send-text", json=phone),
        lambda answer: answer.status_code == httpx.codes.FORBIDDEN,
    )
    await tour.partner("PUT", "/account/refuse-opted-out", json={"value": False})
    await tour.line.call("GET", "/consents")
    await tour.line.call("DELETE", path)


async def keep_webhooks(tour: Tour) -> None:
    """Adds a further webhook, which gets a callback, changes it and deletes it."""
    further = {"url": tour.catcher.url, "types": ["DeliveryCallback"]}
    await tour.line.call("POST", "/webhooks", json=further)
    await tour.send()
    for webhook in (await tour.line.call("GET", "/webhooks")).json()["webhooks"]:
        path = f"/webhooks/{webhook['id']}"
        test = {"type": "DeliveryCallback", "webhookId": webhook["id"]}
        await tour.line.call("POST", "/webhooks/test", json=test)
        await tour.line.call("PUT", path, json={"enabled": False})
        await tour.line.call("DELETE", path)


async def keep_broadcast_lists(tour: Tour) -> None:
    """Makes a broadcast list, writes to its members, changes it and deletes it.

    The answer to the first request may be lost; the second one is refused then.
    """
    name = tour.text("list")
    await tour.line.call("POST", "/broadcast", json={"name": name, "phones": [ANA, BEN]})
    lists = (await tour.line.call("GET", "/broadcast")).json()
    found = next(each["broadcastId"] for each in lists if each["name"] == name)
    await tour.line.post("/send-text", {"phone": found, "message": tour.text("to a list")})
    path = f"/broadcast/{found}"
    await tour.line.call("PUT", path, json={"phones": [ANA]})
    await tour.line.call("DELETE", path)


async def keep_connections(tour: Tour) -> None:
    """Adds a standby, changes the rules of connections, and deletes the standby."""
    path = "/connections"

    async def delete_standbys() -> None:
        for each in (await tour.line.call("GET", path)).json()["connections"]:
            if each["mode"] == "standby":
                await tour.line.call("DELETE", f"{path}/{each['id']}")

    await delete_standbys()
    added = await tour.line.call("POST", path, json={"provider": "whatsmeow"})
    assert added.status_code == httpx.codes.CREATED, added.text
    await tour.line.call("PUT", f"{path}/settings", json={"missingReceipts": 5})
    await delete_standbys()


async def change_callbacks(tour: Tour) -> None:
    """Sets what callbacks leave out, and the address of the first data; undoes both."""
    for value in (["FILTER_FROM_GROUP"], []):
        await tour.line.call("PUT", "/update-filters", json={"messageFilters": value})
    for address in (tour.catcher.url, ""):
        body = {"value": address}
        await tour.line.call("PUT", "/update-webhook-initial-data", json=body)


async def use_account(tour: Tour) -> None:
    """Reads what the account uses and what was done with it, and changes its settings."""
    settings = "/account/settings"
    own = {"instanceId": tour.line.demo.instance_id}
    await tour.partner("GET", "/account/usage")
    await tour.partner("GET", "/account/statistics")
    await tour.partner("PUT", settings, json={**own, "numberLookup": False})
    await tour.partner("GET", settings, params=own)
    await tour.partner("PUT", settings, json={**own, "numberLookup": "default"})
    await tour.partner("PUT", settings, json={"numberLookup": "default"})
    await tour.line.call("GET", f"/contacts/{ANA}/data")
    await tour.line.call("GET", "/erasures")
    for path in ("/account/audit", "/account/overview", "/account/instances"):
        await tour.partner("GET", path)


async def keep_keys(tour: Tour) -> None:
    """Makes an API key, lists all and revokes it."""
    path = "/account/keys"
    made = await tour.partner("POST", path, json={"name": "CRM", "scopes": ["read"]})
    await tour.partner("GET", path)
    await tour.partner("DELETE", f"{path}/{made.json()['id']}")


async def encrypt_content(tour: Tour) -> None:
    """Has all stored content of the smaller account encrypted, and opened again."""
    path = "/account/payload-encryption"

    async def state() -> httpx.Response:
        # Otherwise a pass is the last one only half a minute after the change.
        await tour.operator.execute(
            """update payload_seals set started_at = now() - interval '1 hour'
               where finished_at is null"""
        )
        return await tour.partner("GET", path, line=tour.neighbor)

    for value in ("on", "default"):
        await tour.partner("PUT", path, line=tour.neighbor, json={"value": value})
        await tour.until(state, lambda answer: bool(answer.json()["finished"]))
