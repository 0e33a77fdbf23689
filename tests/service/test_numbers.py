"""Messages go to the number that WhatsApp knows, and all spellings of it are one chat."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fixtures.service import Client, NewHouse, RunningGateway, guest_of, until
from tests.fixtures.webhook_catcher import WebhookCatcher

WRITTEN, KNOWN = "5531988880001", "553188880001"
"""As people of Minas Gerais write a number, and as the sandbox knows it."""
ABSENT = "5511999990000"
SENTENCE = f"the number {ABSENT} is not on WhatsApp"


async def got(client: Client, path: str, **query: Any) -> Any:
    answer = await client.call("GET", path, params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def failed_within(client: Client, count: int) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await got(client, "/queue/failed"))["messages"]
        return found

    return await until(look, lambda messages: len(messages) >= count)


@pytest.mark.parametrize(
    ("written", "known"),
    [(WRITTEN, KNOWN), (KNOWN, KNOWN), ("541123456789", "5491123456789")],
)
async def test_message_goes_to_the_number_that_whatsapp_knows(
    client: Client, written: str, known: str
) -> None:
    assert (await got(client, f"/phone-exists/{written}"))["phone"] == known

    accepted = await client.send_text("Hello", phone=written)

    (sent,) = await client.sent_at_least(1)
    assert (sent["phone"], sent["payload"]["phone"]) == (known, known)
    record = await got(client, f"/messages/{accepted['messageId']}")
    assert record["phone"] == written, "clients match by what they wrote"


async def test_spellings_and_lid_are_one_chat_in_order(client: Client) -> None:
    await client.send_text("one", phone=WRITTEN)
    await client.send_text("two", phone=KNOWN)
    (lid,) = {(await got(client, f"/phone-exists/{WRITTEN}"))["lid"]}
    await client.sent_at_least(2)
    await client.send_text("three", phone=lid)
    await client.send_text("four", phone=WRITTEN)

    sent = await client.sent_at_least(4)

    assert [row["payload"]["message"] for row in sent] == ["one", "two", "three", "four"]
    assert [row["phone"] for row in sent] == [KNOWN, KNOWN, lid, KNOWN]
    await client.control("receive", phone=KNOWN, text="five")
    for name in (WRITTEN, KNOWN, lid):

        async def look(name: str = name) -> Any:
            return await got(client, f"/chat-messages/{name}", amount=50)

        shown = await until(look, lambda messages: len(messages) == 5)
        texts = [message["text"]["message"] for message in shown]
        assert texts == ["five", "four", "three", "two", "one"]
        assert {message["phone"] for message in shown} == {name}
        assert len((await got(client, "/messages", phone=name))["messages"]) == 5
        statuses = await got(client, "/messages-status", phone=name)
        assert statuses["meta"]["total"] == 4
        assert (await got(client, f"/chats/{name}"))["phone"] == KNOWN
    assert [chat["phone"] for chat in await got(client, "/chats")] == [KNOWN]


async def test_number_without_whatsapp_fails_with_a_sentence(
    client: Client, catcher: WebhookCatcher
) -> None:
    await client.call("PUT", "/update-webhook-delivery", json={"value": catcher.url})
    accepted = await client.send_text("Hello", phone=ABSENT)

    (failed,) = await failed_within(client, 1)

    assert (failed["messageId"], failed["error"]) == (accepted["messageId"], SENTENCE)
    assert failed["phone"] == ABSENT
    await catcher.wait_for(lambda c: bool(c.of_type("DeliveryCallback")))
    (callback,) = catcher.of_type("DeliveryCallback")
    assert (callback["phone"], callback["error"]) == (ABSENT, SENTENCE)
    assert await client.sent() == []


async def test_consent_is_that_of_the_person(client: Client) -> None:
    account = {"Authorization": f"Bearer {client.demo.partner_token}"}
    await client.call("PUT", f"/contacts/{WRITTEN}/consent", json={"status": "revoked"})
    await client.http.put("/account/refuse-opted-out", json={"value": True}, headers=account)

    async def refused() -> int:
        body = {"phone": KNOWN, "message": "hi"}
        return (await client.call("POST", "/send-text", json=body)).status_code

    await until(refused, lambda status: status == httpx.codes.FORBIDDEN)
    seen = await got(client, f"/contacts/{KNOWN}/consent")
    assert (seen["phone"], seen["status"]) == (KNOWN, "revoked")
    granted = {"status": "granted"}
    await client.call("PUT", f"/contacts/{KNOWN}/consent", json=granted)
    assert (await got(client, f"/contacts/{WRITTEN}/consent"))["status"] == "granted"
    await client.send_text("now it may", phone=WRITTEN)


async def test_operations_reach_the_known_number(client: Client) -> None:
    await client.send_text("so that it is known", phone=WRITTEN)
    await client.sent_at_least(1)

    made = await client.call(
        "POST", "/create-group", json={"groupName": "Team", "phones": [WRITTEN]}
    )

    group = await got(client, f"/group-metadata/{made.json()['phone']}")
    assert KNOWN in [each["phone"] for each in group["participants"]]
    added = {"groupId": made.json()["phone"], "phones": [WRITTEN]}
    removed = await client.call("POST", "/remove-participant", json=added)
    assert removed.json() == {"value": True}


async def test_erasure_of_one_spelling_erases_both(client: Client) -> None:
    await client.send_text("one", phone=WRITTEN)
    await client.send_text("two", phone=KNOWN)
    await client.sent_at_least(2)

    async def look() -> Any:
        return await got(client, f"/chat-messages/{KNOWN}", amount=50)

    await until(look, lambda messages: len(messages) == 2)

    answer = await client.call("DELETE", f"/contacts/{WRITTEN}/data")

    erased = answer.json()["erased"]
    assert (erased["messages"], erased["chats"], erased["identities"]) == (2, 1, 1)
    for name in (WRITTEN, KNOWN):
        assert await got(client, f"/chat-messages/{name}", amount=50) == []
    assert await got(client, "/chats") == []


@pytest.fixture(scope="module")
def without_look_ups(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_NUMBER_LOOKUP="false", GATEWAY_SANDBOX_RECEIPTS="0") as gateway:
        yield gateway


async def test_without_look_ups_it_goes_to_the_number_as_given(
    without_look_ups: RunningGateway,
) -> None:
    async with guest_of(without_look_ups) as client:
        lost = await client.send_text("Hello", phone=WRITTEN)
        read = await client.send_text("Hello", phone=KNOWN)

        sent = await client.sent_at_least(2)

        assert [row["phone"] for row in sent] == [WRITTEN, KNOWN]

        async def look() -> Any:
            return await got(client, f"/messages/{read['messageId']}")

        await until(look, lambda message: message["status"] in ("delivered", "read"))
        message = await got(client, f"/messages/{lost['messageId']}")
        assert message["status"] == "sent", "no phone has that number"
