"""Scenes with messages: sent, received, changed, failed and read."""

import asyncio
import base64
import uuid
from datetime import UTC, datetime, timedelta

import httpx

from tests.campaigns.tour import ANA, BEN, RETRY_SECONDS, Tour
from tests.fixtures.media import file, file_server, picture
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import until
from tests.service.test_kafka import SEND, event


async def send_texts(tour: Tour) -> None:
    first = await tour.send(delayTyping=1)
    await tour.send("answer", messageId=first)
    headers = {"Prefer": "wait=5"}
    body = {"phone": ANA, "message": tour.text("awaited")}
    awaited = await tour.line.call("POST", "/send-text", json=body, headers=headers)
    tour.line.accepted.append(awaited.json()["messageId"])
    for action in ("sent", "marks"):
        await tour.line.insist("GET", f"{tour.line.sandbox}/{action}")


async def exchange(tour: Tour) -> None:
    """A text each way: the shortest scene with a message, an event and their callbacks."""
    await tour.send()
    await receive(tour)


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

    async def stored() -> list[tuple[object, ...]]:
        # A file that a queued message still names gets another day, so this is repeated.
        await tour.operator.execute("update media set expires_at = '-infinity'")
        return await tour.rows("select from media union all select from media_leftovers")

    await until(stored, lambda found: not found)


async def await_file(tour: Tour) -> None:
    """A picture comes only after a text to another person has passed it."""
    passed = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        await passed.wait()
        await file(picture())(writer)

    async with file_server() as server:
        image = server.put("/late.png", answer)
        sent = await tour.line.post("/send-image", {"phone": ANA, "image": image})
        tour.line.accepted.append(sent["messageId"])
        await tour.send("passes", phone=BEN)
        passed.set()
        await tour.arrived(sent["messageId"])


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
            await asyncio.sleep(RETRY_SECONDS)
