"""Every event that the sandbox can simulate reaches a receiver, in order per chat."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from gateway.contract.callbacks import MessageCallback, NotificationReceived, received_kinds
from tests.fixtures.service import Client, client_of, running_gateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher

ANA, GROUP, CHANNEL = "5511988888888", "120363019502650977-group", "120363166555745933@newsletter"
QUIET = {"GATEWAY_SANDBOX_RECEIPTS": "off", "GATEWAY_WEBHOOK_RETRY_BASE_SECONDS": "0.02"}
CALLS = [{"status": s, "video": v} for s in ("offered", "missed") for v in (False, True)]
PRESENCES = ("available", "composing", "paused", "recording", "unavailable")


async def set_every_webhook(client: Client, catcher: WebhookCatcher) -> None:
    everything = {"value": catcher.url, "notifySentByMe": True}
    answer = await client.call("PUT", "/update-every-webhooks", json=everything)
    assert answer.json() == {"value": True}


async def simulate_every_event(client: Client) -> int:
    """Simulates every event and returns how many callbacks must follow."""
    count = 0
    messages = sorted(name for kind in received_kinds(MessageCallback) for name in kind.variants)
    for kind in messages:
        await client.control("receive", phone=ANA, kind=kind, messageId=kind)
        count += 1
    for kind in sorted(NotificationReceived.variants):
        if "call-" in kind:
            continue
        chat = GROUP if kind.startswith(("group", "member")) else ANA
        chat = CHANNEL if kind.startswith("newsletter") else chat
        await client.control("notification", phone=chat, kind=kind)
        count += 1
    for number, call in enumerate(CALLS):
        await client.control("call", phone=ANA, callId=f"CALL{number}", **call)
        count += 1
    for status in PRESENCES:
        await client.control("presence", phone=ANA, status=status)
        count += 1
    for status in ("sent", "delivered", "read", "played"):
        await client.control("receipt", phone=ANA, messageIds=["ptv"], status=status)
        count += 1
    await client.control("receipt", phone=ANA, messageIds=["text"], status="read_by_me")
    return count + 1


async def test_every_callback_reaches_its_receiver_in_order(
    tmp_path: Path, database_url: str, catcher: WebhookCatcher
) -> None:
    with running_gateway(tmp_path, database_url, **QUIET) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await set_every_webhook(client, catcher)
            count = await simulate_every_event(client)
            await catcher.wait_for(lambda c: len(c.delivered) >= count)
            assert len(catcher.delivered) == count
            sent_id = await the_api_is_echoed(client, catcher)
            await further_messages_are_echoed(client, catcher, sent_id)
            await statuses_are_answered(client)

    bodies = [posted.body for posted in catcher.delivered]
    assert {body["type"] for body in bodies} == {
        "DeliveryCallback",
        "MessageStatusCallback",
        "PresenceChatCallback",
        "ReceivedCallback",
    }
    chats: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for body in bodies:
        chats[body["phone"]].append(body)
    with_id = [b["messageId"] for b in chats[ANA] if b.get("messageId") in VARIANTS]
    assert [b for b in with_id if b not in {"ptv", "text"}] == [
        name for name in sorted(VARIANTS - ELSEWHERE) if name not in {"ptv", "text"}
    ]
    presences = [b["status"] for b in bodies if b["type"] == "PresenceChatCallback"]
    assert presences == [status.upper() for status in PRESENCES]
    assert None not in [value for body in bodies for value in body.values()]


ORDER = {"currency": "BRL", "products": [{"name": "Shoes", "value": 10, "quantity": 2}]}
VARIANTS = {name for kind in received_kinds(MessageCallback) for name in kind.variants}
ELSEWHERE = {"broadcast-list", "event", "event-response"}


async def the_api_is_echoed(client: Client, catcher: WebhookCatcher) -> str:
    sent = await client.send_text("from the API")
    await catcher.wait_for(
        lambda c: any(b["messageId"] == sent["messageId"] for b in c.of_type("DeliveryCallback"))
    )
    await catcher.wait_for(lambda c: any(b["fromApi"] for b in c.of_type("ReceivedCallback")))
    (echo,) = [b for b in catcher.of_type("ReceivedCallback") if b["fromApi"]]
    assert (echo["messageId"], echo["status"]) == (sent["messageId"], "SENT")
    assert (echo["fromMe"], echo["text"]) == (True, {"message": "from the API"})
    assert echo["connectedPhone"] == echo["senderName"]
    message_id: str = sent["messageId"]
    return message_id


async def further_messages_are_echoed(
    client: Client, catcher: WebhookCatcher, text_id: str
) -> None:
    sends: dict[str, tuple[str, dict[str, Any]]] = {
        "text": ("/forward-message", {"messageId": text_id, "messagePhone": "5511999999999"}),
        "reviewAndPay": ("/send-order", {"order": ORDER}),
    }
    for content, (path, fields) in sends.items():
        answer = await client.call("POST", path, json={"phone": "5511988888888", **fields})
        assert answer.is_success, answer.text
        echo = await echo_of(catcher, answer.json()["messageId"])
        assert (echo["phone"], echo["fromMe"], content in echo) == ("5511988888888", True, True)
        assert echo["forwarded"] is (path == "/forward-message")


async def echo_of(catcher: WebhookCatcher, message_id: str) -> dict[str, Any]:
    def echoes(c: WebhookCatcher) -> list[dict[str, Any]]:
        bodies = c.of_type("ReceivedCallback")
        return [b for b in bodies if b["fromApi"] and b["messageId"] == message_id]

    await catcher.wait_for(lambda c: bool(echoes(c)))
    (echo,) = echoes(catcher)
    return echo


async def statuses_are_answered(client: Client) -> None:
    async def seen() -> dict[str, Any]:
        answer = await client.call("GET", "/messages-status", params={"messageId": "ptv"})
        body: dict[str, Any] = answer.json()
        return body

    (status,) = (await until(seen, lambda body: bool(body["data"])))["data"]
    assert status["status"] == {"sent": 1, "delivered": 1, "read": 1, "played": 1}
    raw = await client.call("GET", "/messages-status", params={"phone": ANA, "format": "raw"})
    states = [item["payload"]["status"] for item in raw.json()["data"]]
    assert states == ["delivered", "read", "played"]


async def test_control_body_that_is_wrong_is_refused(client: Client) -> None:
    async def refusal(action: str, **body: Any) -> str:
        answer = await client.http.post(f"{client.sandbox}/{action}", json=body)
        assert answer.status_code == 400
        error: str = answer.json()["error"]
        return error

    assert (await refusal("receive", phone=ANA)).startswith("One content is needed")
    assert await refusal("receive", phone=ANA, image={"captoin": "x"}) == (
        "image.captoin: is not known here"
    )
    assert await refusal("receive", phone=ANA, imagge={}) == "imagge: is not known here"
    assert (await refusal("receive", phone=ANA, kind="poem")).startswith("kind: must be one of ")
    assert await refusal("receive", phone=ANA, poll={"question": "?"}) == (
        "poll.pollMaxOptions: is missing"
    )
    assert (await refusal("receive", phone=ANA, image={"source": 1})).startswith("source: must be")
    assert (await refusal("call", phone=ANA, status="lost")).startswith("status: must be one of")
    assert (await refusal("notification", phone=ANA, code="X")).startswith("code: must be one of")
    assert await refusal("notification", phone=ANA) == "notification: is missing"
