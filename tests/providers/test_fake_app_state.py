"""Contacts and settings of chats reach the phone and the other devices of an account."""

from typing import Any

from tests.providers.baileys_client.client import BaileysClient, BaileysProcess
from tests.providers.fake_whatsapp.client import FakeWhatsApp

PERSON = "5511955550000@s.whatsapp.net"


async def with_key(client: BaileysClient) -> BaileysClient:
    """Waits until the phone has given the client its key."""

    def is_share(event: dict[str, Any]) -> bool:
        return "appStateSyncKeyShare" in (event["content"] or {}).get("protocolMessage", {})

    await client.wait_for("message", is_share)
    return client


async def values(whatsapp: FakeWhatsApp, client: BaileysClient) -> dict[str, Any]:
    state = await whatsapp.control("state")
    found: dict[str, Any] = state["app_state"][client.phone]
    return found


async def test_contact_is_added_and_removed(cleo: BaileysClient, whatsapp: FakeWhatsApp) -> None:
    await with_key(cleo)
    await cleo.call("addOrEditContact", PERSON, {"fullName": "Eva Lima", "firstName": "Eva"})
    saved = (await values(whatsapp, cleo))[f'["contact", "{PERSON}"]']["contactAction"]
    assert (saved["fullName"], saved["firstName"]) == ("Eva Lima", "Eva")
    await cleo.call("removeContact", PERSON)
    assert f'["contact", "{PERSON}"]' not in await values(whatsapp, cleo)


async def test_chat_is_archived_muted_and_pinned(
    cleo: BaileysClient, whatsapp: FakeWhatsApp
) -> None:
    await with_key(cleo)
    await cleo.call("chatModify", {"archive": True, "lastMessages": []}, PERSON)
    await cleo.call("chatModify", {"mute": 1_900_000_000_000}, PERSON)
    await cleo.call("chatModify", {"pin": True}, PERSON)
    found = await values(whatsapp, cleo)
    assert found[f'["archive", "{PERSON}"]']["archiveChatAction"]["archived"] is True
    assert found[f'["mute", "{PERSON}"]']["muteAction"]["muteEndTimestamp"] == "1900000000000"
    assert found[f'["pin_v1", "{PERSON}"]']["pinAction"]["pinned"] is True


async def test_change_of_one_device_or_the_phone_reaches_the_other(
    baileys: BaileysProcess, cleo: BaileysClient, whatsapp: FakeWhatsApp
) -> None:
    await with_key(cleo)
    other = await with_key(await baileys.linked("other", cleo.phone))
    await other.call(
        "chatModify", {"archive": True, "lastMessages": []}, "5511955550001@s.whatsapp.net"
    )
    await cleo.wait_for(
        "chats.update",
        lambda e: (
            e["body"][0].get("archived") and e["body"][0]["id"] == "5511955550001@s.whatsapp.net"
        ),
    )
    contact = {"person": "5511955550002", "name": "Rui Alves"}
    await whatsapp.control("save_contact", phone=cleo.phone, **contact)
    for device in (cleo, other):
        await device.wait_for("contacts.upsert", lambda e: "Rui Alves" in str(e["body"]))
    # Each device checks the hash of what the phone and the other wrote before it writes itself.
    await cleo.call("removeContact", "5511955550002@s.whatsapp.net")
    assert '["contact", "5511955550002@s.whatsapp.net"]' not in await values(whatsapp, cleo)
