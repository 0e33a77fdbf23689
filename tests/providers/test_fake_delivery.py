"""What a recipient cannot decrypt is sent again, and statuses reach linked devices."""

from gateway.contract.zapi.messages.text import SendText
from gateway.contract.zapi.status import SendTextStatus
from gateway.sessions.provider import MessageReceived
from tests.fixtures.service import until
from tests.providers.baileys_client.client import BaileysClient
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import Pair


async def test_message_that_baileys_cannot_decrypt_is_sent_again_once(
    pair: Pair, cleo: BaileysClient, whatsapp: FakeWhatsApp
) -> None:
    ana, _ = pair
    await whatsapp.control("behave", next_fault="garble")
    again = (await ana.send(SendText(phone=cleo.phone, message="Again"))).provider_message_id
    assert (await cleo.message(again))["content"]["conversation"] == "Again"
    after = (await ana.send(SendText(phone=cleo.phone, message="After"))).provider_message_id
    await cleo.message(after)
    read = [e for e in cleo.events if e["event"] == "message" and e["content"]]
    assert [e["key"]["id"] for e in read if e["key"]["id"] in {again, after}] == [again, after]


async def test_message_that_whatsmeow_cannot_decrypt_is_sent_again_once(
    pair: Pair, cleo: BaileysClient, whatsapp: FakeWhatsApp
) -> None:
    ana, _ = pair
    await whatsapp.control("behave", next_fault="garble")
    await cleo.send(f"{ana.phone}@s.whatsapp.net", {"text": "Again"}, messageId="AGAIN")
    await ana.wait_for(
        MessageReceived, lambda m: m.provider_message_id == "AGAIN" and not m.is_waiting
    )
    await cleo.send(f"{ana.phone}@s.whatsapp.net", {"text": "After"}, messageId="AFTER")
    await ana.wait_for_message("AFTER")
    read = [e for e in ana.events if isinstance(e, MessageReceived) and not e.is_waiting]
    assert [e.provider_message_id for e in read] == ["AGAIN", "AFTER"]


async def test_status_of_whatsmeow_reaches_saved_contacts(
    pair: Pair, cleo: BaileysClient, dora: BaileysClient, whatsapp: FakeWhatsApp
) -> None:
    ana, _ = pair
    await whatsapp.control("save_contact", phone=ana.phone, person=cleo.phone, name="Cleo")
    # The phone's list reaches its linked device a moment later.
    await until(lambda: ana.session.call("contacts"), lambda known: "Cleo" in str(known))
    sent = await ana.send(SendTextStatus(message="Good morning"))
    seen = await cleo.message(sent.provider_message_id)
    assert seen["content"]["extendedTextMessage"]["text"] == "Good morning"
    assert seen["key"]["remoteJid"] == "status@broadcast"
    assert seen["key"]["participant"] == f"{ana.phone}@s.whatsapp.net"
    later = await ana.send(SendText(phone=dora.phone, message="Not saved"))
    await dora.message(later.provider_message_id)
    assert not [e for e in dora.events if e.get("key", {}).get("remoteJid") == "status@broadcast"]


async def test_status_of_baileys_reaches_whatsmeow(pair: Pair, cleo: BaileysClient) -> None:
    ana, _ = pair
    people = [f"{ana.phone}@s.whatsapp.net"]
    options = {"messageId": "STATUS", "statusJidList": people}
    await cleo.send("status@broadcast", {"text": "Good night"}, **options)
    seen = await ana.wait_for_message("STATUS")
    assert (seen.chat, seen.sender) == ("status@broadcast", cleo.phone)
    assert seen.content == {"text": {"message": "Good night"}}
