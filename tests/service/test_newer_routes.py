"""What only newer clients call: filters, history, broadcast lists, and the like."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.fixtures.service import Client, until
from tests.fixtures.webhook_catcher import WebhookCatcher

ANA, RUI, GROUP = "5511999999999", "5511888888888", "120363019502650977-group"
EIGHT = [f"55119777777{n:02}" for n in range(8)]


async def answered(client: Client, method: str, path: str, status: int = 200, **body: Any) -> Any:
    answer = await client.call(method, path, **({"json": body} if body else {}))
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_filtered_callbacks_are_not_posted(client: Client, catcher: WebhookCatcher) -> None:
    await answered(client, "PUT", "/update-every-webhooks", value=catcher.url)
    further = await answered(client, "POST", "/webhooks", 201, url=f"{catcher.url}?further")
    await answered(client, "PUT", "/update-filters", messageFilters=["FILTER_FROM_GROUP"])
    await answered(
        client, "PUT", "/update-filters", callbackTypeFilters=["FILTER_PRESENCE_CHAT_CALLBACK"]
    )

    await client.control("receive", phone=GROUP, text="dropped", messageId="group")
    await client.control("presence", phone=ANA, status="available")
    await client.control("receive", phone=ANA, text="posted", messageId="person")
    await catcher.wait_for(lambda c: len(c.delivered) >= 4)
    await answered(client, "DELETE", f"/webhooks/{further['id']}")
    await answered(client, "PUT", "/update-filters", messageFilters=[], callbackTypeFilters=[])
    await client.control("receive", phone=GROUP, text="again", messageId="later")
    await catcher.wait_for(lambda c: "later" in [b.get("messageId") for b in bodies(c)])

    own = [p.body for p in catcher.delivered if "z-api-token" in p.headers]
    assert [body.get("messageId") for body in own] == ["person", "later"]
    others = [p.body for p in catcher.delivered if "z-api-token" not in p.headers]
    assert {body.get("messageId") for body in others} == {"group", None, "person"}


def bodies(catcher: WebhookCatcher) -> list[dict[str, Any]]:
    return [posted.body for posted in catcher.delivered]


async def test_filters_are_shown_and_unknown_ones_refused(client: Client) -> None:
    names = ["FILTER_FROM_GROUP", "FILTER_TEXT_MESSAGE"]
    await answered(client, "PUT", "/update-filters", messageFilters=names)
    shown = await until(me_of(client), lambda me: me["messageFilters"] == names)
    assert shown["callbackTypeFilters"] == []

    wrong = await answered(client, "PUT", "/update-filters", 400, messageFilters=["FILTER_POLL"])
    assert wrong["error"].startswith("messageFilters.0: must be FILTER_FROM_GROUP, ")
    wrong = await answered(client, "PUT", "/update-filters", 400, messageFilter=names)
    assert "messageFilter" in wrong["error"]


def me_of(client: Client) -> Any:
    async def read() -> Any:
        return await answered(client, "GET", "/me")

    return read


async def test_history_comes_as_pages_where_it_is_wanted(
    client: Client, catcher: WebhookCatcher
) -> None:
    old = [{"phone": ANA, "messageId": f"A{n}", "text": f"old {n}"} for n in range(60)]
    await client.control("history", messages=old[:1])  # no webhook yet: no page

    async def chats() -> Any:
        return await answered(client, "GET", "/chats")

    await until(chats, lambda listed: ANA in [chat["phone"] for chat in listed])
    await answered(client, "PUT", "/update-webhook-history-sync", value=catcher.url)
    grouped = {"phone": RUI, "chat": GROUP, "messageId": "G1", "text": "in the group"}
    await client.control("history", messages=[*old[1:], grouped])
    await catcher.wait_for(lambda c: len(c.delivered) >= 3)

    pages = [body for body in bodies(catcher) if body["phone"] == ANA]
    assert [len(page["messages"]) for page in pages] == [50, 9]
    assert {(page["type"], page["event"]) for page in pages} == {
        ("HistorySyncCallback", "history-sync")
    }
    texts = [message["text"]["message"] for page in pages for message in page["messages"]]
    assert texts == [f"old {n}" for n in range(1, 60)]
    (group,) = [body for body in bodies(catcher) if body["phone"] == GROUP]
    assert (group["isGroup"], group["messages"][0]["messageId"]) == (True, "G1")
    assert len(catcher.delivered) == 3


async def test_message_while_disconnected_is_refused_or_queued(client: Client) -> None:
    await answered(client, "PUT", "/update-queue-settings", disableEnqueueWhenDisconnected=True)
    await client.control("connection", state="down")

    async def send() -> int:
        body = {"phone": ANA, "message": "Hello"}
        return (await client.call("POST", "/send-text", json=body)).status_code

    await until(send, lambda status: status == httpx.codes.BAD_REQUEST)
    await answered(client, "PUT", "/update-queue-settings", value=False)
    await until(send, lambda status: status == httpx.codes.OK)


async def test_own_picture_needs_no_phone(client: Client) -> None:
    async def read() -> httpx.Response:
        return await client.call("GET", "/profile-picture")

    answer = await until(read, lambda found: found.status_code == httpx.codes.OK)
    assert list(answer.json()[0]) == ["link"]


async def test_message_to_a_list_goes_to_each_member(
    client: Client, catcher: WebhookCatcher
) -> None:
    await answered(client, "PUT", "/update-webhook-delivery", value=catcher.url)
    made = await answered(client, "POST", "/broadcast", name="Customers", phones=[ANA, RUI, ANA])
    named = {**made, "phones": [ANA, RUI]}
    assert made == {**named, "name": "Customers", "id": made["broadcastId"]}
    assert await answered(client, "GET", "/broadcast") == [made]

    key = {"Idempotency-Key": "once"}
    body = {"phone": made["broadcastId"], "message": "Sale"}
    answers = [
        (await client.call("POST", "/send-text", json=body, headers=key)).json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    messages = answers[0]["messages"]
    assert [message["phone"] for message in messages] == [ANA, RUI]
    assert answers[0]["messageId"] == messages[0]["messageId"]
    sent = await client.sent_at_least(2)
    assert sorted(row["phone"] for row in sent) == sorted([ANA, RUI])
    await catcher.wait_for(lambda c: len(c.of_type("DeliveryCallback")) == 2)
    assert {
        callback["messageId"]: callback["phone"] for callback in catcher.of_type("DeliveryCallback")
    } == {message["messageId"]: message["phone"] for message in messages}


async def test_list_is_changed_erased_from_and_deleted(client: Client) -> None:
    made = await answered(client, "POST", "/broadcast", name="Customers", phones=[ANA, RUI])
    path = f"/broadcast/{made['broadcastId']}"
    await answered(client, "PUT", path, phones=[RUI, *EIGHT], name=f"Friends of {RUI}")
    assert (await answered(client, "GET", "/broadcast"))[0]["phones"] == [RUI, *EIGHT]
    assert (await client.call("DELETE", f"/contacts/{RUI}/data")).status_code == httpx.codes.OK
    shown = (await answered(client, "GET", "/broadcast"))[0]
    assert (shown["name"], shown["phones"]) == ("Friends of ***", EIGHT)

    await answered(client, "DELETE", path)
    for method in ("PUT", "DELETE"):
        fields = {"phones": [ANA]} if method == "PUT" else {}
        assert (await answered(client, method, path, 404, **fields))["error"] == (
            "Broadcast list not found"
        )


@pytest.mark.parametrize("given", ["1609459200-broadcast", "1609459200@broadcast"])
async def test_list_of_the_phone_itself_is_sent_to_as_it_is(client: Client, given: str) -> None:
    await answered(client, "POST", "/send-text", phone=given, message="Hello")

    (sent,) = await client.sent_at_least(1)
    assert sent["phone"] == "1609459200-broadcast"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": "All", "phones": []}, "phones: must not be empty"),
        (
            {"name": "All", "phones": [f"55119{n:08}" for n in range(257)]},
            "phones: must have at most 256 items, not 257",
        ),
        ({"phones": [ANA]}, "name: is required"),
    ],
)
async def test_list_that_is_wrong_is_refused(
    client: Client, fields: dict[str, Any], error: str
) -> None:
    assert (await answered(client, "POST", "/broadcast", 400, **fields))["error"] == error


async def test_instance_has_a_limited_number_of_lists(client: Client) -> None:
    async def make(number: int) -> int:
        body = {"name": f"List {number}", "phones": [ANA]}
        return (await client.call("POST", "/broadcast", json=body)).status_code

    statuses = [
        status
        for start in range(0, 100, 10)
        for status in await asyncio.gather(*(make(start + n) for n in range(10)))
    ]
    assert set(statuses) == {httpx.codes.OK}
    assert await make(100) == httpx.codes.CONFLICT


async def test_partner_token_has_a_header_of_its_own(client: Client) -> None:
    path = f"{client.instance}/integrator/configure-proxy"
    url = "http://user:secret@proxy.example.com:8080"

    async def configure(headers: dict[str, str], **body: Any) -> httpx.Response:
        headers = {"Client-Token": "wrong", **headers}
        return await client.http.put(path, json=body, headers=headers)

    token = {"Partner-Token": client.demo.partner_token}
    assert (await configure({}, enable=False)).status_code == httpx.codes.UNAUTHORIZED
    needed = await configure(token, enable=True, proxyUrl="")
    assert needed.json()["error"] == "proxyUrl: is required"
    assert (await configure(token, enable=True, proxyUrl=url)).json() == {"value": True}
    shown = (await answered(client, "GET", "/proxy"))["proxy"]
    assert shown["proxyUrl"] == "http://user:***@proxy.example.com:8080"
    assert (await configure(token, enable=False, proxyUrl=url)).json() == {"value": True}
    assert (await answered(client, "GET", "/proxy"))["proxy"]["proxyUrl"] is None


async def test_subscribers_of_a_channel_are_listed_for_its_admins(client: Client) -> None:
    made = await answered(client, "POST", "/create-newsletter", 201, name="News")
    found = await answered(client, "GET", f"/newsletter/subscribers/{made['id']}")

    assert [each["role"] for each in found["subscribers"]] == ["OWNER"]
