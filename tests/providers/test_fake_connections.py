"""The fake server links, connects and replaces clients as both implementations expect."""

from gateway.contract.zapi.messages.text import SendText
from tests.providers.baileys_client.client import BaileysClient, BaileysProcess
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import Pair, new_phone


async def test_implementations_exchange_texts(pair: Pair, cleo: BaileysClient) -> None:
    ana, _ = pair
    receipt = await ana.send(SendText(phone=cleo.phone, message="Hello"))
    arrived = await cleo.message(receipt.provider_message_id)
    assert arrived["content"]["conversation"] == "Hello"

    await cleo.send(f"{ana.phone}@s.whatsapp.net", {"text": "Hi"}, messageId="HERS")
    answer = await ana.wait_for_message("HERS")
    assert answer.content == {"text": {"message": "Hi"}}
    assert (await cleo.wait_for("ack", lambda e: e["id"] == "HERS"))["error"] is None


async def test_second_login_of_a_device_replaces_the_first(
    baileys: BaileysProcess, whatsapp: FakeWhatsApp
) -> None:
    first = await baileys.linked("first", new_phone())
    await baileys.run("copy", name="second", original="first")
    second = baileys.client("second", first.phone)
    await second.open()
    assert (await first.wait_for("closed"))["code"] == 440
    state = await whatsapp.control("state")
    assert state["online"].count(first.phone) == 1


async def test_what_comes_during_a_login_follows_what_waited_once(
    pair: Pair, baileys: BaileysProcess, whatsapp: FakeWhatsApp
) -> None:
    ana, _ = pair
    late = await baileys.linked("late", new_phone())
    logins = (await whatsapp.control("state"))["logins"][late.phone]
    await late.run("close")
    await late.wait_for("closed")
    sent = [await ana.send(SendText(phone=late.phone, message="waits"), f"WAITS {n}") for n in "12"]
    late.forget()
    await whatsapp.control("behave", hold_offline=True)
    try:
        await late.run("open")
        await whatsapp.state_when(lambda state: state["logins"][late.phone] > logins)
        sent.append(await ana.send(SendText(phone=late.phone, message="new"), "DURING"))
    finally:
        await whatsapp.control("behave", hold_offline=False)
    await late.wait_for("open")
    sent.append(await ana.send(SendText(phone=late.phone, message="after"), "AFTER"))

    await late.stanza(sent[-1].provider_message_id)
    stanzas = [each["attrs"] for each in late.events if each["event"] == "stanza"]
    assert [each["id"] for each in stanzas] == [each.provider_message_id for each in sent]
    assert [each.get("offline") for each in stanzas] == ["1", "2", "3", None]
