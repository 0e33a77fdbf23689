"""Business profiles, catalogues and channels work for clients of both implementations."""

from base64 import b64encode
from collections.abc import Mapping

import orjson
import pytest

from gateway.contract.zapi.newsletters import (
    CreateNewsletter,
    FollowNewsletter,
    ListNewsletters,
    MuteNewsletter,
    ReadNewsletter,
)
from tests.providers.baileys_client.client import BaileysClient, BaileysError
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import Pair


async def test_parts_of_a_business_profile_change_one_by_one(
    cleo: BaileysClient, dora: BaileysClient
) -> None:
    opening = {"day": "mon", "mode": "specific_hours"}
    opening |= {"openTimeInMinutes": "540", "closeTimeInMinutes": "1080"}
    hours = {"timezone": "America/Sao_Paulo", "days": [opening]}
    first = {"address": "Street 1", "email": "me@example.com", "websites": ["https://x.y"]}
    await cleo.call("updateBussinesProfile", {**first, "hours": hours})
    await cleo.call("updateBussinesProfile", {"description": "Shoes"})
    seen = await dora.call("getBusinessProfile", cleo.jid)
    assert (seen["address"], seen["email"]) == ("Street 1", "me@example.com")
    assert (seen["description"], seen["website"]) == ("Shoes", ["https://x.y"])
    (day,) = seen["business_hours"]["business_config"]
    assert (day["day_of_week"], day["open_time"]) == ("mon", "540")


async def test_products_are_created_changed_listed_and_deleted(
    cleo: BaileysClient, dora: BaileysClient, whatsapp: FakeWhatsApp
) -> None:
    shoes = {"name": "Shoes", "description": "Red", "price": 1990, "currency": "BRL"}
    picture = {"url": "https://mmg.whatsapp.net/shoes.jpg"}
    made = [
        await cleo.call("productCreate", {**shoes, "retailerId": str(n), "images": [picture]})
        for n in range(2)
    ]
    changed = await cleo.call("productUpdate", made[0]["id"], {"price": 990, "images": []})
    assert (changed["price"], changed["name"]) == (990, "Shoes")
    assert changed["imageUrls"]["original"] == picture["url"]

    first = await dora.call("getCatalog", {"jid": cleo.jid, "limit": 1})
    cursor = first["nextPageCursor"]
    second = await dora.call("getCatalog", {"jid": cleo.jid, "limit": 1, "cursor": cursor})
    pages = [page["products"][0]["id"] for page in (first, second)]
    assert (pages, second["nextPageCursor"]) == ([each["id"] for each in made], None)

    await whatsapp.control("collect", phone=cleo.phone, name="New", products=[made[0]["id"]])
    (collection,) = (await dora.call("getCollections", cleo.jid))["collections"]
    assert collection["name"] == "New"
    assert [product["id"] for product in collection["products"]] == [made[0]["id"]]

    assert await cleo.call("productDelete", [made[0]["id"], "1"]) == {"deleted": 1}
    with pytest.raises(BaileysError) as refused:
        await cleo.call("productUpdate", made[0]["id"], {"price": 1, "images": []})
    assert refused.value.code == 404


async def test_channel_is_followed_changed_handed_over_and_deleted(
    cleo: BaileysClient, dora: BaileysClient, whatsapp: FakeWhatsApp
) -> None:
    channel = (await cleo.call("newsletterCreate", "News", "Daily"))["id"]
    await dora.call("newsletterFollow", channel)
    await cleo.call("newsletterUpdateName", channel, "Old news")
    await cleo.call("newsletterUpdateDescription", channel, "Weekly")
    settings = {"settings": {"reaction_codes": {"value": "NONE"}}}
    await change(cleo, channel, settings)
    seen = await dora.call("newsletterMetadata", "jid", channel)
    thread = seen["thread_metadata"]
    assert (thread["name"]["text"], thread["description"]["text"]) == ("Old news", "Weekly")
    assert thread["settings"]["reaction_codes"]["value"] == "NONE"
    assert (thread["subscribers_count"], seen["viewer_metadata"]["role"]) == ("1", "SUBSCRIBER")
    with pytest.raises(BaileysError) as refused:
        await dora.call("newsletterUpdateName", channel, "Mine")
    assert refused.value.code == 403

    published = await cleo.send(channel, {"text": "Today"})
    assert (await dora.message(published))["content"]["extendedTextMessage"]["text"] == "Today"

    await whatsapp.control("appoint", channel=channel, phone=dora.phone)
    assert await cleo.call("newsletterAdminCount", channel) == 2
    await cleo.call("newsletterChangeOwner", channel, dora.jid)
    await dora.call("newsletterDemote", channel, cleo.jid)
    role = (await cleo.call("newsletterMetadata", "jid", channel))["viewer_metadata"]["role"]
    assert role == "SUBSCRIBER"
    await dora.call("newsletterDelete", channel)
    with pytest.raises(BaileysError) as gone:
        await dora.call("newsletterMetadata", "jid", channel)
    assert gone.value.code == 404


async def test_channel_of_one_implementation_is_read_by_the_other(
    pair: Pair, cleo: BaileysClient
) -> None:
    ana, _ = pair
    made = await ana.session.execute(CreateNewsletter(name="Club", description="Ours"))
    seen = await cleo.call("newsletterMetadata", "jid", made.id)
    assert seen["thread_metadata"]["name"]["text"] == "Club"

    theirs = (await cleo.call("newsletterCreate", "Hers", "D"))["id"]
    await ana.session.execute(FollowNewsletter(id=theirs))
    await ana.session.execute(MuteNewsletter(id=theirs))
    read = await ana.session.execute(ReadNewsletter(newsletter_id=theirs))
    assert (read.name, read.description, read.subscribers_count) == ("Hers", "D", "1")
    assert (read.view_metadata.role, read.view_metadata.mute) == ("SUBSCRIBER", "ON")
    followed = await ana.session.execute(ListNewsletters())
    assert {channel.name for channel in followed} == {"Club", "Hers"}


async def change(client: BaileysClient, channel: str, updates: Mapping[str, object]) -> None:
    """Changes what Baileys has no method for, by its query for all changes."""
    variables = {"newsletter_id": channel, "updates": updates}
    body = orjson.dumps({"variables": variables})
    query = {"query_id": "24250201037901610"}
    await client.query(
        {"to": "s.whatsapp.net", "type": "get", "xmlns": "w:mex"},
        {"tag": "query", "attrs": query, "content": f"base64:{b64encode(body).decode()}"},
    )
