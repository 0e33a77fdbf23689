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
