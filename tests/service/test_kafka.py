"""Kafka gets every event in order, and messages from Kafka are sent exactly once."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from psycopg import AsyncConnection

from tests.fixtures.kafka import add_topics, producing, records_of
from tests.fixtures.queue import rows
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

OUT = ("whatsapp-message-status", "whatsapp-instance-status", "whatsapp-message-received")
SEND, SCHEDULE, REFUSED = (
    "whatsapp-send-message",
    "whatsapp-schedule-message",
    "whatsapp-send-message-refused",
)
MESSAGING = "messaging.send"
PUBLISH = {"GATEWAY_KAFKA_ACCOUNTS": "Demo", "GATEWAY_SANDBOX_RECEIPTS": "off"}
CONSUME = {
    "GATEWAY_KAFKA_SEND": f"{SEND}=Demo",
    "GATEWAY_KAFKA_SCHEDULE": f"{SCHEDULE}=Demo",
    "GATEWAY_SANDBOX_RECEIPTS": "off",
}


def broker_settings(broker: str) -> dict[str, str]:
    return {
        "GATEWAY_KAFKA_SERVERS": broker,
        "GATEWAY_KAFKA_IDEMPOTENT": "false",
    }  # this broker cannot


DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def event(client: Client, text: str, **fields: Any) -> bytes:
    message = {"phone": "5511999999999", "message": text, **fields}
    return json.dumps(
        {"instanceId": client.demo.instance_id, "type": "send-text", "message": message}
    ).encode()


async def test_events_reach_their_topics_in_order_across_a_kill(
    tmp_path: Path, database_url: str, broker: str, operator: AsyncConnection
) -> None:
    await add_topics(broker, *OUT, partitions=2)
    environment = {**PUBLISH, **broker_settings(broker)}
    texts = [f"{n}" for n in range(60)]
    with running_gateway(tmp_path, database_url, **environment) as gateway:
        await gateway.ready()
        await until(
            lambda: rows(operator, "select count(*) from event_roads where name = 'kafka'"),
            lambda counted: counted == [1],
        )
        async with client_of(gateway) as client:
            for text in texts[:30]:
                await client.control("receive", phone="5511888888888", text=text)
            gateway.kill()
            gateway.start()
            await gateway.ready()
            for text in texts[30:]:
                await client.control("receive", phone="5511888888888", text=text)
            sent = (await client.send_text("hi", trackId="order 1"))["messageId"]
            received = await records_of(broker, OUT[2], 60)
            (delivered, state, *_) = await records_of(broker, OUT[0], 2)
            instance_id = client.demo.instance_id

    texts_received = list(dict.fromkeys(json.loads(r.value)["text"]["message"] for r in received))
    assert texts_received == texts
    assert {r.key for r in received} == {f"{instance_id}:5511888888888".encode()}
    assert json.loads(delivered.value)["messageId"] == sent
    assert json.loads(delivered.value)["trackId"] == "order 1"
    shown = json.loads(state.value)
    assert (shown["status"], shown["ids"], shown["trackId"]) == ("SENT", [sent], "order 1")
    headers = dict(delivered.headers)
    assert headers["type"] == b"DeliveryCallback"
    assert len(headers["id"]) == 36


async def test_kafka_messages_are_sent_exactly_once_across_kills(
    tmp_path: Path, database_url: str, broker: str, operator: AsyncConnection
) -> None:
    await add_topics(broker, SEND, SCHEDULE, REFUSED)
    environment = {**CONSUME, **broker_settings(broker)}
    texts = [f"{n}" for n in range(90)]
    with running_gateway(tmp_path, database_url, **environment) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client, producing(broker) as producer:
            for n, text in enumerate(texts):
                headers = [("id", f"event-{n}".encode())]
                await producer.send(SEND, event(client, text), headers=headers)
                if n % 10 == 0:  # the same event comes twice
                    await producer.send(SEND, event(client, text), headers=headers)
            await producer.flush()
            for min_count in (20, 50):
                await client.sent_at_least(min_count)
                gateway.kill()
                gateway.start()
                await gateway.ready()
            sent = await client.sent_at_least(90)
            await until(
                lambda: rows(operator, "select next_offset from kafka_offsets"),
                lambda offsets: offsets == [99],
            )

    assert [s["payload"]["message"] for s in sent] == texts


async def test_flat_records_are_sent_exactly_once_across_a_kill(
    tmp_path: Path, database_url: str, broker: str, operator: AsyncConnection
) -> None:
    await add_topics(broker, MESSAGING, SCHEDULE, REFUSED)
    environment = {
        "GATEWAY_KAFKA_SEND": f"{MESSAGING}=*",
        "GATEWAY_KAFKA_SCHEDULE": f"{SCHEDULE}=Demo",
        "GATEWAY_SANDBOX_RECEIPTS": "off",
        "GATEWAY_KAFKA_REQUIRED": "true",
        **broker_settings(broker),
    }
    flat = {"userId": "Demo", "instanceName": "Demo", "phoneNumber": "5511999999999"}
    now = datetime.now(UTC)
    # Its time passed while it waited in the topic.
    overdue = {"scheduledFor": now.isoformat(), "timestamp": (now - timedelta(1)).isoformat()}
    later = int((now + timedelta(1)).timestamp() * 1000)
    texts = [f"{n}" for n in range(20)]
    with running_gateway(tmp_path, database_url, **environment) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client, producing(broker) as producer:
            for text in texts:
                await producer.send(MESSAGING, json.dumps({**flat, "message": text}).encode())
            scheduled = {**flat, "scheduleId": "s-1", "message": "later", "scheduledFor": later}
            for _ in range(2):
                await producer.send(SCHEDULE, json.dumps(scheduled).encode())
            await producer.flush()
            await client.sent_at_least(5)
            gateway.kill()
            gateway.start()
            await gateway.ready()
            await client.sent_at_least(20)
            wrong = [{**scheduled, "message": "other"}, {**flat, "scheduleId": "s-2"}]
            for record in (*wrong, {**flat, **overdue, "scheduleId": "s-3", "message": "now"}):
                await producer.send(SCHEDULE, json.dumps(record).encode())
            await producer.flush()
            sent = await client.sent_at_least(21)
            refused = await records_of(broker, REFUSED, 2)
            queue = (await client.call("GET", "/queue")).json()
            canceled = await client.call("DELETE", f"/queue/{queue[0]['ZaapId']}")
            ready = (await gateway.get("/ready")).json()
            metrics = await until(
                lambda: _metrics_of(gateway),
                lambda page: f'lag{{partition="0",topic="{SCHEDULE}"}} 0' in page,
            )

    assert [s["payload"]["message"] for s in sent] == [*texts, "now"]
    assert [item["Message"] for item in queue] == ["later"]
    assert canceled.status_code == httpx.codes.OK
    assert {dict(r.headers)["error"].decode() for r in refused} == {
        "Idempotency-Key was already used with another body",
        "message: is required",
    }
    assert ready["checks"]["kafka"] == "ok"
    assert f'kafka_connected{{servers="{broker}"}} 1' in metrics
    assert f'kafka_records_total{{outcome="refused",topic="{SCHEDULE}"}} 2' in metrics
    (state, *_) = [line for line in gateway.log.splitlines() if "kafka_state" in line]
    logged = json.loads(state)
    assert (logged["connected"], logged["consumed_topics"]) == (True, [MESSAGING, SCHEDULE])


async def _metrics_of(gateway: RunningGateway) -> str:
    async with httpx.AsyncClient() as http:
        page = await http.get(f"http://127.0.0.1:{gateway.internal_port}/metrics")
    return page.text


async def test_unacceptable_records_go_to_the_topic_of_refused_ones(
    tmp_path: Path, database_url: str, broker: str
) -> None:
    await add_topics(broker, SEND, SCHEDULE, REFUSED)
    environment = {**CONSUME, **broker_settings(broker)}
    with running_gateway(tmp_path, database_url, **environment) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client, producing(broker) as producer:
            bad = [
                b"no json",
                b'{"instanceId": "of another account", "type": "send-text", "message": {}}',
                event(client, "").replace(b"send-text", b"send-nothing"),
                event(client, "no phone").replace(b"phone", b"fone"),
                event(client, "too late", expiresAt="2020-01-31T12:00:00Z"),
            ]
            for value in (*bad, event(client, "good")):
                await producer.send(SEND, value)
            await producer.send(SCHEDULE, event(client, "when?"))
            tomorrow = (datetime.now(UTC) + timedelta(1)).isoformat()
            await producer.send(SCHEDULE, event(client, "later", scheduledFor=tomorrow))
            await producer.flush()
            (text,) = await client.sent_at_least(1)
            picture = event(client, "", image=DOT).replace(b"send-text", b"send-image")
            await producer.send(SEND, picture)
            await producer.send(SEND, picture.replace(b"iVBOR", b"?????"))
            await producer.flush()
            *_, image = await client.sent_at_least(2)
            refused = await records_of(broker, REFUSED, 7)
            queue = await until(
                lambda: client.call("GET", "/queue"), lambda answer: len(answer.json()) == 1
            )

    assert text["payload"]["message"] == "good"
    assert image["payload"]["image"].startswith("media:")  # no bytes in the queue
    assert [item["Message"] for item in queue.json()] == ["later"]
    errors = {dict(r.headers)["error"].decode() for r in refused}
    assert errors == {
        "The record is not valid JSON: invalid literal, expected 'null'",
        "instanceId: must be an instance of the account of this topic",
        "type: must be a route that sends, such as send-text",
        "phone: is required",
        "expiresAt: must be in the future",
        "message.scheduledFor: is required in this topic",
        "image: must be a URL or base64",
    }
    assert {r.value for r in refused} >= set(bad)
