"""Scenes with messages: sent, received, changed, failed and read."""

import asyncio
import base64
import json
import uuid
from datetime import UTC, datetime, timedelta

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.campaigns.tour import ANA, BEN, RETRY_SECONDS, Tour
from tests.fixtures.media import file, file_server, picture
from tests.service.test_kafka import SEND, event


async def send_texts(tour: Tour) -> None:
    first = await tour.send(delayTyping=1)
    await tour.send("answer", messageId=first)
    headers = {"Prefer": "wait=5"}
    body = {"phone": ANA, "message": tour.text("awaited")}
    await tour.line.post_counted("/send-text", body, headers)
    for action in ("sent", "marks"):
        await tour.line.insist("GET", f"{tour.line.sandbox}/{action}")


async def exchange(tour: Tour) -> None:
    """A text each way: the shortest scene with a message, an event and their callbacks."""
    await tour.send()
    await receive(tour)


async def vote(tour: Tour) -> None:
    """Sends a poll and a vote in it: the gateway must know the poll."""
    options = [{"name": "yes"}, {"name": "no"}]
    poll = {"phone": ANA, "message": tour.text("poll"), "poll": options}
    sent = await tour.line.post_counted("/send-poll", poll)
    choice = {"phone": ANA, "pollMessageId": sent["messageId"], "pollVote": options[:1]}
    await tour.line.post("/send-poll-vote", choice)


async def schedule(tour: Tour) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    await tour.send("scheduled", scheduledFor=at)


async def receive(tour: Tour) -> None:
    name = uuid.uuid4().hex
    await tour.line.control("receive", phone=ANA, text=tour.text("hello"), messageId=name)
    await tour.posted("ReceivedCallback", name)


async def receive_early(tour: Tour) -> None:
    """A receipt overtakes the record of its message, and waits for it."""
    await tour.line.control("faults", next=[{"fault": "slow", "seconds": 2}])
    message_id = (await tour.line.send_text(tour.text("slow")))["messageId"]
    started = "select from message_queue where message_id = %s and attempt_started_at is not null"
    await tour.until(lambda: tour.rows(started, message_id), bool)
    await tour.line.control("receipt", phone=ANA, messageIds=[message_id], status="read")
    await tour.arrived(message_id)


async def receive_others(tour: Tour) -> None:
    """Somebody whom no scene has met is looked up, is known by a LID, and then by a phone."""
    person = tour.person()
    lid = f"81896{person}@lid"
    known = await tour.send(phone=person)
    await tour.line.control("receive", phone=lid, text=tour.text("by a LID"))
    await tour.line.control("identity", lid=lid, phone=person, name="Ana")
    await tour.line.control("presence", phone=person, status="composing")
    await tour.line.control("call", phone=person)
    await tour.line.control("notification", phone=person, code="PROFILE_PICTURE_UPDATED")
    await tour.line.control("receipt", phone=person, messageIds=[known], status="read")
    chat = {"phone": person, "lastMessageAt": datetime.now(UTC).isoformat(), "unread": 2}
    await tour.line.control("history", chats=[chat])
    edited = (await tour.line.control("receive", phone=ANA, text="first"))["messageId"]
    await tour.line.control("receive", phone=ANA, text="edited", edit=True, refersTo=edited)
    await receive(tour)


async def receive_file(tour: Tour) -> None:
    source = base64.b64encode(picture()).decode()
    name = uuid.uuid4().hex
    await tour.line.control("receive", phone=ANA, messageId=name, image={"source": source})
    await tour.posted("ReceivedCallback", name)
    link = next(b for b in tour.catcher.of_type("ReceivedCallback") if b.get("messageId") == name)
    await tour.line.http.get(link["image"]["imageUrl"])
    await tour.line.call("GET", f"/chat-messages/{ANA}")


async def receive_card(tour: Tour) -> None:
    """A contact card, whose name is stored with its number."""
    name = uuid.uuid4().hex
    card = {"displayName": "Eve", "vCard": "BEGIN:VCARD\nFN:Eve\nEND:VCARD", "phones": [BEN]}
    await tour.line.control("receive", phone=ANA, messageId=name, contact=card)
    await tour.posted("ReceivedCallback", name)


async def send_file(tour: Tour) -> None:
    """Sends a picture, which then expires."""
    color = f"#{next(tour.numbers):06x}"
    image = "data:image/png;base64," + base64.b64encode(picture(color=color)).decode()
    sent = await tour.line.post_counted("/send-image", {"phone": ANA, "image": image})
    await tour.arrived(sent["messageId"])

    async def stored() -> list[tuple[object, ...]]:
        # A file that a queued message still names gets another day, so this is repeated.
        await tour.operator.execute("update media set expires_at = '-infinity'")
        return await tour.rows("select from media union all select from media_leftovers")

    await tour.until(stored, lambda found: not found)


async def await_file(tour: Tour) -> None:
    """A picture comes only after a text to another person has passed it."""
    passed = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        await passed.wait()
        await file(picture())(writer)

    async with file_server() as server:
        image = server.put("/late.png", answer)
        sent = await tour.line.post_counted("/send-image", {"phone": ANA, "image": image})
        await tour.send("passes", phone=BEN)
        passed.set()
        await tour.arrived(sent["messageId"])


async def fail(tour: Tour) -> None:
    """The provider fails in each of the ways that a worker tells apart."""
    await tour.line.control("faults", next=["transient"])
    await tour.send("busy")
    await tour.line.control("faults", next=[{"fault": "restricted_until", "seconds": 1}])
    await tour.send("restricted")
    first_contacts = {"fault": "restricted_until", "seconds": 1, "reach": "first_contacts"}
    await tour.line.control("faults", next=[first_contacts])
    await tour.send("withheld")
    await tour.line.control("faults", next=["permanent"])
    refused = await tour.line.send_text(tour.text("refused"))

    async def status() -> str:
        answer = await tour.line.call("GET", f"/queue/{refused['zaapId']}")
        return str(answer.json().get("status"))

    await tour.until(status, lambda seen: seen in {"failed", "sent"})
    await tour.line.call("GET", "/queue/failed")
    await tour.line.call("GET", "/queue/failed", params={"latestFirst": "true"})
    await tour.line.call("GET", "/queue/matching")
    await tour.line.call("POST", f"/queue/{refused['zaapId']}/retry")
    await tour.arrived(refused["messageId"])


async def change_messages(tour: Tour) -> None:
    """Marks a message of another instance as read, and deletes an own one, sent and waiting."""
    own = (await tour.line.call("GET", "/device")).json()["phone"]
    other = (await tour.neighbor.call("GET", "/device")).json()["phone"]
    body = {"phone": own, "message": tour.text("to a neighbor")}
    sent = (await tour.neighbor.post("/send-text", body))["messageId"]
    await tour.posted("ReceivedCallback", sent)
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
    await tour.line.call("GET", "/messages", params={"phone": BEN})


async def send_by_kafka(tour: Tour) -> None:
    """Sends by two records, one of which names the account and the instance as people do."""
    assert tour.producer is not None
    texts = [tour.text("by kafka"), tour.text("by a name")]
    named = {"userId": "Demo", "instanceName": tour.line.demo.instance_id, "phoneNumber": ANA}
    flat = json.dumps({**named, "message": texts[1]}).encode()
    for record in (event(tour.line, texts[0]), flat, b"no json"):
        await tour.producer.send_and_wait(SEND, record)
    await tour.until(
        lambda: tour.rows(
            "select message_id from sandbox.sent where payload ->> 'message' = any(%s)", texts
        ),
        lambda found: len(found) == len(texts),
    )


async def follow_events(tour: Tour) -> None:
    """A caller reads the stream of events until its message is in it."""
    await _follow(tour)


async def follow_old_events(tour: Tour) -> None:
    """The caller got its last event from the release before: it names a transaction."""
    ((transaction,),) = await tour.rows("select pg_current_xact_id()::text")
    await _follow(tour, **{"Last-Event-ID": f"{transaction}-0"})


async def _follow(tour: Tour, **headers: str) -> None:
    headers["Authorization"] = f"Bearer {tour.line.demo.client_token}"
    async with asyncio.timeout(tour.patience_seconds):
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


async def follow_events_by_socket(tour: Tour) -> None:
    """A page reads the events; it begins each connection with a ticket."""
    url = tour.line.demo.base_url.replace("http", "ws") + "/events/ws?ticket="
    async with asyncio.timeout(tour.patience_seconds):
        while True:
            ticket = (await tour.partner("POST", "/events/ticket")).json()["ticket"]
            try:
                async with connect(url + ticket) as socket:
                    sent = await tour.line.send_text(tour.text("followed"))
                    while sent["messageId"] not in str(await socket.recv()):
                        pass
                    return
            except (OSError, InvalidStatus, ConnectionClosed):
                await asyncio.sleep(RETRY_SECONDS)
