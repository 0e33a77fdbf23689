"""A person who is erased is found in no table, with and without encryption of content."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until
from tests.fixtures.stored_content import holding, stored
from tests.fixtures.webhook_catcher import WebhookCatcher

ANA, ANAS_OLD, ANAS_LID = "5511988887777", "551188887777", "811111111111111@lid"
ANA_WRITTEN = "+55 (11) 98888-7777"
BEN, BENS_LID, GROUP = "5511977776666", "822222222222222@lid", "120363019502650977-group"
NAME, NOTE, ANAS_TEXT, BENS_TEXT = "Quartzomena", "Limpidfjord", "Zephyrquilt", "Vexingwaltz"
SECRET = "s" * 32
QUICK = {
    "GATEWAY_SECRET_KEY": SECRET,
    "GATEWAY_WEBHOOK_RETRY_BASE_SECONDS": "0.02",
    "GATEWAY_WEBHOOK_MAX_ATTEMPTS": "2",
    "GATEWAY_SANDBOX_RECEIPTS": "0",
    "GATEWAY_SANDBOX_ANSWERS": "false",
}
CARD = {"displayName": NAME, "vCard": f"FN:{NAME}\nTEL;waid={ANA}:+{ANA}", "phones": [ANA]}
SEARCHED_FOR = (ANA, ANAS_OLD, "98888-7777", ANAS_LID.removesuffix("@lid"), NAME, NOTE, ANAS_TEXT)


@pytest.fixture
def quick(tmp_path: Path, database_url: str) -> Any:
    """A gateway whose callbacks are given up soon."""
    with running_gateway(tmp_path, database_url, **QUICK) as gateway:
        yield gateway


@pytest.fixture
async def caller(quick: RunningGateway) -> AsyncIterator[Client]:
    await quick.ready()
    async with client_of(quick) as client:
        yield client


async def done(client: Client, method: str, path: str, body: Any = None, **options: Any) -> Any:
    answer = await client.call(method, path, json=body, **options)
    assert answer.status_code == httpx.codes.OK, (path, answer.text)
    return answer.json()


async def got(client: Client, path: str, **query: Any) -> Any:
    return await done(client, "GET", path, params=query)


def tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


@pytest.mark.parametrize("encryption", ["off", "on"])
async def test_no_table_names_an_erased_person(  # noqa: PLR0917 - fixtures
    caller: Client,
    quick: RunningGateway,
    database_url: str,
    catcher: WebhookCatcher,
    encryption: str,
    run_sql: Callable[..., Awaitable[list[Any]]],
) -> None:
    client = caller
    token = {"Authorization": f"Bearer {client.demo.partner_token}"}
    path = "/account/payload-encryption"
    await client.http.put(path, headers=token, json={"value": encryption})
    # The answers of the receiver, which are logged, name her too; callbacks become dead letters.
    catcher.text, catcher.answer = f"{ANA} is unknown", lambda _number: 410
    hooks = {"value": catcher.url, "notifySentByMe": True}
    await done(client, "PUT", "/update-every-webhooks", hooks)
    await received(client)
    await sent(client)
    await waiting_and_failed(client)
    await noted(client)
    await until(lambda: got(client, "/dlq/events"), lambda page: page["total"] >= 10)
    everything = await stored(database_url, SECRET, scope=client.demo.instance_id)
    for table in ("messages.payload", "message_queue.payload", "webhook_dead_letters.body"):
        assert table in holding(everything, ANA)
        assert table in holding(everything, NAME)
    for column in ("idempotency_keys.key", "chats.note", "webhook_deliveries.answer", "tags.name"):
        assert column in holding(everything, ANA)
    assert "message_queue.last_error" in holding(everything, ANA)
    assert "consents.note" in holding(everything, NOTE)
    # What a receiver says later is not in the gateway's hands.
    catcher.text = "unknown"
    await until(lambda: run_sql("select 1 from webhook_outbox"), lambda waiting: not waiting)

    answer = await done(client, "DELETE", f"/contacts/{ANA}/data")

    assert answer["searchingOtherChats"] is True
    assert answer["erased"]["canceled"] == 1, "the waiting card to Ben"
    assert (answer["erased"]["queue"], answer["erased"]["consents"]) == (1, 1)
    assert answer["erased"]["idempotencyKeys"] == 2

    async def naming() -> dict[str, set[str]]:
        columns = await stored(database_url, SECRET, scope=client.demo.instance_id)
        found = {text: holding(columns, text) - KEPT for text in SEARCHED_FOR}
        return {text: where for text, where in found.items() if where}

    await until(lambda: run_sql("select 1 from person_searches"), lambda searches: not searches)
    assert await naming() == {}
    await others_kept_theirs(client, database_url)
    assert not any(ANA in line for line in quick.log.splitlines())


KEPT = {
    # The wish not to be written to must outlast the erasure.
    "consents.phone",
    # The simulated WhatsApp, as real contacts and groups are in the real one.
    "entities.body",
    "entities.id",
}


async def received(client: Client) -> None:
    """Messages from her and about her, in chats and in a group."""
    ana: dict[str, Any] = {"phone": ANA, "lid": ANAS_LID, "senderName": NAME}
    ben: dict[str, Any] = {"phone": BEN, "lid": BENS_LID, "senderName": "Ben"}
    await client.control("receive", **ana, text=f"{ANAS_TEXT} hello")
    await client.control("receive", **ana, chat=GROUP, text=f"{ANAS_TEXT} to all")
    for text in (f"ask @{ANA} {BENS_TEXT}", f"call {ANA_WRITTEN}", f"or {ANAS_OLD}", ANAS_LID):
        await client.control("receive", **ben, chat=GROUP, text=text)
    await client.control("receive", **ben, contact=CARD)
    await client.control("receive", **ben, text=f"{BENS_TEXT} mine")
    await until(
        lambda: got(client, f"/chat-messages/{GROUP}", amount=50), lambda seen: len(seen) == 5
    )
    await until(
        lambda: got(client, f"/chat-messages/{BEN}", amount=50), lambda seen: len(seen) == 2
    )
    await until(
        lambda: got(client, f"/chat-messages/{ANA}", amount=50), lambda seen: len(seen) == 1
    )


async def sent(client: Client) -> None:
    """Messages to her, cards of her and mentions of her to others."""
    key = {"Idempotency-Key": f"order-{ANA}"}
    body = {"phone": ANA, "message": f"{ANAS_TEXT} to her"}
    await done(client, "POST", "/send-text", body, headers=key)
    card = {"phone": BEN, "contactName": NAME, "contactPhone": ANA}
    await done(client, "POST", "/send-contact", card, headers={"Idempotency-Key": f"card of {ANA}"})
    cards = [{"name": NAME, "phones": [ANA]}, {"name": "Ben Himself", "phones": [BEN]}]
    await done(client, "POST", "/send-contacts", {"phone": GROUP, "contacts": cards})
    message = await client.send_text(
        f"@{ANA} and @{BEN} {BENS_TEXT}",
        phone=GROUP,
        mentioned=[ANA, BEN],
        trackId=f"case of {ANA}",
    )
    await client.sent_at_least(4)
    for reader in (ANA, BEN):
        await client.control(
            "receipt", messageIds=[message["messageId"]], phone=GROUP, status="read", by=reader
        )


async def waiting_and_failed(client: Client) -> None:
    """Scheduled messages to her and about her, and a dead letter whose error names her."""
    await client.send_text(f"{ANAS_TEXT} later", phone=ANA, scheduledFor=tomorrow())
    card = {"phone": BEN, "contactName": NAME, "contactPhone": ANA, "scheduledFor": tomorrow()}
    await done(client, "POST", "/send-contact", card)
    await client.send_text(
        f"@{ANA} later {BENS_TEXT}",
        phone=GROUP,
        mentioned=[ANA, BEN],
        scheduledFor=tomorrow(),
        trackId=ANA,
    )
    options = [{"name": "a"}, {"name": "b"}]
    poll = {"phone": BEN, "message": "?", "poll": options}
    poll_id = (await done(client, "POST", "/send-poll", poll))["messageId"]
    vote = {"phone": BEN, "pollMessageId": poll_id, "pollVote": [{"name": f"{ANA} wins"}]}
    await done(client, "POST", "/send-poll-vote", vote)
    failed = await until(lambda: got(client, "/queue/failed"), lambda page: page["messages"])
    assert ANA in failed["messages"][0]["error"]


async def noted(client: Client) -> None:
    """What is written about her, and look-ups of her."""
    consent = {"status": "revoked", "source": f"{NOTE} form", "note": f"{NOTE} said so"}
    await done(client, "PUT", f"/contacts/{ANA}/consent", consent)
    await done(client, "POST", f"/chats/{ANA}/notes", {"notes": f"{NOTE} note"})
    await done(client, "POST", f"/chats/{BEN}/notes", {"notes": f"knows {ANA}"})
    tag = await done(client, "POST", "/business/create-tag", {"name": f"of {ANA}", "color": 1})
    await done(client, "PUT", f"/chats/{ANA}/tags/{tag['id']}/add")
    await done(client, "PUT", f"/chats/{BEN}/tags/{tag['id']}/add")
    await got(client, f"/contacts/{ANA}")
    await got(client, "/profile-picture", phone=ANA)
    await got(client, f"/phone-exists/{ANA}")


async def others_kept_theirs(client: Client, database_url: str) -> None:
    """Ben's content is there, without her."""
    group = json.dumps(await got(client, f"/chat-messages/{GROUP}", amount=50))
    assert f"@{BEN} {BENS_TEXT}" in group
    assert f"ask @************* {BENS_TEXT}" in group
    (sent,) = (await got(client, "/messages", trackId="case of *************"))["messages"]
    assert (sent["phone"], sent["trackId"]) == (GROUP, "case of *************")
    chat = await got(client, f"/chat-messages/{BEN}", amount=50)
    assert f"{BENS_TEXT} mine" in json.dumps(chat)
    assert {"displayName": "erased", "vCard": "erased", "phones": ["10000000000"]} in [
        message.get("contact") for message in chat
    ]
    columns = await stored(database_url, SECRET, scope=client.demo.instance_id)
    assert '"mentioned": ["5511977776666"]' in columns["messages.payload"].replace('":[', '": [')
    assert "Ben Himself" in columns["messages.payload"]
    (waiting,) = await got(client, "/queue")
    assert waiting["Message"] == f"@************* later {BENS_TEXT}"
    history = (await got(client, "/messages", pageSize=100))["messages"]
    cards = [m["status"] == "canceled" for m in history if m["message"] == "erased"]
    assert sorted(cards) == [False, True], "one was sent before, one was canceled"
    assert (await got(client, f"/chats/{BEN}"))["notes"]["content"] == "knows *************"
    consent = await got(client, f"/contacts/{ANA}/consent")
    assert consent == {"phone": ANA, "status": "revoked", "at": consent["at"]}
    assert consent["at"] > 0
