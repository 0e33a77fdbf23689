"""The life of a message, from a client's request to the simulated phone."""

from tests.fixtures.service import Client


async def test_a_text_arrives_as_it_was_accepted(client: Client) -> None:
    accepted = await client.send_text("Hello")

    sent = await client.sent_at_least(1)

    assert accepted["id"] == accepted["messageId"]
    assert [(s["messageId"], s["seen"], s["payload"]["message"]) for s in sent] == [
        (accepted["messageId"], 1, "Hello")
    ]


async def test_two_hundred_texts_arrive_once_and_in_order(client: Client) -> None:
    accepted = [(await client.send_text(f"text {n}"))["messageId"] for n in range(200)]

    sent = await client.sent_at_least(200)

    assert [s["messageId"] for s in sent] == accepted
    assert {s["seen"] for s in sent} == {1}
