"""Callers search messages, see one on a line of time, and watch the lanes and the callbacks."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fixtures.service import Client, until
from tests.fixtures.webhook_catcher import WebhookCatcher

NOBODY = "00000000-0000-0000-0000-000000000001"


async def read(client: Client, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.call("GET", path, params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def act(client: Client, path: str, method: str = "POST", **body: Any) -> None:
    answer = await client.call(method, path, json=body)
    assert answer.status_code == 200, answer.text


async def found(client: Client, **params: Any) -> list[str]:
    """Returns the ids of all messages that a search finds, over its pages."""
    ids: list[str] = []
    page: dict[str, Any] = {"pagingState": None, "hasMore": True}
    while page["hasMore"]:
        more = {"pagingState": page["pagingState"]} if page["pagingState"] else {}
        page = await read(client, "/messages/search", **params, **more)
        ids += [message["messageId"] for message in page["messages"]]
    return ids


async def until_status(client: Client, message_id: str, *wanted: str) -> None:
    await until(
        lambda: read(client, f"/messages/{message_id}"), lambda read: read["status"] in wanted
    )


async def test_search_finds_messages_of_queue_and_history(client: Client) -> None:
    await client.control("faults", next=["permanent"])
    refused = (await client.send_text("refused"))["messageId"]
    await until_status(client, refused, "failed")
    sent = (await client.send_text("sent"))["messageId"]
    await until_status(client, sent, "sent", "delivered", "read")
    await act(client, "/queue/pause")
    waiting = [await client.send_text(f"text {n}", phone="5511977776666") for n in range(3)]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = await client.send_text("later", scheduledFor=tomorrow)
    ids = [message["messageId"] for message in (later, *reversed(waiting))]

    assert await found(client, pageSize=2) == [*ids, sent, refused]
    assert await found(client, status="waiting", pageSize=1) == ids
    assert await found(client, status="scheduled") == ids[:1]
    assert await found(client, status="failed") == [refused]
    assert await found(client, phone="5511977776666") == ids[1:]
    assert await found(client, id=later["zaapId"]) == ids[:1]
    assert await found(client, id=sent) == [sent]
    assert await found(client, id="unknown") == []
    assert await found(client, to="2020-01-01T00:00:00Z") == []
    for wrong in ({"pagingState": "x"}, {"status": "lost"}):
        answer = await client.call("GET", "/messages/search", params=wrong)
        assert answer.status_code == 400, answer.text


async def test_timeline_has_attempts_receipts_and_callbacks(
    client: Client, catcher: WebhookCatcher
) -> None:
    await act(client, "/update-every-webhooks", "PUT", value=catcher.url)
    await client.control("faults", next=["permanent"])
    message_id = (await client.send_text("twice"))["messageId"]
    await until_status(client, message_id, "failed")
    await act(client, f"/queue/{message_id}/retry")
    await until_status(client, message_id, "delivered", "read")
    # The simulated person reads four messages of five by itself.
    await client.control("receipt", phone="5511999999999", messageIds=[message_id], status="read")
    await until_status(client, message_id, "read")

    def is_complete(timeline: dict[str, Any]) -> bool:
        callbacks = [e["callback"] for e in timeline["entries"] if e["callback"]]
        return len([c for c in callbacks if c["status"] == "delivered"]) >= 5

    timeline = await until(lambda: read(client, f"/messages/{message_id}/timeline"), is_complete)

    entries = timeline["entries"]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert timeline["message"]["status"] == "read"
    assert entries[0]["type"] == "accepted"
    attempts = [entry for entry in entries if entry["type"] == "attempt"]
    assert [a["outcome"] for a in attempts] == ["refused", "sent"]
    assert all(a["endedAt"] >= a["at"] for a in attempts)
    assert {"sent", "delivered", "read"} <= {entry["type"] for entry in entries}
    callbacks = [entry["callback"] for entry in entries if entry["callback"]]
    assert {c["type"] for c in callbacks} == {"DeliveryCallback", "MessageStatusCallback"}
    assert {c["host"] for c in callbacks} == {catcher.url.removesuffix("/hook")}
    assert {(c["httpStatus"], c["attempts"], c["error"]) for c in callbacks} == {(200, 1, None)}
    assert {posted.id for posted in catcher.posted} >= {c["eventId"] for c in callbacks}
    assert (await client.call("GET", "/messages/unknown/timeline")).status_code == 404


async def test_timeline_says_why_a_callback_waits(client: Client, catcher: WebhookCatcher) -> None:
    catcher.answer, catcher.text = lambda _number: 503, "down"
    await act(client, "/update-webhook-delivery", "PUT", value=catcher.url + "?key=hidden")
    message_id = (await client.send_text("hi"))["messageId"]

    async def callbacks() -> list[dict[str, Any]]:
        timeline = await read(client, f"/messages/{message_id}/timeline")
        return [entry["callback"] for entry in timeline["entries"] if entry["callback"]]

    (callback,) = await until(callbacks, lambda each: bool(each) and each[0]["attempts"] > 0)
    (queue,) = (await read(client, "/webhooks/waiting"))["queues"]
    (state,) = (await read(client, "/webhooks/states"))["states"]
    stored = await read(client, f"/webhooks/deliveries/{callback['eventId']}")

    assert (callback["status"], callback["httpStatus"]) == ("waiting", 503)
    assert (state["webhookId"], state["waiting"], state["chats"]) == (None, 1, 1)
    assert (state["failingChats"], state["error"]) == (1, "HTTP 503")
    assert state["attempts"] >= 1
    assert state["failingSince"] is not None
    assert callback["error"] == "HTTP 503"
    assert callback["deliveredAt"] is None
    assert queue["eventId"] == callback["eventId"]
    assert (queue["waiting"], queue["chat"]) == (1, "5511999999999")
    assert queue["host"] == callback["host"] == catcher.url.removesuffix("/hook")
    assert stored["status"] == "waiting"
    assert stored["body"]["messageId"] == message_id
    assert (stored["attempts"][0]["status"], stored["attempts"][0]["answer"]) == (503, "down")
    answer = await client.call("GET", f"/webhooks/deliveries/{NOBODY}")
    assert answer.status_code == 404


async def test_delivered_callback_is_shown_with_its_body(
    client: Client, catcher: WebhookCatcher
) -> None:
    await act(client, "/update-webhook-delivery", "PUT", value=catcher.url)
    message_id = (await client.send_text("hi"))["messageId"]
    await catcher.wait_for(lambda c: bool(c.delivered))
    callback_id = catcher.posted[0].id

    async def attempts() -> list[Any]:
        answer = await client.call("GET", f"/webhooks/deliveries/{callback_id}")
        return list(answer.json().get("attempts", ())) if answer.status_code == 200 else []

    await until(attempts, bool)
    stored = await read(client, f"/webhooks/deliveries/{callback_id}")

    assert (stored["status"], stored["error"]) == ("delivered", None)
    assert stored["body"]["messageId"] == message_id
    assert (await read(client, "/webhooks/waiting"))["queues"] == []
    assert (await read(client, "/webhooks/states"))["states"] == []
    span = {"from": "2026-01-01T00:00:00Z"}
    counted = await read(client, "/webhooks/replay", **span)
    replayed = await client.call("POST", "/webhooks/replay", json=span)
    assert counted["byType"]["DeliveryCallback"] == 1
    assert replayed.json()["replayed"] <= counted["count"], "without a webhook it goes nowhere"
    assert counted["hasMore"] is False
    backwards = {**span, "to": "2025-01-01T00:00:00Z"}
    answer = await client.call("GET", "/webhooks/replay", params=backwards)
    assert answer.status_code == 400


async def test_lanes_show_messages_in_the_order_of_sending(client: Client) -> None:
    await act(client, "/queue/pause")
    normal = [(await client.send_text(f"text {n}"))["messageId"] for n in range(3)]
    other = (await client.send_text("other", phone="5511977776666"))["messageId"]
    high = (await client.send_text("quick", priority="high"))["messageId"]
    await act(client, f"/queue/{normal[2]}/move-to-front")

    async def lane(name: str, **params: Any) -> dict[str, Any]:
        return await read(client, f"/queue/lanes/{name}", **params)

    first = await lane("normal", pageSize=3)
    rest = await lane("normal", pageSize=3, pagingState=first["pagingState"])
    filtered = await lane("normal", phone="5511977776666")
    lanes = await read(client, "/queue/lanes")

    in_order = [m["messageId"] for m in (*first["messages"], *rest["messages"])]
    assert in_order == [normal[2], *normal[:2], other]
    assert (first["hasMore"], rest["hasMore"]) == (True, False)
    assert [m["messageId"] for m in filtered["messages"]] == [other]
    assert [m["messageId"] for m in (await lane("HIGH"))["messages"]] == [high]
    assert (await lane("bulk", olderThan="3600"))["messages"] == []
    assert lanes == {
        "sending": None,
        "lanes": [
            {"lane": "high", "waiting": 1},
            {"lane": "normal", "waiting": 4},
            {"lane": "bulk", "waiting": 0},
        ],
        "scheduled": 0,
        "failed": 0,
        "queueLength": 5,
    }
    assert (await client.call("GET", "/queue/lanes/slow")).status_code == 400


async def test_scheduled_messages_are_counted_by_day(client: Client) -> None:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=9)
    times = [day + timedelta(hours=hours) for hours in (2, 12, 108)]
    accepted = [
        (await client.send_text("later", scheduledFor=time.isoformat()))["messageId"]
        for time in times
    ]

    utc = await read(client, "/queue/scheduled/days")
    local = await read(client, "/queue/scheduled/days", timeZone="America/Sao_Paulo")
    since = (day + timedelta(hours=3)).isoformat()
    page = await read(client, "/queue/scheduled", **{"from": since}, pageSize=1)
    rest = await read(client, "/queue/scheduled", pageSize=1, pagingState=page["pagingState"])

    days = [str((day + timedelta(days=number)).date()) for number in (-1, 0, 4)]
    assert utc["days"] == [{"day": days[1], "count": 2}, {"day": days[2], "count": 1}]
    assert local["days"] == [{"day": each, "count": 1} for each in days]
    assert [m["messageId"] for m in (*page["messages"], *rest["messages"])] == accepted[1:]
    assert (page["hasMore"], rest["hasMore"]) == (True, False)
    assert datetime.fromisoformat(page["messages"][0]["dueAt"]) == times[1]
    answer = await client.call("GET", "/queue/scheduled/days", params={"timeZone": "Nowhere"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "timeZone: must be a name such as America/Sao_Paulo"
