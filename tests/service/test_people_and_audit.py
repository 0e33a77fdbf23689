"""Erasure and consent of a person, the audit log, and the table of providers."""

import base64
from typing import Any, LiteralString

import httpx
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from gateway.runtime.readme import offers
from tests.fixtures.media import picture
from tests.fixtures.service import Client, RunningGateway, free_port, until

ANA, BEN = "5511988887777", "5511977776666"
ANAS_LID, BENS_LID, CARLS_LID = (
    "811111111111111@lid",
    "822222222222222@lid",
    "833333333333333@lid",
)
GROUP = "120363019502650977-group"


async def got(client: Client, path: str, **query: Any) -> Any:
    answer = await client.call("GET", path, params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def known(client: Client, phone: str, messages: int) -> None:
    async def look() -> Any:
        return await got(client, f"/chat-messages/{phone}", amount=50)

    await until(look, lambda seen: len(seen) == messages)


def as_partner(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.demo.partner_token}"}


async def test_erase_person_deletes_only_their_data(client: Client, host: RunningGateway) -> None:
    for phone in (ANA, BEN):
        await client.control("receive", phone=phone, text="hi", senderName="Sender")
        await client.send_text("hello", phone=phone)
        await known(client, phone, 2)
    await client.send_text("later", phone=ANA, scheduledFor="2026-12-24T18:00:00Z")

    answer = await client.call("DELETE", f"/contacts/{ANA}/data")

    erased = answer.json()["erased"]
    assert erased.pop("provider") >= 1, "the message it sent, and receipts that are due"
    assert answer.json() | {"erased": erased} == {
        "phone": ANA,
        "erased": {
            "queue": 1,
            "messages": 2,
            "media": 0,
            "callbacks": 0,
            "chats": 1,
            "contacts": 1,
            "identities": 1,
            "idempotencyKeys": 0,
            "consents": 0,
            "canceled": 0,
        },
        "searchingOtherChats": True,
    }
    assert await got(client, f"/chat-messages/{ANA}") == []
    assert await got(client, "/queue") == []
    assert [chat["phone"] for chat in await got(client, "/chats")] == [BEN]
    assert [contact["phone"] for contact in await got(client, "/contacts")] == [BEN]
    assert len(await got(client, f"/chat-messages/{BEN}")) == 2
    again = await client.call("DELETE", f"/contacts/{ANA}/data")
    assert set(again.json()["erased"].values()) == {0}
    log = [line for line in host.log.splitlines() if client.demo.instance_id in line]
    assert any("person_erased" in line for line in log)
    assert not any(ANA in line for line in log)


async def test_opted_out_person_is_not_sent_to_if_account_says_so(
    client: Client,
) -> None:
    path = f"/contacts/{ANA}/consent"
    assert await got(client, path) == {"phone": ANA, "status": "unknown", "at": 0}
    recorded = await client.call("PUT", path, json={"status": "revoked", "source": "a call"})
    assert (recorded.json()["status"], recorded.json()["source"]) == ("revoked", "a call")
    for part, found in (("8888", 1), ("+55 11 98888", 1), ("6666", 0), ("no digits", 0)):
        assert (await got(client, "/consents", query=part))["total"] == found, part
    await client.send_text("the rule is off", phone=ANA)

    await client.http.put(
        "/account/refuse-opted-out", json={"value": True}, headers=as_partner(client)
    )

    async def refused() -> int:
        body = {"phone": ANA, "message": "hi"}
        return (await client.call("POST", "/send-text", json=body)).status_code

    await until(refused, lambda status: status == httpx.codes.FORBIDDEN)
    await client.send_text("to another person", phone=BEN)
    assert (await client.call("DELETE", path)).json() == {"value": True}
    await client.send_text("consent deleted", phone=ANA)


async def test_provider_table_holds_every_route(client: Client) -> None:
    table = (await client.http.get("/providers")).json()

    rows = {(row["method"], row["path"]): row for row in table["operations"]}
    assert "sandbox" in table["providers"]
    assert rows["GET", "/groups"]["supportedBy"].count("sandbox") == 1
    assert rows["POST", "/send-text"]["operation"] == "SendText"
    assert rows["GET", "/tags"]["supportedBy"] == table["providers"], "our own tables answer"
    assert [row["path"] for row in table["operations"] if not row["supportedBy"]] == []
    assert table.pop("health").keys() <= set(table["providers"])
    assert table == offers(), "README shows the same"


async def test_instance_switches_are_set_and_shown_by_me(client: Client) -> None:
    for name in ("call-reject-auto", "auto-read-message", "auto-read-status"):
        answer = await client.call("PUT", f"/update-{name}", json={"value": "true"})
        assert answer.json() == {"value": True}
    await client.call("PUT", "/update-call-reject-message", json={"value": "Please write"})

    me = await got(client, "/me")

    assert (me["callRejectAuto"], me["callRejectMessage"], me["autoReadMessage"]) == (
        True,
        "Please write",
        True,
    )


async def rows_naming(host: RunningGateway, client: Client, who: str) -> dict[str, int]:
    """Returns the number of rows per table that match the pattern *who*."""
    async with await AsyncConnection.connect(host.environment["DATABASE_URL"]) as connection:
        cursor = await connection.execute(
            """select table_name from information_schema.columns
               join information_schema.tables using (table_schema, table_name)
               where table_schema = 'public' and table_type = 'BASE TABLE'
                   and column_name = 'instance_id' and table_name !~ '^messages_'"""
        )
        found = {}
        for (table,) in await cursor.fetchall():
            cursor = await connection.execute(
                SQL("select count(*) from {0} where instance_id = %s and {0}::text ~ %s").format(
                    Identifier(table)
                ),
                (client.demo.instance_id, who),
            )
            found[table] = (await cursor.fetchall())[0][0]
    return {table: count for table, count in found.items() if count}


async def rows(host: RunningGateway, statement: LiteralString, *values: object) -> list[Any]:
    async with await AsyncConnection.connect(host.environment["DATABASE_URL"]) as connection:
        return await (await connection.execute(statement, values)).fetchall()


async def test_erase_person_by_lid_deletes_files_and_callbacks(
    client: Client, host: RunningGateway
) -> None:
    unused = f"http://127.0.0.1:{free_port()}/hook"
    await client.call("PUT", "/update-every-webhooks", json={"value": unused})
    anas = {"phone": ANA, "lid": ANAS_LID, "senderName": "Ana"}
    bens = {"phone": BEN, "lid": BENS_LID, "senderName": "Ben"}
    for who, color in ((anas, "red"), (bens, "blue"), (anas, "green"), (bens, "green")):
        file = base64.b64encode(picture(color=color)).decode()
        await client.control("receive", **who, image={"source": file})
    for who in (anas, bens, {"phone": CARLS_LID, "senderName": "Carl"}):
        await client.control("receive", **who, chat=GROUP, text="to all")
    await client.control("receive", phone=CARLS_LID, text="known by lid alone")
    sent = await client.send_text("to all", phone=GROUP)
    for reader in (ANA, BEN, CARLS_LID):
        await client.control(
            "receipt", messageIds=[sent["messageId"]], phone=GROUP, status="read", by=reader
        )

    async def stored_counts() -> Any:
        """Returns the messages, receipts, and delivery queues that wait for their receiver.

        One has failed, or found the circuit breaker open that others had opened.
        """
        return await rows(
            host,
            """select (select count(*) from messages where instance_id = i.id),
                      (select count(*) from message_receipts where instance_id = i.id),
                      (select count(*) from webhook_lines w
                       where instance_id = i.id and claim_id is null
                             and (last_error is not null or address is not null))
               from instances i where id = %s""",
            client.demo.instance_id,
        )

    await until(stored_counts, lambda counts: counts == [(9, 3, 4)])
    bens_before = await rows_naming(host, client, f"{BEN}|{BENS_LID}")

    erased = (await client.call("DELETE", f"/contacts/{ANA}/data")).json()["erased"]
    carl = (await client.call("DELETE", f"/contacts/{CARLS_LID}/data")).json()["erased"]

    assert erased.pop("provider") >= 0
    assert erased == {
        "queue": 0,
        "messages": 3,
        "media": 1,  # the green one is Ben's too
        "callbacks": 4,
        "chats": 1,
        "contacts": 1,
        "identities": 1,
        "idempotencyKeys": 0,
        "consents": 0,
        "canceled": 0,
    }
    assert (carl["messages"], carl["callbacks"], carl["identities"]) == (2, 3, 1)
    await until(
        lambda: rows(
            host,
            "select 1 from person_searches where instance_id = %s",
            client.demo.instance_id,
        ),
        lambda searches: not searches,
    )
    assert await rows_naming(host, client, f"{ANA}|{ANAS_LID}|{CARLS_LID}") == {}
    bens_now = await rows_naming(host, client, f"{BEN}|{BENS_LID}")
    # Meanwhile his picture may be looked up, and his callbacks be posted again.
    changing = {"profile_pictures": 0, "webhook_deliveries": 0}
    assert {**bens_now, **changing} == {**bens_before, **changing}
    queues = await rows(
        host,
        """select chat, pending - (select count(*) from webhook_outbox o
                                   where o.instance_id = w.instance_id and o.chat = w.chat)
           from webhook_lines w where instance_id = %s order by chat""",
        client.demo.instance_id,
    )
    assert queues == [(GROUP, 0), (BEN, 0)]
