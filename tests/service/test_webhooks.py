"""Callbacks reach the receiver in order and are retried until they are delivered."""

from pathlib import Path

import pytest

from tests.fixtures.service import Client, client_of, running_gateway
from tests.fixtures.webhook_catcher import WebhookCatcher

QUICK = {"GATEWAY_WEBHOOK_RETRY_BASE_SECONDS": "0.02", "GATEWAY_SANDBOX_RECEIPTS": "0"}


async def subscribe(client: Client, catcher: WebhookCatcher) -> None:
    answer = await client.call("PUT", "/update-every-webhooks", json={"value": catcher.url})
    assert answer.json() == {"value": True}


async def test_delivery_callback_has_the_headers(client: Client, catcher: WebhookCatcher) -> None:
    await subscribe(client, catcher)

    accepted = await client.send_text("hi")
    await catcher.wait_for(lambda c: bool(c.of_type("DeliveryCallback")))

    posted = catcher.delivered[0]
    momment = posted.body.pop("momment")
    assert posted.body == {
        "type": "DeliveryCallback",
        "instanceId": client.demo.instance_id,
        "phone": "5511999999999",
        "zaapId": accepted["zaapId"],
        "messageId": accepted["messageId"],
    }
    assert isinstance(momment, int)
    assert momment > 1_600_000_000_000
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["z-api-token"] == client.demo.instance_token
    assert posted.headers["x-webhook-timestamp"].isdigit()
    assert "x-webhook-signature" not in posted.headers


async def test_secret_signs_beside_the_previous_one_until_that_is_retired(
    client: Client, catcher: WebhookCatcher
) -> None:
    await subscribe(client, catcher)
    account = {"Authorization": f"Bearer {client.demo.partner_token}"}

    async def signatures(count: int) -> list[str]:
        await client.send_text(f"text {count}")
        await catcher.wait_for(lambda c: len(c.of_type("DeliveryCallback")) == count)
        posted = [p for p in catcher.delivered if p.body["type"] == "DeliveryCallback"]
        return posted[-1].headers["x-webhook-signature"].split(",")

    made = [
        (await client.http.post("/account/webhook-secret", headers=account)).json()
        for _ in range(2)
    ]
    both = await signatures(1)
    retired = await client.http.delete("/account/webhook-secret/previous", headers=account)
    state = (await client.http.get("/account/webhook-secret", headers=account)).json()
    one = await signatures(2)

    assert [each["previousSigns"] for each in made] == [False, True]
    assert len({each["secret"] for each in made}) == 2
    assert (len(both), len(one)) == (2, 1)
    assert retired.json() == {"value": True}
    assert state == {"isSet": True, "previousSigns": False}


async def test_receipts_follow_the_delivery_of_their_message(
    tmp_path: Path, database_url: str, catcher: WebhookCatcher
) -> None:
    with running_gateway(tmp_path, database_url, **QUICK) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await subscribe(client, catcher)
            sent = [(await client.send_text(f"text {n}"))["messageId"] for n in range(30)]
            await catcher.wait_for(lambda c: len(_received(c)) == len(sent))

    delivered: set[str] = set()
    for posted in catcher.delivered:
        if posted.body["type"] == "DeliveryCallback":
            delivered.add(posted.body["messageId"])
        if posted.body["type"] == "MessageStatusCallback":
            assert posted.body["messageId"] in delivered
            assert posted.body["ids"] == [posted.body["messageId"]]
            assert posted.body["isGroup"] is False
    assert delivered == set(sent)


def _received(catcher: WebhookCatcher) -> list[str]:
    return [
        body["messageId"]
        for body in catcher.of_type("MessageStatusCallback")
        if body["status"] == "RECEIVED"
    ]


async def test_failed_callback_is_retried_before_later_ones(
    tmp_path: Path, database_url: str, catcher: WebhookCatcher
) -> None:
    catcher.answer = lambda number: 500 if number < 3 else 200
    with running_gateway(
        tmp_path, database_url, **QUICK | {"GATEWAY_SANDBOX_RECEIPTS": "off"}
    ) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await subscribe(client, catcher)
            first = await client.send_text("first")
            second = await client.send_text("second")
            await catcher.wait_for(lambda c: len(c.delivered) == 4)

    assert [(p.body["messageId"], p.body.get("status")) for p in catcher.posted] == [
        *[(first["messageId"], None)] * 4,
        (first["messageId"], "SENT"),
        (second["messageId"], None),
        (second["messageId"], "SENT"),
    ]
    assert len({p.id for p in catcher.posted[:4]}) == 1
    assert catcher.posted[4].id != catcher.posted[0].id


async def test_failed_send_has_its_error_in_the_callback(
    client: Client, catcher: WebhookCatcher
) -> None:
    await subscribe(client, catcher)
    await client.control("faults", next=["permanent"])

    accepted = await client.send_text("never")
    await catcher.wait_for(lambda c: bool(c.of_type("DeliveryCallback")))

    body = catcher.of_type("DeliveryCallback")[0]
    assert body["messageId"] == accepted["messageId"]
    assert body["error"] == "WhatsApp refused the message."


async def test_received_text_is_a_callback(client: Client, catcher: WebhookCatcher) -> None:
    await subscribe(client, catcher)

    message_id = (
        await client.control("receive", phone="5511888888888", text="hello", senderName="Ana")
    )["messageId"]
    await catcher.wait_for(lambda c: bool(c.of_type("ReceivedCallback")))

    body = catcher.of_type("ReceivedCallback")[0]
    assert body["text"] == {"message": "hello"}
    assert body["messageId"] == message_id
    assert body["phone"] == "5511888888888"
    assert body["senderName"] == "Ana"
    assert body["connectedPhone"]
    assert (body["fromMe"], body["isGroup"], body["status"]) == (False, False, "RECEIVED")
    assert None not in body.values()


async def test_connection_changes_are_callbacks(client: Client, catcher: WebhookCatcher) -> None:
    await subscribe(client, catcher)

    await client.control("connection", state="down")
    await catcher.wait_for(lambda c: bool(c.of_type("DisconnectedCallback")))
    await client.control("connection", state="up")
    await catcher.wait_for(lambda c: bool(c.of_type("ConnectedCallback")))

    down, up = (posted.body for posted in catcher.delivered)
    assert (down["type"], down["disconnected"]) == ("DisconnectedCallback", True)
    assert down["error"]
    assert (up["type"], up["connected"], up["phone"]) == ("ConnectedCallback", True, down["phone"])


async def test_instance_without_webhooks_posts_nothing(
    client: Client, catcher: WebhookCatcher
) -> None:
    await subscribe(client, catcher)
    await client.call("PUT", "/update-webhook-delivery", json={"value": ""})

    await client.send_text("silent")
    await client.control("receive", phone="5511888888888", text="loud")
    await catcher.wait_for(lambda c: bool(c.of_type("ReceivedCallback")))

    assert catcher.of_type("DeliveryCallback") == []


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("ftp://example.com", "value: must begin with https://"),
        ("https://", "value: is not a URL"),
        ("https://user:secret@example.com/", "value: must not hold a user name or password"),
        ("http://10.0.0.1/hook", "value: leads to an address that is not public"),
        ("http://[::ffff:10.0.0.1]/hook", "value: leads to an address that is not public"),
        ("http://169.254.169.254/latest", "value: leads to an address that is not public"),
    ],
)
async def test_webhook_that_may_not_be_visited_is_refused(
    client: Client, value: str, sentence: str
) -> None:
    answer = await client.call("PUT", "/update-webhook-received", json={"value": value})

    assert (answer.status_code, answer.json()["error"]) == (400, sentence)


async def test_redirect_of_a_receiver_is_not_followed(
    client: Client, catcher: WebhookCatcher
) -> None:
    catcher.answer = lambda number: 302 if number == 0 else 200
    catcher.headers = {"Location": "http://127.0.0.1:1/elsewhere"}
    await subscribe(client, catcher)

    await client.send_text("hi")
    await catcher.wait_for(lambda c: len(c.posted) == 1)

    assert catcher.posted[0].path == "/hook"
