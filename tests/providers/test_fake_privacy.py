"""The fake server stores privacy settings, the people that they except, and reports."""

from tests.providers.baileys_client.client import BaileysClient
from tests.providers.fake_whatsapp.client import FakeWhatsApp

SERVER = "s.whatsapp.net"


async def test_setting_is_stored(cleo: BaileysClient) -> None:
    await cleo.call("updateLastSeenPrivacy", "contacts")
    await cleo.call("updateReadReceiptsPrivacy", "none")
    found = await cleo.call("fetchPrivacySettings", "again")
    assert (found["last"], found["readreceipts"], found["online"]) == ("contacts", "none", "all")


async def test_excepted_people_are_listed(cleo: BaileysClient, dora: BaileysClient) -> None:
    async def change(action: str) -> None:
        user = {"tag": "user", "attrs": {"action": action, "jid": dora.jid}}
        category = {"name": "last", "value": "contact_blacklist", "dhash": "0"}
        node = {"tag": "category", "attrs": category, "content": [user]}
        await cleo.query(
            {**query, "type": "set"}, {"tag": "privacy", "attrs": {}, "content": [node]}
        )

    async def listed() -> list[str]:
        asked = {"tag": "list", "attrs": {"name": "last", "value": "contact_blacklist"}}
        found = await cleo.query(
            {**query, "type": "get"}, {"tag": "privacy", "attrs": {}, "content": [asked]}
        )
        users = found["content"][0]["content"][0]["content"] or []
        return [user["attrs"]["jid"] for user in users]

    query = {"to": SERVER, "xmlns": "privacy"}
    await change("add")
    assert await listed() == [dora.jid]
    await change("remove")
    assert await listed() == []


async def test_report_of_a_person_is_seen(
    cleo: BaileysClient, dora: BaileysClient, whatsapp: FakeWhatsApp
) -> None:
    reported = {"tag": "spam_list", "attrs": {"spam_flow": "account_info_report", "jid": dora.jid}}
    await cleo.query({"to": SERVER, "type": "set", "xmlns": "spam"}, reported)
    assert (await whatsapp.control("state"))["reported"][cleo.phone] == [dora.phone]
