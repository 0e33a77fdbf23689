"""An account whose content is encrypted: no table shows it, and everything works as without."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gateway.contract.catalogue import catalogue
from tests.fixtures.event_stream import stream_of
from tests.fixtures.media import picture
from tests.fixtures.service import (
    Client,
    RunningGateway,
    client_of,
    run_command,
    running_gateway,
    until,
)
from tests.fixtures.stored_content import holding, stored
from tests.fixtures.webhook_catcher import WebhookCatcher

FRIEND, MARK, PLAIN = "5511999999999", "Quartzomen", "Limpidfjord"
KINDS = (
    "send-text",
    "send-image",
    "send-document",
    "send-link",
    "send-location",
    "send-contact",
    "send-contacts",
    "send-poll",
    "send-button-list",
    "send-button-actions",
    "send-option-list",
    "send-carousel",
    "send-text-status",
)
WORDS = frozenset({"message", "caption", "title", "footer", "label", "name", "description"})
NAMES = WORDS | {"fileName", "text", "contactName", "linkDescription", "buttonLabel", "address"}
FILES = {
    "image": f"data:image/png;base64,{base64.b64encode(picture()).decode()}",
    "document": f"data:application/pdf;base64,{base64.b64encode(b'%PDF-1.4').decode()}",
}
QUICK = {
    "GATEWAY_WEBHOOK_RETRY_BASE_SECONDS": "0.02",
    "GATEWAY_WEBHOOK_MAX_ATTEMPTS": "2",
    "GATEWAY_SANDBOX_RECEIPTS": "0",
    "GATEWAY_SANDBOX_ANSWERS": "false",
}


def marked(value: Any, name: str = "") -> Any:
    """Puts the mark into every text of an example that a person writes, and files for URLs."""
    if name in FILES:
        return FILES[name]
    if isinstance(value, dict):
        return {key: marked(item, key) for key, item in value.items() if key != "messageId"}
    if isinstance(value, list | tuple):
        return [marked(item, name) for item in value]
    return f"{MARK} {value}" if name in NAMES and isinstance(value, str) else value


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields a send of each kind that needs nothing but a phone, with the mark in its texts."""
    sends = catalogue().sends
    for kind in KINDS:
        body = marked(dict(sends[kind].example)) | {"phone": FRIEND}
        body |= {"extension": "pdf"} if "document" in body else {}
        yield kind, {name: value for name, value in body.items() if not name.startswith("delay")}


async def set_encryption(client: Client, value: str) -> dict[str, Any]:
    answer = await client.http.put(
        "/account/payload-encryption", headers=partner(client), json={"value": value}
    )
    assert answer.status_code == httpx.codes.OK, answer.text
    state: dict[str, Any] = answer.json()
    return state


def partner(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.demo.partner_token}"}


async def got(client: Client, path: str, **query: Any) -> Any:
    answer = await client.call("GET", path, params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def hook(client: Client, catcher: WebhookCatcher) -> None:
    await client.call(
        "PUT", "/update-every-webhooks", json={"value": catcher.url, "notifySentByMe": True}
    )


@pytest.fixture
async def quick(tmp_path: Path, database_url: str) -> AsyncIterator[Client]:
    """A client of the demo of a gateway whose callbacks are given up soon."""
    with running_gateway(tmp_path, database_url, **QUICK) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            yield client


async def test_no_table_shows_what_people_write(
    quick: Client, database_url: str, catcher: WebhookCatcher
) -> None:
    client = quick
    await client.send_text(PLAIN)
    await client.sent_at_least(1)
    assert holding(await stored(database_url), PLAIN), "the search finds plain text"
    assert (await set_encryption(client, "on"))["encrypts"] is True
    catcher.text = f"{MARK} was refused"
    catcher.answer = lambda _number: 410
    await hook(client, catcher)

    async with stream_of(client) as events:
        await client.call("POST", "/queue/pause")
        sends = list(bodies())
        for kind, body in sends:
            answer = await client.call("POST", f"/{kind}", json=body)
            assert answer.status_code == httpx.codes.OK, (kind, answer.text)
        await client.send_text(
            f"{MARK} later", scheduledFor=(datetime.now(UTC) + timedelta(days=1)).isoformat()
        )
        assert holding(await stored(database_url), MARK) == set(), "messages that wait"

        await client.call("POST", "/queue/resume")
        await until(lambda: got(client, "/queue"), lambda waiting: len(waiting) == 1)
        assert (await got(client, "/queue/failed"))["messages"] == []
        journal = await client.sent()
        assert len(journal) == 1 + len(sends)
        for row in journal[1:]:
            assert MARK in json.dumps(row["payload"]), row["type"]
        text = next(row for row in journal if row["type"] == "send-text" and row["number"] > 1)
        await act_on(client, text["messageId"])
        await client.sent_at_least(1 + len(sends) + 4)
        await receive(client)
        await until(
            lambda: got(client, f"/chat-messages/{FRIEND}", amount=100),
            lambda seen: f"{MARK} corrected" in json.dumps(seen),
        )
        await fail_one(client)
        while MARK not in json.dumps((await anext(events)).data):
            pass

    await until(lambda: got(client, "/dlq/events"), lambda page: page["total"] >= 5)
    await client.call("POST", f"/chats/{FRIEND}/notes", json={"notes": f"{MARK} note"})
    await client.call(
        "PUT", f"/contacts/{FRIEND}/consent", json={"status": "granted", "note": f"{MARK} said so"}
    )

    columns = await stored(database_url)
    assert holding(columns, MARK) == set()
    for table in ("messages.payload", "webhook_events.body", "webhook_dead_letters.body"):
        assert '"sealed' in columns[table].replace("\\", ""), table
    await look_at_everything(client)


async def act_on(client: Client, message_id: str) -> None:
    """Answers, edits, reacts to and forwards a message."""
    for path, body in (
        ("/send-text", {"message": f"{MARK} answer", "messageId": message_id}),
        ("/send-text", {"message": f"{MARK} edited", "editMessageId": message_id}),
        ("/send-reaction", {"reaction": "\U0001f44d", "messageId": message_id}),
        ("/forward-message", {"messageId": message_id, "messagePhone": FRIEND}),
    ):
        answer = await client.call("POST", path, json={"phone": FRIEND, **body})
        assert answer.status_code == httpx.codes.OK, answer.text


async def receive(client: Client) -> None:
    image = FILES["image"]
    first = await client.control("receive", phone=FRIEND, text=f"{MARK} hello")
    await client.control(
        "receive", phone=FRIEND, image={"imageUrl": image, "caption": f"{MARK} seen"}
    )
    await client.control(
        "receive",
        phone=FRIEND,
        document={"documentUrl": image, "fileName": f"{MARK}.pdf", "caption": f"{MARK} read"},
    )
    await client.control(
        "receive",
        phone=FRIEND,
        poll={"question": f"{MARK}?", "pollMaxOptions": 0, "options": [{"name": f"{MARK} one"}]},
    )
    # An edit that came before its message is recorded would be a message of its own.
    await until(
        lambda: got(client, f"/chat-messages/{FRIEND}", amount=100),
        lambda seen: sum(not m["fromMe"] for m in seen) == 4,
    )
    await client.control(
        "receive",
        phone=FRIEND,
        text=f"{MARK} corrected",
        edit=True,
        refersTo=first["messageId"],
    )


async def fail_one(client: Client) -> None:
    """Leaves a dead letter in the queue, whose error quotes an option of a poll."""
    poll = await client.call(
        "POST",
        "/send-poll",
        json={"phone": FRIEND, "message": "?", "poll": [{"name": "a"}, {"name": "b"}]},
    )
    await client.call(
        "POST",
        "/send-poll-vote",
        json={
            "phone": FRIEND,
            "pollMessageId": poll.json()["messageId"],
            "pollVote": [{"name": f"{MARK} none of them"}],
        },
    )
    failed = await until(lambda: got(client, "/queue/failed"), lambda page: page["messages"])
    assert MARK in failed["messages"][0]["error"]


async def look_at_everything(client: Client) -> None:
    """Every reader shows the content."""
    waiting = await got(client, "/queue")
    assert [item["Message"] for item in waiting] == [f"{MARK} later"]
    history = await got(client, "/messages", pageSize=100)
    assert f"{MARK} answer" in {message["message"] for message in history["messages"]}
    chat = json.dumps(await got(client, f"/chat-messages/{FRIEND}", amount=100))
    assert f"{MARK} corrected" in chat
    assert f"{MARK}.pdf" in chat
    assert MARK in (await got(client, f"/chats/{FRIEND}"))["notes"]["content"]
    assert MARK in (await got(client, f"/contacts/{FRIEND}/consent"))["note"]
    deliveries = await got(client, "/webhooks/deliveries")
    assert MARK in deliveries["deliveries"][0]["answer"]
    letters = await got(client, "/dlq/events", pageSize=100)
    assert MARK in json.dumps(letters["events"])
    marks = (await client.http.get(f"{client.sandbox}/marks")).json()
    assert f"{MARK} edited" in json.dumps(marks, ensure_ascii=False)
    stats = await got(client, "/queue/stats")
    assert stats["queueLength"] == 1


async def test_callbacks_are_posted_replayed_and_retried_as_they_were(
    quick: Client, catcher: WebhookCatcher
) -> None:
    client = quick
    await set_encryption(client, "on")
    catcher.answer = lambda number: 410 if number == 0 else 200
    await hook(client, catcher)

    await client.control("receive", phone=FRIEND, text=f"{MARK} one")
    await until(lambda: got(client, "/dlq/events"), lambda page: page["total"] == 1)
    await client.control("receive", phone=FRIEND, text=f"{MARK} two", senderName="Ana")
    await client.send_text(f"{MARK} three", trackId="order 3")
    await catcher.wait_for(lambda c: len(c.of_type("ReceivedCallback")) == 2)

    two, echo = sorted(catcher.of_type("ReceivedCallback"), key=lambda body: body["fromMe"])
    assert two["text"] == {"message": f"{MARK} two"}
    assert two["senderName"] == "Ana"
    assert echo["text"] == {"message": f"{MARK} three"}
    assert echo["fromMe"] is True
    assert echo["connectedPhone"]
    assert not {"sealed", "sealedFiles"} & {*two, *echo}
    assert echo["trackId"] == "order 3"
    (found,) = (await got(client, "/messages", trackId="order 3"))["messages"]
    assert (found["message"], found["trackId"]) == (f"{MARK} three", "order 3")

    assert (await client.call("POST", "/dlq/retry-all")).json()["retried_count"] == 1
    await catcher.wait_for(lambda c: len(c.of_type("ReceivedCallback")) == 3)
    assert catcher.of_type("ReceivedCallback")[2]["text"] == {"message": f"{MARK} one"}
    replayed = await client.call("POST", "/webhooks/replay", json={"from": "2020-01-01T00:00:00Z"})
    assert replayed.json()["replayed"] >= 3
    await catcher.wait_for(lambda c: len(c.of_type("ReceivedCallback")) == 6)
    again = [body["text"]["message"] for body in catcher.of_type("ReceivedCallback")[3:]]
    assert sorted(again) == [f"{MARK} one", f"{MARK} three", f"{MARK} two"]


async def test_content_that_no_key_opens_fails_alone(
    client: Client, gateway: RunningGateway, operator: AsyncConnection
) -> None:
    await set_encryption(client, "on")
    await client.call("POST", "/queue/pause")
    lost, good = [await client.send_text(f"{MARK} {n}") for n in range(2)]
    strange = Jsonb({"sealed": f"0badcafe.{base64.b64encode(bytes(64)).decode()}"})
    change = "update message_queue set payload = %s where message_id = %s returning payload"
    held = await _payload_of(operator, lost["messageId"])
    await operator.execute(change, [strange, lost["messageId"]])
    await client.call("POST", "/queue/resume")

    (sent,) = await client.sent_at_least(1)

    assert sent["messageId"] == good["messageId"]
    failed = (await got(client, "/queue/failed"))["messages"]
    assert [message["messageId"] for message in failed] == [lost["messageId"]]
    assert "under key 0badcafe, which GATEWAY_SECRET_KEY does not hold" in failed[0]["error"]
    assert MARK not in gateway.log

    await operator.execute(change, [Jsonb(held), lost["messageId"]])
    await client.call("POST", f"/queue/{lost['zaapId']}/retry")
    assert (await client.sent_at_least(2))[1]["payload"]["message"] == f"{MARK} 0"


async def test_content_moved_to_another_instance_does_not_open(
    client: Client, operator: AsyncConnection, host: RunningGateway
) -> None:
    await set_encryption(client, "on")
    await client.control("receive", phone=FRIEND, text=f"{MARK} one")
    await until(lambda: got(client, f"/chat-messages/{FRIEND}"), lambda seen: len(seen) == 1)
    made = await client.http.post(
        "/instances/integrator/on-demand", headers=partner(client), json={"name": "Other"}
    )
    other = made.json()

    await operator.execute("update messages set instance_id = %s", [other["id"]])

    path = f"/instances/{other['id']}/token/{other['token']}/chat-messages/{FRIEND}"
    (shown,) = (await client.http.get(path)).json()
    assert shown["error"] == "The encrypted content is damaged or belongs to another instance"
    assert MARK not in json.dumps(shown)
    assert host.process is not None


async def test_callback_that_no_key_opens_becomes_a_dead_letter(
    client: Client, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    await set_encryption(client, "on")
    catcher.answer = lambda _number: 500
    await hook(client, catcher)
    for n in range(2):
        await client.control("receive", phone=FRIEND, text=f"{MARK} {n}")
    strange = json.dumps({"sealed": f"0badcafe.{base64.b64encode(bytes(64)).decode()}"})
    await until(
        lambda: _count(
            operator, "select count(*) from webhook_outbox where type = 'ReceivedCallback'"
        ),
        lambda count: count == 2,
    )
    await operator.execute(
        "update webhook_outbox set body = %s where position = (select min(position) from"
        " webhook_outbox where type = 'ReceivedCallback') and type = 'ReceivedCallback'",
        [strange],
    )
    await client.call("PUT", "/update-every-webhooks", json={"value": catcher.url})  # due now

    # An attempt may have read the body before it was changed: refused until the letter is there.
    dead = await until(lambda: got(client, "/dlq/events"), lambda listed: bool(listed["events"]))
    catcher.answer = lambda _number: 200
    await client.call("PUT", "/update-every-webhooks", json={"value": catcher.url})
    await catcher.wait_for(lambda c: bool(c.of_type("ReceivedCallback")))

    assert [b["text"]["message"] for b in catcher.of_type("ReceivedCallback")] == [f"{MARK} 1"]
    (letter,) = dead["events"]
    assert "under key 0badcafe" in letter["failure_reason"]
    assert "0badcafe" in letter["original_payload"]["error"]


async def test_command_line_shows_and_changes_the_rule(
    client: Client, gateway: RunningGateway
) -> None:
    path = "/account/payload-encryption"

    async def state() -> Any:
        return (await client.http.get(path, headers=partner(client))).json()

    def encryption(*rule: str) -> str:
        where = {**gateway.environment, "GATEWAY_ENV": "development"}
        where["GATEWAY_DATA_DIR"] = str(gateway.data_dir)
        return run_command("accounts", "encryption", "Demo", *rule, fails=False, **where).stdout

    assert await state() == {
        "value": "default",
        "encrypts": False,
        "finished": True,
        "keys": [],
        "unopened": 0,
    }
    assert encryption().startswith("off by GATEWAY_PAYLOAD_ENCRYPTION, every row follows\n")

    assert encryption("on").startswith("on, stored rows do not all follow yet\n")
    assert (await state())["value"] == "on"
    acts = await client.http.get("/account/audit", headers=partner(client))
    assert acts.json()[0]["act"] == "SetPayloadEncryption"
    assert encryption("default").startswith("off by GATEWAY_PAYLOAD_ENCRYPTION")


async def test_rule_is_refused_while_an_older_node_runs(
    client: Client, operator: AsyncConnection
) -> None:
    await operator.execute(
        "insert into nodes (id, expires_at) values ('old', now() + interval '1 hour')"
    )

    answer = await client.http.put(
        "/account/payload-encryption", headers=partner(client), json={"value": "on"}
    )

    assert answer.status_code == httpx.codes.CONFLICT
    assert "cannot read encrypted content: old" in answer.json()["message"]
    assert (await set_encryption(client, "off"))["value"] == "off"


async def _payload_of(operator: AsyncConnection, message_id: str) -> Any:
    cursor = await operator.execute(
        "select payload from message_queue where message_id = %s", [message_id]
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def _count(operator: AsyncConnection, statement: Any) -> int:
    row = await (await operator.execute(statement)).fetchone()
    assert row is not None
    return int(row[0])
