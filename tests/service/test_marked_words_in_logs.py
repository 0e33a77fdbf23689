"""What passes through the gateway is not in its log, at DEBUG, whichever road it takes."""

import base64
import json
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection

from gateway.contract.catalogue import catalogue
from tests.fixtures.kafka import add_topics, producing, records_of
from tests.fixtures.media import picture
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until
from tests.service.test_kafka import CONSUME, OUT, PUBLISH, REFUSED, SCHEDULE, SEND, broker_settings
from tests.service.test_secrets_in_logs import welcome_of

PHONE = "5547912345607"
WRITER = "5547912345608"
TEXT = "marked zephyr"
KEY = "marked-idempotency-key"
WEBHOOK_SECRET_PATH = "marked-path-of-a-receiver"
MARKS = (PHONE, WRITER, TEXT, KEY, WEBHOOK_SECRET_PATH)


def marked(value: Any) -> Any:
    """Puts the marks in place of the phone and of each text of an example."""
    if isinstance(value, dict):
        return {name: _marked_field(name, each) for name, each in value.items()}
    if isinstance(value, list):
        return [marked(each) for each in value]
    return value


def _marked_field(name: str, value: Any) -> Any:
    if name == "phone" and isinstance(value, str) and value.isdigit():
        return PHONE
    if name in ("message", "caption", "title", "description", "footer") and isinstance(value, str):
        return f"{TEXT} {value}"
    return marked(value)


async def send_every_kind(client: Client) -> None:
    for send in catalogue().sends.values():
        example = {
            n: v for n, v in send.example.items() if n not in ("delayMessage", "delayTyping")
        }
        await client.call("POST", send.path or "", json={**marked(example), "phone": PHONE})
    encoded = base64.b64encode(picture()).decode()
    image = {"phone": PHONE, "image": f"data:image/png;base64,{encoded}", "caption": TEXT}
    await client.call("POST", "/send-image", json=image, headers={"Idempotency-Key": KEY})
    await client.call("POST", "/send-text", json={"phone": PHONE, "message": TEXT, "priority": []})
    await client.call("POST", "/send-text", json={"phone": f"{PHONE}{TEXT}", "message": TEXT})


async def hear_and_ask(client: Client) -> None:
    await client.control("receive", phone=WRITER, text=TEXT)
    for path in ("/chats", f"/chat-messages/{WRITER}", f"/phone-exists/{PHONE}", "/queue"):
        await client.call("GET", path)
    await client.call("POST", "/modify-chat", json={"phone": WRITER, "action": "read"})
    await client.call("POST", "/contacts/add", json=[{"firstName": TEXT, "phone": WRITER}])
    await client.call(
        "PUT", f"/contacts/{WRITER}/consent", json={"status": "granted", "note": TEXT}
    )
    await client.call("DELETE", f"/contacts/{WRITER}/data")


async def speak_by_kafka(client: Client, broker: str) -> None:
    message = {"phone": PHONE, "message": TEXT}
    envelope = {"instanceId": client.demo.instance_id, "type": "send-text", "message": message}
    async with producing(broker) as producer:
        for value in (
            json.dumps(envelope).encode(),
            f'{{"message": "{TEXT}'.encode(),
            json.dumps({**envelope, "message": {"fone": PHONE, "message": TEXT}}).encode(),
        ):
            await producer.send(SEND, value)
        await producer.flush()


async def test_no_mark_reaches_the_log_at_debug(
    tmp_path: Path, database_url: str, broker: str, operator: AsyncConnection
) -> None:
    await add_topics(broker, *OUT, SEND, SCHEDULE, REFUSED)
    environment = {**PUBLISH, **CONSUME, **broker_settings(broker), "GATEWAY_LOG_LEVEL": "DEBUG"}
    with running_gateway(
        tmp_path, database_url, GATEWAY_WEBHOOK_RETRY_BASE_SECONDS="0.02", **environment
    ) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            nobody = f"http://127.0.0.1:9/{WEBHOOK_SECRET_PATH}?token={WEBHOOK_SECRET_PATH}"
            await client.call("PUT", "/update-every-webhooks", json={"value": nobody})
            await client.control("faults", next=["permanent", "crash_after_accept"])
            await send_every_kind(client)
            await hear_and_ask(client)
            await speak_by_kafka(client, broker)
            await records_of(broker, REFUSED, 2)
            await records_of(broker, OUT[2], 1)
            await sent_to(client, PHONE)
            await client.call("GET", "/queue", headers={"X-Request-Id": "the-last-one"})
        log = await whole_log(gateway, "the-last-one")
        demo = gateway.demo()

    shown = log.replace(welcome_of(log), "")
    secrets = (demo.instance_token, demo.client_token, demo.partner_token)
    lines = [line for line in shown.splitlines() if any(m in line for m in (*MARKS, *secrets))]
    assert lines == []


async def sent_to(client: Client, phone: str) -> None:
    """Waits until a text that came by Kafka arrived."""
    await until(client.sent, lambda sent: any(s["payload"].get("phone") == phone for s in sent))


async def whole_log(gateway: RunningGateway, last: str) -> str:
    async def read() -> str:
        return gateway.log

    return await until(read, lambda written: last in written)
