"""Callers control a queue over HTTP and read the state of its messages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from tests.fixtures.service import Client, client_of, running_gateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher


async def read(client: Client, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.call("GET", path, params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def control(client: Client, path: str, method: str = "POST", **body: Any) -> dict[str, Any]:
    answer = await client.call(method, path, json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def status_of(client: Client, accepted: dict[str, Any]) -> str:
    return str((await read(client, f"/messages/{accepted['messageId']}"))["status"])


async def until_status(client: Client, accepted: dict[str, Any], *wanted: str) -> None:
    await until(lambda: status_of(client, accepted), lambda status: status in wanted)


async def fail_one(client: Client, message: str) -> dict[str, Any]:
    await client.control("faults", next=["permanent"])
    accepted = await client.send_text(message)
    await until_status(client, accepted, "failed")
    return accepted


async def test_paused_queue_keeps_its_messages_until_resumed(client: Client) -> None:
    assert await control(client, "/queue/pause") == {
        "value": True,
        "paused": True,
        "queueLength": 0,
    }
    accepted = [await client.send_text(f"text {n}") for n in range(3)]
    stats = await read(client, "/queue/stats")

    resumed = await control(client, "/queue/resume")
    sent = await client.sent_at_least(3)

    assert (stats["paused"], stats["secondsToEmpty"]) == (True, None)
    assert stats["byStatus"] == {"pending": 3}
    assert (resumed["paused"], resumed["queueLength"]) == (False, 3)
    assert [s["messageId"] for s in sent] == [a["messageId"] for a in accepted]


async def test_last_message_moved_to_the_front_is_sent_first(client: Client) -> None:
    await control(client, "/queue/pause")
    one, two, three, four = [(await client.send_text(f"text {n}"))["zaapId"] for n in range(4)]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = (await client.send_text("later", scheduledFor=tomorrow))["zaapId"]

    for name in (three, four, later):
        await control(client, f"/queue/{name}/move-to-front")
    await control(client, "/queue/resume")
    await client.sent_at_least(5)

    history = (await read(client, "/messages"))["messages"]
    assert [m["zaapId"] for m in reversed(history)] == [later, four, three, one, two]
    again = await client.call("POST", f"/queue/{one}/move-to-front", json={})
    assert again.status_code == 409
    assert again.json()["error"].endswith("cannot be moved")


async def test_failed_message_is_listed_and_retried_with_its_attempts(
    client: Client,
) -> None:
    failed = await fail_one(client, "twice")
    listed = await read(client, "/queue/failed")
    before = await read(client, f"/queue/{failed['zaapId']}")

    await control(client, f"/queue/{failed['zaapId']}/retry")
    await until_status(client, failed, "sent", "delivered", "read")
    after = await read(client, f"/queue/{failed['messageId']}")

    assert [m["zaapId"] for m in listed["messages"]] == [failed["zaapId"]]
    assert (before["status"], before["error"]) == ("failed", "WhatsApp refused the message.")
    assert before["failedAt"] is not None
    assert [t["outcome"] for t in before["tries"]] == ["refused"]
    assert [t["outcome"] for t in after["tries"]] == ["refused", "sent"]
    assert after["attempts"] == 1
    assert (await read(client, "/queue/failed"))["messages"] == []


async def test_all_failed_messages_are_retried_in_order(client: Client) -> None:
    await control(client, "/queue/pause")
    accepted = [await client.send_text(f"text {n}") for n in range(3)]
    await client.control("faults", next=["permanent"] * 3)
    await control(client, "/queue/resume")
    for message in accepted:
        await until_status(client, message, "failed")

    page = await read(client, "/queue/failed", pageSize=2)
    rest = await read(client, "/queue/failed", pageSize=2, pagingState=page["pagingState"])
    retried = await control(client, "/queue/failed/retry-all")
    sent = await client.sent_at_least(3)

    named = [m["messageId"] for m in (*page["messages"], *rest["messages"])]
    assert named == [a["messageId"] for a in accepted]
    assert (page["hasMore"], rest["hasMore"]) == (True, False)
    assert retried["retried"] == 3
    assert [s["messageId"] for s in sent] == named


async def test_deleted_failed_messages_remain_in_history(client: Client) -> None:
    failed = await fail_one(client, "never")

    removed = await client.call("DELETE", "/queue/failed")
    in_history = await read(client, "/messages", status="failed")
    again = await client.call("POST", f"/queue/{failed['zaapId']}/retry", json={})

    assert removed.json() == {"value": True, "removed": 1, "queueLength": 0}
    assert [(m["messageId"], m["error"]) for m in in_history["messages"]] == [
        (failed["messageId"], "WhatsApp refused the message.")
    ]
    assert in_history["messages"][0]["failedAt"] is not None
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/queue/{}"),
        ("POST", "/queue/{}/retry"),
        ("POST", "/queue/{}/move-to-front"),
        ("GET", "/messages/{}"),
    ],
)
async def test_unknown_message_is_not_found(client: Client, method: str, path: str) -> None:
    answer = await client.call(method, path.format("0123456789ABCDEF0123456789ABCDEF"))

    assert answer.status_code == 404


async def test_stats_estimate_the_seconds_until_the_queue_is_empty(
    tmp_path: Path, database_url: str
) -> None:
    slow = {"GATEWAY_PACE_MIN_SECONDS": "100", "GATEWAY_PACE_MAX_SECONDS": "300"}
    with running_gateway(tmp_path, database_url, **slow) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.send_text("one")
            await client.send_text("two", delayMessage=5, delayTyping=2)
            tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            await client.send_text("later", scheduledFor=tomorrow)
            stats = await until(
                lambda: read(client, "/queue/stats"), lambda s: bool(s["connected"])
            )

    assert stats["queueLength"] == 3
    assert stats["byStatus"] == {"pending": 2, "scheduled": 1}
    assert stats["byType"] == {"send-text": 3}
    assert stats["secondsToEmpty"] == 2 * 200 + 5 + 2
    assert stats["oldestWaitingSeconds"] >= 0


async def test_history_is_filtered_and_paged(client: Client) -> None:
    one = await client.send_text("one")
    await until_status(client, one, "sent", "delivered", "read")
    others = [await client.send_text(f"o {n}", phone="5511888888888") for n in range(5)]
    await until_status(client, others[-1], "sent", "delivered", "read")

    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await read(client, "/messages", pageSize=2, pagingState=cursor)
        seen += [m["messageId"] for m in page["messages"]]
        cursor = page["pagingState"]
    of_phone = (await read(client, "/messages", phone="+55 11 99999-9999"))["messages"]
    recorded_at = of_phone[0]["recordedAt"]
    up_to = (await read(client, "/messages", to=recorded_at))["messages"]
    since = (await read(client, "/messages", **{"from": recorded_at}))["messages"]
    wrong = await client.call("GET", "/messages", params={"pagingState": "nonsense"})

    assert seen == [a["messageId"] for a in reversed([one, *others])]
    assert [(m["messageId"], m["message"]) for m in of_phone] == [(one["messageId"], "one")]
    assert of_phone[0]["sentAt"] is not None
    assert up_to == []
    assert len(since) == 6
    assert wrong.status_code == 400


async def test_prefer_wait_is_answered_with_the_final_state(client: Client) -> None:
    body = {"phone": "5511999999999", "message": "now"}
    await client.control("faults", next=["transient"])

    sent = await client.call("POST", "/send-text", json=body, headers={"Prefer": "wait=20"})
    await client.control("faults", next=["permanent"])
    failed = await client.call("POST", "/send-text", json=body, headers={"Prefer": "wait=20"})
    await control(client, "/queue/pause")
    waiting = await client.call("POST", "/send-text", json=body, headers={"Prefer": "wait=1"})
    usual = await client.call("POST", "/send-text", json=body, headers={"Prefer": "wait=soon"})

    assert sent.json()["status"] in ("sent", "delivered", "read")
    assert sent.headers["Preference-Applied"] == "wait=20"
    assert (failed.json()["status"], failed.json()["error"]) == (
        "failed",
        "WhatsApp refused the message.",
    )
    assert waiting.json()["status"] == "pending"
    assert set(usual.json()) == {"zaapId", "messageId", "id"}


async def test_restriction_holds_the_queue_and_posts_a_callback(
    client: Client, catcher: WebhookCatcher
) -> None:
    await client.call("PUT", "/update-webhook-delivery", json={"value": catcher.url})
    until_then = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await client.control("faults", next=[{"fault": "restricted_until", "until": until_then}])

    accepted = [await client.send_text(f"text {n}") for n in range(2)]
    await catcher.wait_for(lambda c: bool(c.of_type("QueueHeldCallback")))
    stats = await read(client, "/queue/stats")
    held = await read(client, f"/queue/{accepted[0]['zaapId']}")

    callback = catcher.of_type("QueueHeldCallback")[0]
    assert callback["kind"] == "restricted"
    assert callback["reason"] == "WhatsApp restricts the number."
    assert abs(callback["until"] - datetime.fromisoformat(until_then).timestamp() * 1000) < 1
    assert stats["holdReason"] == "WhatsApp restricts the number."
    assert stats["secondsToEmpty"] > 3_500
    assert (held["status"], held["attempts"]) == ("pending", 0)
    assert await client.sent() == []


async def test_queue_continues_by_itself_after_a_hold(client: Client) -> None:
    await client.control("faults", next=[{"fault": "restricted_until", "seconds": 1}])

    accepted = [await client.send_text(f"text {n}") for n in range(2)]
    sent = await client.sent_at_least(2)

    assert [s["messageId"] for s in sent] == [a["messageId"] for a in accepted]


async def test_daily_limit_holds_the_queue_until_it_is_raised(
    client: Client, catcher: WebhookCatcher
) -> None:
    await client.call("PUT", "/update-webhook-delivery", json={"value": catcher.url})
    changed = await control(client, "/queue/settings", "PUT", dailyLimit=20, warmUpDays=10)
    for n in range(4):
        await client.send_text(f"text {n}")

    await catcher.wait_for(lambda c: bool(c.of_type("QueueHeldCallback")))
    stats = await read(client, "/queue/stats")
    at_limit = len(await client.sent())
    await control(client, "/queue/settings", "PUT", dailyLimit=0)
    sent = await client.sent_at_least(4)

    assert changed == {
        "paceMinSeconds": 0.0,
        "paceMaxSeconds": 0.0,
        "dailyLimit": 20,
        "warmUpDays": 10,
        "limitToday": 2,
        "order": "chat",
        "unknownQuote": "quote",
        "queueLength": 0,
    }
    assert (at_limit, stats["dailyLimit"], stats["sentToday"]) == (2, 2, 2)
    assert stats["holdReason"] == "Daily limit of 2 messages reached"
    assert catcher.of_type("QueueHeldCallback")[0]["kind"] == "daily_limit"
    assert len(sent) == 4


async def test_changed_pace_of_an_instance_applies_at_once(client: Client) -> None:
    await control(client, "/queue/settings", "PUT", paceMinSeconds=600, paceMaxSeconds=600)
    wrong = await client.call("PUT", "/queue/settings", json={"paceMinSeconds": 3})
    settings = await read(client, "/queue/settings")

    assert (settings["paceMinSeconds"], settings["paceMaxSeconds"]) == (600.0, 600.0)
    assert wrong.status_code == 400
    first = await client.send_text("waits")
    assert await status_of(client, first) == "pending"


async def test_expired_message_fails_and_posts_a_callback(
    tmp_path: Path, database_url: str, operator: AsyncConnection, catcher: WebhookCatcher
) -> None:
    with running_gateway(tmp_path, database_url, GATEWAY_QUEUE_MAX_AGE="1") as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.call("PUT", "/update-webhook-delivery", json={"value": catcher.url})
            await client.control("connection", state="down")
            accepted = await client.send_text("too late")
            tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            later = await client.send_text("later", scheduledFor=tomorrow)
            await operator.execute(
                "update message_queue set expires_at = now() where due_at < now()"
            )
            await catcher.wait_for(lambda c: bool(c.of_type("DeliveryCallback")))
            expired = await read(client, f"/queue/{accepted['zaapId']}")
            status_later = await status_of(client, later)

    callback = catcher.of_type("DeliveryCallback")[0]
    assert (callback["messageId"], callback["error"]) == (accepted["messageId"], "expired")
    assert (expired["status"], expired["error"]) == ("failed", "expired")
    assert status_later == "scheduled"
