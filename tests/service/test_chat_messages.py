"""/chat-messages shows every message as the callbacks did, with links that work."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from gateway.contract.callbacks import ReceivedCallback
from tests.fixtures.media import picture
from tests.fixtures.service import Client, NewHouse, RunningGateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.service.test_every_message import (
    FRIEND,
    GROUP,
    at_once,
    earlier_messages,
    examples,
    minimal,
    naming,
    post,
    with_files,
)

QUIET = {"GATEWAY_SANDBOX_RECEIPTS": "off", "GATEWAY_WEBHOOK_RETRY_BASE_SECONDS": "0.02"}
ENVELOPE = {
    field.alias or name for name, field in ReceivedCallback.model_fields.items()
} - ReceivedCallback.content_keys()
SAID_OF_A_SEND = (
    *("fromApi", "fromMe", "isGroup", "isNewsletter", "isStatusReply", "isEdit", "forwarded"),
    *("broadcast", "waitingMessage", "referenceMessageId", "chatLid", "senderLid", "type"),
)
OWN_LINK = re.compile(r"https?://[^/]+/media/[^/]+/[0-9a-f]{64}/.+signature=")


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(**QUIET) as gateway:
        yield gateway


async def messages_of(client: Client, chat: str, **query: Any) -> list[dict[str, Any]]:
    answer = await client.call("GET", f"/chat-messages/{chat}", params={"amount": 100, **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def content_of(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in ENVELOPE}


def comparable(value: Any) -> Any:
    """Removes links, which expire at another second, and the time of the record."""
    if isinstance(value, dict):
        without = {
            key: comparable(item)
            for key, item in value.items()
            if not (isinstance(item, str) and OWN_LINK.match(item)) and key != "time"
        }
        return {key: item for key, item in without.items() if item != {}}
    return [comparable(item) for item in value] if isinstance(value, list) else value


def links_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from links_in(item)
    elif isinstance(value, str) and OWN_LINK.match(value):
        yield value


async def echoes_of_every_send(
    client: Client, catcher: WebhookCatcher, database_url: str
) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Returns the chat, the type and the echo of the full example of each send, by id."""
    every = {"value": catcher.url, "notifySentByMe": True}
    await client.call("PUT", "/update-every-webhooks", json=every)
    earlier = await earlier_messages(client, database_url)
    made = await client.call("POST", "/create-newsletter", json={"name": "News"})
    sent = {}
    for send, which, example in examples():
        if which == "minimal":
            continue
        body = with_files(at_once(naming(example, earlier.get(send.kind(), earlier[""]))))
        if invite := body.get("adminInviteMessage"):
            body["adminInviteMessage"] = {**invite, "newsletterId": made.json()["id"]}
        message_id = await post(client, str(send.path), **body)
        sent[message_id] = (body.get("phone", "status@broadcast"), send.kind())

    def reported(c: WebhookCatcher) -> set[str]:
        return {body["messageId"] for body in c.of_type("DeliveryCallback")}

    await catcher.wait_for(lambda c: sent.keys() <= reported(c))
    last = await post(client, "/send-text", phone=FRIEND, message="the last one")
    await catcher.wait_for(lambda c: any(last in e.values() for e in c.of_type("ReceivedCallback")))
    echoes = {
        echo.get("editMessageId", echo["messageId"]): echo
        for echo in catcher.of_type("ReceivedCallback")
        if echo["fromApi"]
    }
    return {id_: (*named, echoes[id_]) for id_, named in sent.items() if id_ in echoes}


async def test_history_shows_each_send_as_its_echo_did(
    client: Client, catcher: WebhookCatcher, database_url: str
) -> None:
    echoes = await echoes_of_every_send(client, catcher, database_url)
    kinds = {send.kind() for send, _, _ in examples()}
    errors = [b for b in catcher.of_type("DeliveryCallback") if b.get("error")]
    assert errors == []
    assert kinds - {kind for _, kind, _ in echoes.values()} <= {"send-call"}

    chats = {chat for chat, _, _ in echoes.values()}
    shown = {m["messageId"]: m for chat in chats for m in await messages_of(client, chat)}
    wrong, links, edits = [], 0, set()
    for message_id, (chat, kind, echo) in echoes.items():
        message = shown[message_id]
        if comparable(content_of(message)) != comparable(content_of(echo)):
            wrong.append((kind, content_of(message), content_of(echo)))
        if echo["isEdit"]:  # its id in history is its own, so another key names the original
            assert message.pop("referenceMessageId") == echo["messageId"]
            edits.add(kind)
        said = [key for key in SAID_OF_A_SEND if message.get(key) != echo.get(key)]
        assert (kind, said, message["phone"]) == (kind, [], chat)
        assert "media:" not in json.dumps(message)
        for link in links_in(content_of(message)):
            links += 1
            file = await client.http.get(link)
            assert (kind, file.status_code, bool(file.content)) == (kind, 200, True)
    assert wrong == []
    assert edits
    assert links > 10


async def test_history_has_names_pictures_and_states(client: Client) -> None:
    await client.control("receive", phone=FRIEND, senderName="Ana", text="one")

    async def chat() -> list[dict[str, Any]]:
        return await messages_of(client, FRIEND)

    (first,) = await until(chat, lambda rows: bool(rows) and "photo" in rows[0])
    assert (first["text"], first["fromMe"], first["fromApi"]) == ({"message": "one"}, False, False)
    assert (first["chatName"], first["senderName"]) == ("Ana", "Ana")
    assert first["photo"] == first["senderPhoto"]
    assert "forwarded" not in first  # the history does not know it of a received message

    await minimal(client, "/send-text", phone=FRIEND, message="two")
    second, _ = await until(chat, lambda rows: len(rows) == 2)
    assert (second["text"], second["status"], second["fromMe"]) == (
        {"message": "two"},
        "SENT",
        True,
    )
    assert (second["chatName"], second["photo"]) == ("Ana", first["photo"])
    assert second["senderName"] == second["connectedPhone"] != FRIEND
    assert second["senderLid"].endswith("@lid")
    (before,) = await messages_of(client, FRIEND, lastMessageId=second["messageId"])
    assert before["messageId"] == first["messageId"]


async def test_history_of_a_group_names_the_author(client: Client) -> None:
    await client.control("receive", phone=FRIEND, chat=GROUP, senderName="Ana", text="hello all")

    async def chat() -> list[dict[str, Any]]:
        return await messages_of(client, GROUP)

    (message,) = await until(chat, bool)
    assert (message["isGroup"], message["participantPhone"]) == (True, FRIEND)
    assert message["senderName"] == "Ana"
    assert "chatName" not in message


async def test_links_of_received_files_are_renewed(client: Client, database_url: str) -> None:
    await client.control("receive", phone=FRIEND, image={"caption": "look"})

    async def chat() -> list[dict[str, Any]]:
        return await messages_of(client, FRIEND)

    (message,) = await until(chat, bool)
    link = message["image"]["imageUrl"]
    old = link.replace(urlsplit(link).netloc, "an-earlier-address.example")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            "update messages set payload = replace(payload::text, %s, %s)::jsonb"
            " where instance_id = %s",
            (link.partition("?")[0], old.partition("?")[0], client.demo.instance_id),
        )
    (again,) = await chat()
    assert again["image"]["caption"] == "look"
    renewed = again["image"]["imageUrl"]
    assert urlsplit(renewed).netloc == urlsplit(link).netloc
    assert (await client.http.get(renewed)).status_code == 200


async def test_row_that_cannot_be_read_leaves_the_others_readable(
    client: Client, database_url: str
) -> None:
    first = await minimal(client, "/send-text", phone=FRIEND, message="one")
    second = await minimal(client, "/send-image", **with_files({"image": "https://a/b.png"}))
    forward = {"phone": FRIEND, "messageId": first, "messagePhone": FRIEND}
    third = await post(client, "/forward-message", **forward)
    await client.sent_at_least(3)

    async def chat() -> list[dict[str, Any]]:
        return await messages_of(client, FRIEND)

    await until(chat, lambda rows: len(rows) == 3)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            "update messages set payload = payload - 'message' where message_id = %s", (first,)
        )
    shown = {message["messageId"]: message for message in await chat()}
    assert "cannot read" in shown[first]["error"]
    assert (shown[third]["fromApi"], content_of(shown[third])) == (True, {})
    assert (await client.http.get(shown[second]["image"]["imageUrl"])).content == picture()
