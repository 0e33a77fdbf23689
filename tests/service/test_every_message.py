"""Every message of the contract arrives at the simulated phone as its example shows."""

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb
from typer import echo

from gateway.contract.callbacks import received_kinds
from gateway.contract.catalogue import catalogue
from gateway.contract.send import OutgoingMessage
from gateway.providers.sandbox.stored_events import event_body
from gateway.sessions.provider import MessageReceived
from tests.fixtures.media import moving_picture, picture, sound, video
from tests.fixtures.service import (
    Client,
    NewHouse,
    RunningGateway,
    client_of,
    running_gateway,
    until,
)
from tests.fixtures.webhook_catcher import WebhookCatcher

FRIEND, GROUP = "5511999999999", "120363019502650977-group"
UNKNOWN = "3EB0577D10A2B4C6D8E9F1"
BUTTONS = {
    "buttonsMessage": {
        "message": "Great?",
        "buttons": [{"buttonId": "1", "type": 1, "buttonText": {"displayText": "Yes"}}],
    }
}
FILES = {
    "gif": moving_picture(),
    "mp3": sound(),
    "mp4": video(),
    "pdf": b"%PDF-1.4\n%%EOF\n",
    "png": picture(),
    "webp": picture("WEBP"),
}
SENT_TYPES = {
    FILES["gif"]: "video/mp4",
    FILES["mp3"]: "audio/ogg; codecs=opus",
    FILES["mp4"]: "video/mp4",
    FILES["pdf"]: "application/pdf",
    FILES["png"]: "image/png",
    FILES["webp"]: "image/webp",
}
PLANNED = {"GATEWAY_SANDBOX_RECEIPTS": "off"}
PROMPT = {"GATEWAY_SANDBOX_RECEIPTS": "0", "GATEWAY_WEBHOOK_RETRY_BASE_SECONDS": "0.02"}


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(**PLANNED) as gateway:
        yield gateway


def examples() -> Iterator[tuple[type[OutgoingMessage], str, Mapping[str, Any]]]:
    for _, send in sorted(catalogue().sends.items()):
        if send.example_minimal is not None:
            yield send, "minimal", send.example_minimal
        yield send, "full", send.example


def with_files(value: Any) -> Any:
    """Replaces every URL of a file by a file, except where the contract requires a URL."""
    if isinstance(value, dict):
        return {n: v if n.endswith("Url") else with_files(v) for n, v in value.items()}
    if isinstance(value, list):
        return [with_files(item) for item in value]
    if not isinstance(value, str) or not value.startswith("https://"):
        return value
    extension = value.rpartition(".")[2]
    if extension not in FILES:
        return value
    return f"data:application/octet-stream;base64,{base64.b64encode(FILES[extension]).decode()}"


async def post(client: Client, path: str, **body: Any) -> str:
    answer = await client.call("POST", path.format(**body), json=body)
    assert answer.status_code == httpx.codes.OK, answer.text
    accepted = answer.json()
    assert accepted["id"] == accepted["messageId"]
    assert accepted["zaapId"]
    message_id: str = accepted["messageId"]
    return message_id


async def minimal(client: Client, path: str, **values: Any) -> str:
    send = catalogue().sends[path.lstrip("/")]
    return await post(client, path, **{**(send.example_minimal or send.example), **values})


async def receive(client: Client, database_url: str, content: Mapping[str, Any], chat: str) -> str:
    """Sends a message to *chat*; returns once the gateway has stored it."""
    message_id = f"3EB0{len(str(content)):018X}"
    body = event_body(
        MessageReceived(
            provider_message_id=message_id,
            chat=chat,
            sender=FRIEND,
            sender_name="Ana",
            from_me=False,
            at=datetime.now(UTC),
            kind=next(iter(content)),
            content=content,
        )
    )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            "insert into sandbox.events (instance_id, due_at, body) values (%s, now(), %s)",
            (client.demo.instance_id, Jsonb(dict(body))),
        )

        async def kept() -> bool:
            cursor = await connection.execute(
                "select 1 from message_ids where message_id = %s", (message_id,)
            )
            return await cursor.fetchone() is not None

        await client.control("receive", phone=FRIEND, text="look")  # rings the engine
        await until(kept, bool)
    return message_id


async def earlier_messages(client: Client, database_url: str) -> Mapping[str, str]:
    """Returns an earlier message for each type that refers to one."""
    status = await receive(client, database_url, {"text": {"message": "up"}}, "status@broadcast")
    event = {"event": {"name": "Party", "scheduleTime": 1_900_000_000, "canceled": False}}
    buttons = await receive(client, database_url, BUTTONS, FRIEND)
    own = {
        "send-poll-vote": await minimal(client, "/send-poll"),
        "send-edit-event": await minimal(client, "/send-event"),
        "order-status-update": (order := await minimal(client, "/send-order")),
        "order-payment-update": order,
        "send-event-response": await receive(client, database_url, event, GROUP),
        **dict.fromkeys(("reply-button", "reply-template-button"), buttons),
        **dict.fromkeys(("reply-status-text", "reply-status-gif", "reply-status-sticker"), status),
    }
    return {"": await minimal(client, "/send-text"), **own}


def at_once(body: Mapping[str, Any]) -> dict[str, Any]:
    """Removes the delays and expiries, which other tests cover."""
    waits = {"delayMessage", "delayTyping", "scheduledFor", "expiresAt", "expiresIn"}
    return {name: value for name, value in body.items() if name not in waits}


def refers_to_another(body: Mapping[str, Any]) -> bool:
    return any(name.lower().endswith("messageid") for name in body)


def naming(body: Mapping[str, Any], message_id: str) -> dict[str, Any]:
    """Makes the body refer to that message."""
    return {n: message_id if refers_to_another({n: v}) else v for n, v in body.items()}


async def test_every_message_arrives_and_is_echoed(
    client: Client, database_url: str, catcher: WebhookCatcher
) -> None:
    everything = {"value": catcher.url, "notifySentByMe": True}
    await client.call("PUT", "/update-every-webhooks", json=everything)
    earlier = await earlier_messages(client, database_url)
    channel = (await client.call("POST", "/create-newsletter", json={"name": "News"})).json()["id"]
    asked = []
    for send, which, example in examples():
        body = with_files(at_once(naming(example, earlier.get(send.kind(), earlier[""]))))
        body["trackId"] = f"{send.kind()} {which}"
        if "adminInviteMessage" in body:
            body["adminInviteMessage"] = {**body["adminInviteMessage"], "newsletterId": channel}
        asked.append((send, which, body, await post(client, str(send.path), **body)))

    async def arrived() -> dict[str, Any]:
        return {row["messageId"]: row for row in await client.sent()}

    wanted = {message_id for *_, message_id in asked}
    seen = await until(arrived, lambda rows: wanted <= rows.keys())

    echo(f"\n{'type':30} {'example':8} {'chat':28} what arrived")
    for send, which, body, message_id in asked:
        row = seen[message_id]
        shown = {n: v for n, v in row["payload"].items() if n not in {"phone", "priority"}}
        echo(f"{send.path:30} {which:8} {row['phone']:28} {str(shown)[:90]}")
        assert (row["type"], row["seen"]) == (send.kind(), 1)
        assert row["phone"] == body.get("phone", "status@broadcast")
        assert body.keys() - {"messageId"} <= row["payload"].keys()
    await every_message_has_its_callbacks(client, catcher, asked)


async def every_message_has_its_callbacks(
    client: Client,
    catcher: WebhookCatcher,
    asked: list[tuple[type[OutgoingMessage], str, dict[str, Any], str]],
) -> None:
    """Each send has a DeliveryCallback, an echo and the state SENT, in this order."""
    wanted = {message_id for *_, message_id in asked}

    def with_state(c: WebhookCatcher) -> set[str]:
        states = c.of_type("MessageStatusCallback")
        return {b["messageId"] for b in states if b["status"] == "SENT"}

    await catcher.wait_for(lambda c: wanted <= with_state(c))
    callbacks = defaultdict[str, list[dict[str, Any]]](list)
    for posted in catcher.delivered:
        callbacks[posted.body.get("editMessageId", posted.body["messageId"])].append(posted.body)
    for send, _, body, message_id in asked:
        delivered, echoed, state, *receipts = callbacks[message_id]
        assert all(later["status"] in {"RECEIVED", "READ", "PLAYED"} for later in receipts)
        assert (delivered["type"], echoed["type"]) == ("DeliveryCallback", "ReceivedCallback")
        assert (state["type"], state["status"]) == ("MessageStatusCallback", "SENT")
        assert (state["ids"], state["phone"]) == ([message_id], delivered["phone"])
        assert [b["trackId"] for b in callbacks[message_id]] == [body["trackId"]] * (
            3 + len(receipts)
        )
        assert (echoed["fromMe"], echoed["fromApi"]) == (True, True)
        assert shown_by(echoed), send.path
        await files_are_downloaded(client, body, echoed)


def shown_by(echoed: Mapping[str, Any]) -> frozenset[str]:
    """The content of an echo."""
    keys = frozenset().union(*(kind.content_keys() for kind in received_kinds()))
    return keys & echoed.keys()


async def files_are_downloaded(
    client: Client, body: Mapping[str, Any], echoed: Mapping[str, Any]
) -> None:
    """Each file that the caller sent is at its link, and has the type that was sent."""
    given = [base64.b64decode(text.partition(",")[2]) for text in files_given(body)]
    shown = [file for file in files_shown(echoed) if "/media/" in file[0]]
    assert len(shown) == len(given)
    for content, (url, mime_type) in zip(given, shown, strict=True):
        answer = await client.http.get(url)
        assert (answer.status_code, answer.content) == (httpx.codes.OK, content)
        assert mime_type in {SENT_TYPES[content], None}


def files_given(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from files_given(item)
    elif isinstance(value, str) and value.startswith("data:"):
        yield value


def files_shown(value: Any) -> Iterator[tuple[str, str | None]]:
    """The address and the type of each file."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key.endswith("Url") and isinstance(item, str):
                yield item, value.get("mimeType")
            yield from files_shown(item)
    elif isinstance(value, list):
        for item in value:
            yield from files_shown(item)


async def test_unknown_message_is_named_by_id_or_refused_at_once(
    client: Client, catcher: WebhookCatcher
) -> None:
    await client.call("PUT", "/update-every-webhooks", json={"value": catcher.url})
    sent, refused = {}, {}
    for send, which, example in examples():
        if which != "full" or not refers_to_another(example):
            continue
        body = with_files(at_once(naming(example, UNKNOWN)))
        answer = await client.call("POST", str(send.path).format(**body), json=body)
        if answer.status_code == httpx.codes.OK:
            sent[answer.json()["messageId"]] = send.kind()
        else:
            refused[send.kind()] = (answer.status_code, answer.json()["error"])
    await catcher.wait_for(lambda c: len(c.of_type("DeliveryCallback")) == len(sent))

    assert {callback.get("error") for callback in catcher.of_type("DeliveryCallback")} == {None}
    quoted = {row["messageId"]: row["payload"] for row in await client.sent()}
    assert all(UNKNOWN in quoted[message_id].values() for message_id in sent)
    sentence = "is no message that this instance has sent or received"
    assert refused == {
        "forward-message": (400, f"messageId: {sentence}"),
        "reply-button": (400, f"messageId: {sentence}"),
        "reply-template-button": (400, f"messageId: {sentence}"),
        "send-poll-vote": (400, f"pollMessageId: {sentence}"),
        "send-edit-event": (400, f"eventMessageId: {sentence}"),
        "send-event-response": (400, f"eventMessageId: {sentence}"),
    }


async def test_unknown_message_of_a_group_needs_its_author(client: Client) -> None:
    reaction = {"phone": GROUP, "messageId": UNKNOWN, "reaction": "\U0001f44d"}
    refused = await client.call("POST", "/send-reaction", json=reaction)
    assert refused.status_code == 400
    assert refused.json()["error"].endswith(
        "name its author in participantPhone, or say owner: true"
    )
    await post(client, "/send-reaction", **reaction, participantPhone=FRIEND)
    await post(client, "/send-text", phone=GROUP, messageId=UNKNOWN, message="Hi")
    await client.sent_at_least(2)
    (text,) = (row["payload"] for row in await client.sent() if row["type"] == "send-text")
    assert "messageId" not in text


async def test_message_in_the_queue_can_be_forwarded(client: Client) -> None:
    await client.call("POST", "/queue/pause")
    original = await minimal(client, "/send-text")
    await minimal(client, "/forward-message", messageId=original)
    await client.call("POST", "/queue/resume")
    await client.sent_at_least(2)


async def test_omitted_quote_sends_the_reply_without_it(tmp_path: Path, database_url: str) -> None:
    settings = {**PLANNED, "GATEWAY_UNKNOWN_QUOTE": "omit"}
    with running_gateway(tmp_path, database_url, **settings) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await post(client, "/send-text", phone=FRIEND, messageId=UNKNOWN, message="Hi")
            await client.sent_at_least(1)
            await client.call("PUT", "/queue/settings", json={"unknownQuote": "quote"})
            await post(client, "/send-text", phone=FRIEND, messageId=UNKNOWN, message="Hi")
            await client.sent_at_least(2)
            rows = await client.sent()
    assert [row["payload"].get("messageId") for row in rows] == [None, UNKNOWN]


async def test_marks_show_what_a_message_did_to_an_earlier_one(
    client: Client, database_url: str
) -> None:
    text = await minimal(client, "/send-text", phone=FRIEND)
    poll = await minimal(client, "/send-poll")
    order = await minimal(client, "/send-order")
    event = await minimal(client, "/send-event")
    status = await receive(client, database_url, {"text": {"message": "up"}}, "status@broadcast")

    await minimal(client, "/send-text", phone=FRIEND, message="Better", editMessageId=text)
    await minimal(client, "/send-reaction", messageId=text, reaction="\U0001f44d")
    await minimal(
        client, "/pin-message", messageId=text, messageAction="pin", pinMessageDuration="24_hours"
    )
    await minimal(client, "/send-reaction", messageId=status, reaction="\U0001f44d")
    await minimal(client, "/send-poll-vote", pollMessageId=poll, pollVote=[{"name": "Blue"}])
    await minimal(client, "/order-payment-update", messageId=order, paymentStatus="paid")
    await minimal(client, "/send-edit-event", eventMessageId=event)
    image = await minimal(client, "/send-image", **with_files({"image": "https://x/a.png"}))
    await post(client, "/send-image", phone=FRIEND, caption="Better", editImageMessageId=image)
    await client.sent_at_least(13)
    marks = {row["messageId"]: row["marks"] for row in await client.sent()}

    assert marks[text] == {
        "content": {"message": "Better"},
        "edited": True,
        "reactions": {"me": "\U0001f44d"},
        "pinnedSeconds": 86_400,
    }
    assert marks[image] == {"content": {"caption": "Better"}, "edited": True}
    assert marks[poll] == {"votes": {"me": ["Blue"]}}
    assert marks[order]["content"]["paymentStatus"] == "paid"
    assert marks[event]["edited"] is True

    await minimal(client, "/send-remove-reaction", messageId=text)
    await minimal(client, "/pin-message", messageId=text, messageAction="unpin")
    await client.sent_at_least(15)
    marks = {row["messageId"]: row["marks"] for row in await client.sent()}
    assert marks[text] == {"content": {"message": "Better"}, "edited": True, "reactions": {}}
    all_marks = (await client.http.get(f"{client.sandbox}/marks")).json()
    assert {"messageId": status, "marks": {"reactions": {"me": "\U0001f44d"}}} in all_marks


async def test_message_is_deleted_in_queue_or_chat(client: Client, database_url: str) -> None:
    async def delete(message_id: str, owner: str) -> httpx.Response:
        named = {"messageId": message_id, "phone": FRIEND, "owner": owner}
        return await client.call("DELETE", "/messages", params=named)

    tomorrow = datetime.now(UTC) + timedelta(days=1)
    waiting = await minimal(client, "/send-text", scheduledFor=tomorrow.isoformat())
    sent = await minimal(client, "/send-text")
    received = await receive(client, database_url, {"text": {"message": "hi"}}, FRIEND)
    await client.sent_at_least(1)

    assert [(await delete(m, "true")).status_code for m in (waiting, sent)] == [204, 204]
    assert (await delete(received, "false")).status_code == 204
    assert (await client.call("GET", "/queue")).json() == []
    assert (await client.sent())[0]["marks"] == {"deleted": True}
    assert (await delete(waiting, "true")).json()["error"] == "The message is canceled"
    assert (await delete(sent, "false")).json()["error"] == "owner: must be true for this message"
    assert [(await delete("3EB0", owner)).status_code for owner in ("true", "false")] == [204, 204]
    assert (await client.call("DELETE", "/messages")).status_code == 400


async def test_message_is_deleted_for_the_caller_alone(client: Client) -> None:
    sent = await minimal(client, "/send-text")
    await client.sent_at_least(1)

    named = {"messageId": sent, "phone": FRIEND, "owner": "true", "deleteForMe": "true"}
    assert (await client.call("DELETE", "/messages", params=named)).status_code == 204
    assert (await client.sent())[0]["marks"] == {"hidden": True}


async def test_several_messages_are_marked_as_read(client: Client, database_url: str) -> None:
    received = [
        await receive(client, database_url, {"text": {"message": text}}, FRIEND)
        for text in ("one", "three")
    ]
    own = await minimal(client, "/send-text")

    body = {"phone": FRIEND, "messageIds": [*received, own]}
    assert (await client.call("POST", "/read-message", json=body)).status_code == 204
    marks = (await client.http.get(f"{client.sandbox}/marks")).json()
    assert sorted(row["messageId"] for row in marks) == sorted(received)
    assert all(row["marks"] == {"read": True} for row in marks)


async def test_tapped_button_must_be_offered(
    client: Client, database_url: str, catcher: WebhookCatcher
) -> None:
    await client.call("PUT", "/update-webhook-delivery", json={"value": catcher.url})
    buttons = await receive(client, database_url, BUTTONS, FRIEND)
    own = await minimal(client, "/send-text")

    for message_id, button in ((buttons, "2"), (own, "1")):
        await minimal(client, "/reply-button", messageId=message_id, responseButtonId=button)
    await catcher.wait_for(lambda c: len(c.of_type("DeliveryCallback")) == 3)

    errors = [callback.get("error") for callback in catcher.of_type("DeliveryCallback")]
    assert errors == [
        None,
        f"message {buttons} offers no button '2'",
        f"message {own} was sent by this number",
    ]


async def test_message_is_marked_as_read(client: Client, database_url: str) -> None:
    async def read(message_id: str) -> int:
        body = {"phone": FRIEND, "messageId": message_id}
        return (await client.call("POST", "/read-message", json=body)).status_code

    received = await receive(client, database_url, {"text": {"message": "hi"}}, FRIEND)
    own = await minimal(client, "/send-text")

    assert [await read(m) for m in (received, own, "3EB0")] == [204, 204, 204]
    marks = (await client.http.get(f"{client.sandbox}/marks")).json()
    assert {mark["messageId"] for mark in marks} == {received, "3EB0"}
    assert all(mark["marks"] == {"read": True} for mark in marks)


async def test_unknown_message_of_a_group_is_read_with_its_author(client: Client) -> None:
    body = {"phone": GROUP, "messageId": "3EB0"}
    refused = await client.call("POST", "/read-message", json=body)
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        "participantPhone: is required, because this message of a group is not known here",
    )
    named = {**body, "participantPhone": FRIEND}
    assert (await client.call("POST", "/read-message", json=named)).status_code == 204


async def test_simulated_readers_answer(
    tmp_path: Path, database_url: str, catcher: WebhookCatcher
) -> None:
    asking = {
        "/send-poll": "pollVote",
        "/send-button-list": "buttonsResponseMessage",
        "/send-button-actions": "buttonsResponseMessage",
        "/send-option-list": "listResponseMessage",
        "/send-event": "eventResponse",
    }
    with running_gateway(tmp_path, database_url, **PROMPT) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.call("PUT", "/update-every-webhooks", json={"value": catcher.url})
            for path in asking:
                for _ in range(8):  # not everybody reads everything
                    await minimal(client, path)
            kinds = set(asking.values())
            await catcher.wait_for(lambda c: all(map(_answers(c).count, kinds)))


def _answers(catcher: WebhookCatcher) -> list[str]:
    return [key for body in catcher.of_type("ReceivedCallback") for key in body]
