"""What callers, receivers and operators do with a gateway, in scenes that each stand alone.

Together the scenes run every statement of a gateway; `tests/campaigns/statements.py` names those
that they cannot.
"""

import asyncio
import base64
import itertools
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import httpx
from aiokafka import AIOKafkaProducer
from psycopg import AsyncConnection

from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable
from gateway.instances.accounts import Accounts
from gateway.instances.creation import Registry
from gateway.instances.tokens import TokenVault
from gateway.runtime.provider_selection import secret_settings_of
from gateway.webhooks.secrets import WebhookSecrets
from tests.fixtures.media import picture
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, Demo, RunningGateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.service.test_documented_routes import ENDS_THE_CONNECTION, ROUTES, World
from tests.service.test_kafka import SEND, event

ANA: Final = "5511988888888"
BEN: Final = "5511777777777"
GONE: Final = 410
_UNAVAILABLE = {502, 503}
_RETRY_SECONDS = 0.05


class InsistentClient(Client):
    """Repeats a request until it gets an answer other than 503, as a good caller does.

    A send is repeated with the same Idempotency-Key.
    """

    def __init__(self, demo: Demo, http: httpx.AsyncClient) -> None:
        super().__init__(demo, http)
        self.accepted: list[str] = []
        """The ids of the accepted messages, in order."""
        self.errors: list[str] = []
        """Answers that no caller can act on."""

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self.insist(method, self.instance + path, **options)

    async def control(self, action: str, **body: Any) -> dict[str, Any]:
        answer = await self.insist("POST", f"{self.sandbox}/{action}", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def send_text(self, message: str, **fields: Any) -> dict[str, Any]:
        body = await self.post("/send-text", {"phone": ANA, "message": message, **fields})
        self.accepted.append(body["messageId"])
        return body

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a message of any kind."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = await self.call("POST", path, json=body, headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def insist(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    answer = await self.http.request(method, path, **options)
                except httpx.TransportError:  # the gateway starts again
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                if answer.status_code not in _UNAVAILABLE:
                    break
                await asyncio.sleep(_RETRY_SECONDS)
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            self.errors.append(f"{method} {path}: {answer.text[:200]}")
        return answer


@dataclass
class Tour:
    """A gateway, two lines of it, their receiver, and the texts that were sent so far."""

    gateway: RunningGateway
    line: InsistentClient
    neighbor: InsistentClient
    catcher: WebhookCatcher
    operator: AsyncConnection
    database: Database
    """Through the same bad connection as the gateway."""
    producer: AIOKafkaProducer | None = None
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def text(self, about: str = "text") -> str:
        return f"{about} {next(self.numbers)}"

    async def arrived(self, *message_ids: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Returns once the simulated WhatsApp has these messages."""
        await until(
            lambda: self.rows(
                "select message_id from sandbox.sent where message_id = any(%s)", [*message_ids]
            ),
            lambda found: len(found) == len(message_ids),
            seconds=seconds,
        )

    async def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        cursor = await self.operator.execute(statement.encode(), parameters)
        return await cursor.fetchall()

    async def partner(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Calls with the partner token of the account."""
        headers = {"Authorization": f"Bearer {self.line.demo.partner_token}"}
        return await self.line.insist(method, path, headers=headers, **options)

    async def send(self, about: str = "text", **fields: Any) -> str:
        """Sends a text and waits for its arrival."""
        sent = await self.line.send_text(self.text(about), **fields)
        await self.arrived(sent["messageId"])
        return str(sent["messageId"])


Scene = Callable[[Tour], Awaitable[object]]


async def send_texts(tour: Tour) -> None:
    first = await tour.send(delayTyping=1)
    await tour.send("answer", messageId=first)
    headers = {"Prefer": "wait=5"}
    body = {"phone": ANA, "message": tour.text("awaited")}
    awaited = await tour.line.call("POST", "/send-text", json=body, headers=headers)
    tour.line.accepted.append(awaited.json()["messageId"])
    for action in ("sent", "marks"):
        await tour.line.insist("GET", f"{tour.line.sandbox}/{action}")


async def schedule(tour: Tour) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    await tour.send("scheduled", scheduledFor=at)


async def receive(tour: Tour) -> None:
    name = uuid.uuid4().hex
    await tour.line.control("receive", phone=ANA, text=tour.text("hello"), messageId=name)
    await tour.catcher.wait_for(
        lambda c: any(b["messageId"] == name for b in c.of_type("ReceivedCallback"))
    )


async def receive_others(tour: Tour) -> None:
    lid = "81896604192873@lid"
    known = await tour.send()
    await tour.line.control("identity", lid=lid, phone=ANA, name="Ana")
    await tour.line.control("presence", phone=ANA, status="composing")
    await tour.line.control("call", phone=ANA)
    await tour.line.control("receipt", phone=ANA, messageIds=[known], status="read")
    chat = {"phone": ANA, "lastMessageAt": datetime.now(UTC).isoformat(), "unread": 2}
    await tour.line.control("history", chats=[chat])
    edited = (await tour.line.control("receive", phone=ANA, text="first"))["messageId"]
    await tour.line.control("receive", phone=ANA, text="edited", edit=True, refersTo=edited)
    await receive(tour)


async def receive_file(tour: Tour) -> None:
    source = base64.b64encode(picture()).decode()
    name = uuid.uuid4().hex
    await tour.line.control("receive", phone=ANA, messageId=name, image={"source": source})
    await tour.catcher.wait_for(
        lambda c: any(b["messageId"] == name for b in c.of_type("ReceivedCallback"))
    )
    link = next(b for b in tour.catcher.of_type("ReceivedCallback") if b["messageId"] == name)
    await tour.line.http.get(link["image"]["imageUrl"])


async def send_file(tour: Tour) -> None:
    """Sends a picture, which then expires."""
    color = f"#{next(tour.numbers):06x}"
    image = "data:image/png;base64," + base64.b64encode(picture(color=color)).decode()
    sent = await tour.line.post("/send-image", {"phone": ANA, "image": image})
    tour.line.accepted.append(sent["messageId"])
    await tour.arrived(sent["messageId"])
    await tour.operator.execute("update media set expires_at = '-infinity'")
    await until(
        lambda: tour.rows("select from media union all select from media_leftovers"),
        lambda found: not found,
    )


async def fail(tour: Tour) -> None:
    """The provider fails in each of the ways that a worker tells apart."""
    await tour.line.control("faults", next=["transient"])
    await tour.send("busy")
    await tour.line.control("faults", next=[{"fault": "restricted_until", "seconds": 1}])
    await tour.send("restricted")
    await tour.line.control("faults", next=["permanent"])
    refused = await tour.line.send_text(tour.text("refused"))

    async def status() -> str:
        answer = await tour.line.call("GET", f"/queue/{refused['zaapId']}")
        return str(answer.json().get("status"))

    await until(status, lambda seen: seen in {"failed", "sent"})
    await tour.line.call("GET", "/queue/failed")
    await tour.line.call("POST", f"/queue/{refused['zaapId']}/retry")
    await tour.arrived(refused["messageId"])


async def control_queue(tour: Tour) -> None:
    """Pauses, moves, cancels and clears, and resumes."""
    line = tour.line
    await line.call("POST", "/queue/pause")
    later, first, canceled = [
        await line.post("/send-text", {"phone": ANA, "message": tour.text("waits")})
        for _ in range(3)
    ]
    await line.call("POST", f"/queue/{first['zaapId']}/move-to-front")
    await line.call("DELETE", f"/queue/{canceled['zaapId']}")
    for path in ("/queue", "/queue/count", "/queue/stats", f"/queue/{later['zaapId']}"):
        await line.call("GET", path)
    await line.call("DELETE", "/queue")
    await line.call("POST", "/queue/resume")
    await tour.send("resumed")


async def clear_failed(tour: Tour) -> None:
    await tour.line.control("faults", next=["permanent"])
    refused = await tour.line.post("/send-text", {"phone": ANA, "message": tour.text("refused")})
    await until(
        lambda: tour.line.call("GET", f"/queue/{refused['zaapId']}"),
        lambda answer: answer.json().get("status") in {"failed", "sent"},
    )
    await tour.line.call("DELETE", "/queue/failed")
    await tour.line.control("faults", next=[])


async def limit_day(tour: Tour) -> None:
    """Reaches the daily limit, and lifts it."""
    await tour.send()
    await tour.line.call("PUT", "/queue/settings", json={"dailyLimit": 1})
    held = await tour.line.send_text(tour.text("of another day"))
    await until(
        lambda: tour.line.call("GET", "/queue/stats"),
        lambda answer: bool(answer.json().get("holdUntil")),
    )
    await tour.line.call("PUT", "/queue/settings", json={"dailyLimit": 0})
    await tour.arrived(held["messageId"])


async def expire(tour: Tour) -> None:
    await tour.line.call("POST", "/queue/pause")
    old = await tour.line.post("/send-text", {"phone": ANA, "message": tour.text("old")})
    await tour.operator.execute(
        "update message_queue set expires_at = now() where message_id = %s", [old["messageId"]]
    )
    await until(
        lambda: tour.rows(
            "select 1 from message_queue where message_id = %s and status = 'failed'",
            old["messageId"],
        ),
        bool,
    )
    await tour.line.call("POST", "/queue/resume")
    await tour.operator.execute(
        "update message_queue set updated_at = now() - interval '1 year' where status = 'failed'"
    )


async def refuse_callbacks(tour: Tour) -> None:
    """The receiver refuses for good, and the dead letters are listed, retried and deleted."""
    tour.catcher.answer = lambda _number: GONE
    try:
        for phone in (ANA, BEN):
            await tour.line.control("presence", phone=phone, status="composing")
        letters = await until(
            lambda: tour.line.call("GET", "/dlq/events"),
            lambda seen: seen.json()["total"] > 1,
        )
    finally:
        tour.catcher.answer = lambda _number: httpx.codes.OK
    await tour.line.call("GET", "/dlq/stats")
    discarded, *_ = letters.json()["events"]
    await tour.line.call("POST", f"/dlq/events/{discarded['event_id']}/discard")
    await tour.line.call("POST", "/dlq/retry-all", json={})
    await tour.line.call("DELETE", "/dlq/purge")


async def break_receiver(tour: Tour) -> None:
    """The receiver is silent until its circuit breaker opens, and then answers again."""
    url = tour.catcher.url
    async with WebhookCatcher().serving() as other:
        gone = other.url
    port = int(gone.rpartition(":")[2].partition("/")[0])
    await tour.line.call("PUT", "/update-every-webhooks", json={"value": gone})
    for number in range(8):
        await tour.line.control("presence", phone=f"{ANA[:-1]}{number}", status="composing")
    await until(
        lambda: tour.rows("select 1 from webhook_lines where address is not null"),
        lambda found: len(found) > 5,
    )
    async with WebhookCatcher().serving(port) as again:
        await again.wait_for(lambda c: len({p.id for p in c.delivered}) == 8)
    await tour.line.call("PUT", "/update-every-webhooks", json={"value": url})


async def read_webhooks(tour: Tour) -> None:
    await tour.send()
    since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await tour.line.call("GET", "/webhooks/deliveries")
    span = {"from": since, "to": datetime.now(UTC).isoformat()}
    await tour.line.call("POST", "/webhooks/replay", json=span)
    await tour.line.call("POST", "/webhooks/test", json={"type": "DeliveryCallback"})


async def read_history(tour: Tour) -> None:
    message_id = await tour.send()
    await tour.line.control("receive", phone=BEN, text=tour.text("hello"))
    await receive(tour)
    of_message = {"messageId": message_id, "includeParticipants": "true"}
    await tour.line.call("GET", "/messages-status", params=of_message)
    for page in (1, 2):
        await tour.line.call("GET", "/chats", params={"page": page, "pageSize": 1})
    for path in (f"/messages/{message_id}", "/messages", "/proxy", f"/queue/{message_id}"):
        await tour.line.call("GET", path)


async def change_messages(tour: Tour) -> None:
    """Marks a message of another instance as read, and deletes an own one, sent and waiting."""
    own = (await tour.line.call("GET", "/device")).json()["phone"]
    other = (await tour.neighbor.call("GET", "/device")).json()["phone"]
    body = {"phone": own, "message": tour.text("to a neighbor")}
    sent = (await tour.neighbor.post("/send-text", body))["messageId"]
    await tour.catcher.wait_for(
        lambda c: any(b["messageId"] == sent for b in c.of_type("ReceivedCallback"))
    )
    await tour.line.call("POST", "/read-message", json={"phone": other, "messageId": sent})
    owned = {"messageId": await tour.send(), "phone": ANA, "owner": "true"}
    for _ in range(2):
        await tour.line.call("DELETE", "/messages", params=owned)
    await tour.line.call("DELETE", f"/queue/{owned['messageId']}")


async def keep_people(tour: Tour) -> None:
    path = f"/contacts/{ANA}/consent"
    await tour.line.call("PUT", path, json={"status": "granted", "source": "form"})
    await tour.line.call("GET", path)
    await tour.line.call("DELETE", path)
    await receive(tour)
    await tour.line.call("DELETE", f"/contacts/{ANA}/data")


async def refuse_opted_out(tour: Tour) -> None:
    path, phone = f"/contacts/{BEN}/consent", {"phone": BEN, "message": "unwanted"}
    await tour.line.call("PUT", path, json={"status": "revoked", "source": "form"})
    await tour.partner("PUT", "/account/refuse-opted-out", json={"value": True})
    await until(
        lambda: tour.line.call("POST", "/send-text", json=phone),
        lambda answer: answer.status_code == httpx.codes.FORBIDDEN,
    )
    await tour.partner("PUT", "/account/refuse-opted-out", json={"value": False})
    await tour.line.call("DELETE", path)
    await tour.partner("GET", "/account/audit")


async def change_proxy(tour: Tour) -> None:
    proxy = {"proxyUrl": "socks5://127.0.0.1:1"}
    await tour.line.call("PUT", "/update-proxy", json=proxy)
    await tour.line.call("POST", "/proxy/test", json={})
    await tour.line.call("GET", "/proxy/health")
    await tour.line.call("DELETE", "/proxy")


async def change_connection(tour: Tour) -> None:
    await tour.line.control("faults", next=["disconnect_before_send"])
    handed_back = await tour.line.send_text(tour.text("handed back"))
    await until(
        lambda: tour.rows("select state from sandbox.phones where state = 'disconnected'"), bool
    )
    await tour.line.control("connection", state="up")
    await tour.arrived(handed_back["messageId"])
    await tour.line.control("connection", state="logged_out")
    await tour.line.control("scan")
    await tour.send()


async def replace_instance(tour: Tour) -> None:
    """A partner makes an instance, which then loses its lease, and deletes it."""
    new = {"name": "New"}
    made = (await tour.partner("POST", "/instances/integrator/on-demand", json=new)).json()
    path = f"/instances/{made['id']}"
    account = f"{path}/token/{made['token']}/integrator/on-demand/subscription"
    await tour.partner("POST", account, json={})
    await tour.partner("PUT", f"{account}/update", json={"withCalls": True})
    await tour.partner("POST", f"{path}/token/{made['token']}/integrator/on-demand/cancel")
    await tour.partner("GET", "/instances")
    owned = "select 1 from instance_leases where node_id is not null and instance_id = %s"
    await until(lambda: tour.rows(owned, made["id"]), bool)
    await tour.operator.execute("update instances set wanted = false where id = %s", [made["id"]])
    await until(lambda: tour.rows(owned, made["id"]), lambda found: not found)
    headers = {"Client-Token": tour.line.demo.client_token}
    shown = f"{path}/token/{made['token']}/device"
    await tour.line.http.get(shown, headers=headers)
    await tour.partner("DELETE", path)
    other = (await tour.partner("POST", "/instances/integrator/on-demand", json=new)).json()
    await until(lambda: tour.rows(owned, other["id"]), bool)
    await tour.partner("DELETE", f"/instances/{other['id']}")
    await tour.operator.execute("update instance_removals set asked_at = '-infinity'")
    await until(lambda: tour.rows("select 1 from instance_removals"), lambda found: not found)


async def follow_events(tour: Tour) -> None:
    """A caller reads the stream of events until its message is in it."""
    headers = {"Authorization": f"Bearer {tour.line.demo.client_token}"}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                async with tour.line.http.stream("GET", "/events", headers=headers) as stream:
                    if stream.status_code == httpx.codes.OK:
                        sent = await tour.line.send_text(tour.text("followed"))
                        async for text in stream.aiter_lines():
                            if sent["messageId"] in text:
                                return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_RETRY_SECONDS)


async def send_by_kafka(tour: Tour) -> None:
    assert tour.producer is not None
    text = tour.text("by kafka")
    await tour.producer.send_and_wait(SEND, event(tour.line, text))
    await tour.producer.send_and_wait(SEND, b"no json")
    await until(
        lambda: tour.rows(
            "select message_id from sandbox.sent where payload ->> 'message' = %s", text
        ),
        bool,
    )


async def administer(tour: Tour) -> None:
    """What an operator does on the command line."""
    vault = TokenVault(((tour.gateway.data_dir / "secret.key").read_text().strip(),), os.urandom)
    registry = Registry(tour.database, vault, os.urandom, secret_settings=secret_settings_of)
    made = await registry.add_account(
        uuid.uuid4().hex, client_token_required=True, unique_name=True
    )
    await registry.add_instance(made.id, "New", provider="sandbox", by_client_token=True)
    accounts = Accounts(tour.database)
    empty = await registry.add_account(uuid.uuid4().hex, client_token_required=True)
    secrets = WebhookSecrets(tour.database, vault, os.urandom)
    await secrets.rotate(made.id)
    for act in (
        partial(secrets.retire, made.id),
        partial(registry.renew_tokens, made.id),
        partial(accounts.allow_addresses, made.id, ["127.0.0.0/8"]),
        partial(accounts.delete, empty.id),
        accounts.list_all,
    ):
        with suppress(DatabaseUnavailable):  # the operator reads it, and runs the command again
            await act()


async def restart(tour: Tour) -> None:
    await asyncio.to_thread(tour.gateway.stop)
    tour.gateway.start()
    await tour.gateway.ready()


async def rest(tour: Tour) -> None:
    """Nothing but what the gateway does by itself, for a second."""
    await tour.send()
    await asyncio.sleep(1.0)


def _documented(route: Mapping[str, Any]) -> Scene:
    async def replay(tour: Tour) -> None:
        await World(tour.line).replay(route, minimal=False)
        if route["path"] in ENDS_THE_CONNECTION:
            await tour.line.control("scan")

    return replay


SCENES: Final[Mapping[str, Scene]] = {
    scene.__name__: scene
    for scene in (
        send_texts,
        schedule,
        receive,
        receive_others,
        receive_file,
        send_file,
        fail,
        control_queue,
        clear_failed,
        limit_day,
        expire,
        refuse_callbacks,
        break_receiver,
        read_webhooks,
        read_history,
        change_messages,
        keep_people,
        refuse_opted_out,
        change_proxy,
        change_connection,
        replace_instance,
        follow_events,
        send_by_kafka,
        administer,
        rest,
        restart,
    )
} | {f"{route['method']} {route['path']}": _documented(route) for route in ROUTES}
