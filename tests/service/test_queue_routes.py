"""Callers list, count and clear the queue with Z-API's routes."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fixtures.service import (
    Client,
    NewHouse,
    RunningGateway,
    client_of,
    guest_of,
    running_gateway,
    until,
)

SLOW = {"GATEWAY_PACE_MIN_SECONDS": "600", "GATEWAY_PACE_MAX_SECONDS": "600"}


@pytest.fixture(scope="module")
def slow_house(new_house: NewHouse) -> Iterator[RunningGateway]:
    """A gateway with a pace so slow that every message waits."""
    with new_house(**SLOW) as gateway:
        yield gateway


@pytest.fixture
async def slow_client(slow_house: RunningGateway) -> AsyncIterator[Client]:
    async with guest_of(slow_house) as client:
        yield client


async def test_queue_is_listed_oldest_first_in_both_forms(slow_client: Client) -> None:
    accepted = [await slow_client.send_text(f"text {n}", delayMessage=n) for n in range(3)]
    await until(lambda: waiting_for(slow_client), lambda codes: codes[0] == "pacing")

    items = (await slow_client.call("GET", "/queue", params={"page": 1, "pageSize": 100})).json()
    page = (await slow_client.call("POST", "/queue", json={})).json()

    assert [i["ZaapId"] for i in items] == [a["zaapId"] for a in accepted]
    assert items == page["messages"]
    assert items[1] | {"Created": 0, "CreatedAt": ""} == {
        "_id": accepted[1]["zaapId"],
        "ZaapId": accepted[1]["zaapId"],
        "MessageId": accepted[1]["messageId"],
        "InstanceId": slow_client.demo.instance_id,
        "Phone": "5511999999999",
        "Message": "text 1",
        "DelayMessage": 1,
        "DelayTyping": 0,
        "Created": 0,
        "CreatedAt": "",
        "IsTrial": False,
        "Beta": False,
        "Type": "send-text",
        "Status": "pending",
        "Attempts": 0,
        "MaxAttempts": 3,
        "SequenceNumber": 2,
        "ScheduledFor": None,
        "ExpiresAt": None,
        "NextAttemptAt": None,
        "TrackId": None,
        "WaitingFor": "turn",
        "WaitingReason": "Its turn comes after 1 message, in about 600 seconds.",
        "Error": None,
    }
    assert items[0]["DelayMessage"] == -1
    assert page["hasMore"] is False
    assert page["queueLength"] == 3


async def test_messages_of_a_moving_queue_say_whose_turn_it_is(slow_client: Client) -> None:
    client = slow_client
    first = (await client.send_text("first"))["zaapId"]
    await until(lambda: waiting_for(client), lambda codes: codes == ["pacing"])
    before = datetime.now(UTC)
    await client.send_text("second")
    await client.send_text("bulk", priority="bulk")
    await client.send_text("urgent", priority="high")

    items = (await client.call("GET", "/queue")).json()
    one = (await client.call("GET", f"/queue/{first}")).json()

    assert [item["WaitingFor"] for item in items] == ["pacing", "lane", "lane", "turn"]
    first_of_lane = (
        "It is the first of its lane; messages of lanes with a higher priority go first, in about "
    )
    assert [item["WaitingReason"] for item in items[1:]] == [
        f"{first_of_lane}1200 seconds.",
        f"{first_of_lane}1800 seconds.",
        "Its turn comes after 1 message, in about 600 seconds.",
    ]
    assert one["waitingFor"] == "pacing"
    said = re.fullmatch(
        r"It is the next message; the pause before it lasts until (.*) UTC.", one["waitingReason"]
    )
    assert said
    until_then = datetime.fromisoformat(said[1] + "+00:00")
    assert timedelta(0) < until_then - before <= timedelta(seconds=600)


async def waiting_for(client: Client) -> list[str]:
    return [item["WaitingFor"] for item in (await client.call("GET", "/queue")).json()]


async def test_cursor_visits_every_message_once(slow_client: Client) -> None:
    accepted = [(await slow_client.send_text(f"text {n}"))["zaapId"] for n in range(7)]

    seen: list[str] = []
    cursor = None
    while True:
        body = {"pageSize": 3, "pagingState": cursor}
        page = (await slow_client.call("POST", "/queue", json=body)).json()
        seen += [item["ZaapId"] for item in page["messages"]]
        cursor = page["pagingState"]
        if not page["hasMore"]:
            break

    assert seen == accepted
    assert cursor is None


async def test_filters_select_the_listed_messages(slow_client: Client) -> None:
    await slow_client.send_text("now")
    in_two_days = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    await slow_client.send_text("later", phone="5511888888888", scheduledFor=in_two_days)
    await slow_client.send_text("soon", phone="5511777777777", expiresIn=60)

    scheduled = (await slow_client.call("GET", "/queue", params={"status": "scheduled"})).json()
    of_phone = (
        await slow_client.call("POST", "/queue", json={"phone": "+55 11 88888-8888"})
    ).json()
    of_type = (await slow_client.call("GET", "/queue", params={"type": "send-image"})).json()

    assert [i["Message"] for i in scheduled] == ["later"]
    assert scheduled[0]["ScheduledFor"] is not None
    assert [i["Message"] for i in of_phone["messages"]] == ["later"]
    assert of_type == []
    (soon,) = (await slow_client.call("GET", "/queue", params={"phone": "5511777777777"})).json()
    left = datetime.fromisoformat(soon["ExpiresAt"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(seconds=60)
    assert scheduled[0]["ExpiresAt"] is None


async def test_reference_finds_its_messages(slow_client: Client) -> None:
    client, named = slow_client, {"trackId": "order 7"}
    first = await client.send_text("one", **named)
    await client.send_text("two", trackId=8)  # a number is a text
    await client.send_text("three", trackId="")
    await client.send_text("four", phone="5511888888888", **named)

    by_page = (await client.call("GET", "/queue", params=named)).json()
    by_cursor = (await client.call("POST", "/queue", json=named)).json()
    everything = (await client.call("GET", "/queue")).json()
    one = (await client.call("GET", f"/queue/{first['zaapId']}")).json()
    cleared = (await client.call("DELETE", "/queue", params=named)).json()
    left = (await client.call("GET", "/queue")).json()
    history = (await client.call("GET", "/messages", params=named)).json()

    assert [(i["Message"], i["TrackId"]) for i in by_page] == [
        ("one", "order 7"),
        ("four", "order 7"),
    ]
    ids = [[i["_id"] for i in page] for page in (by_cursor["messages"], by_page)]
    assert ids[0] == ids[1]  # the first message may have begun to be sent in between
    assert [i["TrackId"] for i in everything] == ["order 7", "8", None, "order 7"]
    assert one["trackId"] == "order 7"
    assert (cleared["removed"], [i["Message"] for i in left]) == (2, ["two", "three"])
    assert sorted(m["message"] for m in history["messages"]) == ["four", "one"]
    assert {m["trackId"] for m in history["messages"]} == {"order 7"}


@pytest.mark.parametrize(
    ("method", "path", "track_id"),
    [("GET", "/queue", "x" * 257), ("GET", "/messages", "x" * 257), ("DELETE", "/queue", "")],
)
async def test_filter_by_a_reference_that_none_can_have_is_refused(
    slow_client: Client, method: str, path: str, track_id: str
) -> None:
    answer = await slow_client.call(method, path, params={"trackId": track_id})

    assert answer.status_code == 400
    assert "trackId" in answer.json()["error"]


async def test_reference_that_is_too_long_is_refused(slow_client: Client) -> None:
    body = {"phone": "5511999999999", "message": "hi", "trackId": "x" * 257}

    answer = await slow_client.call("POST", "/send-text", json=body)

    assert answer.status_code == 400
    assert "trackId" in answer.json()["error"]


async def test_queue_is_counted_and_cleared(slow_client: Client) -> None:
    for n in range(4):
        await slow_client.send_text(f"text {n}")

    before = (await slow_client.call("GET", "/queue/count")).json()
    cleared = (await slow_client.call("DELETE", "/queue")).json()
    after = (await slow_client.call("GET", "/queue/count")).json()

    assert before == {"count": 4, "queueLength": 4}
    assert cleared == {"value": True, "removed": 4, "queueLength": 0}
    assert after == {"count": 0, "queueLength": 0}


async def test_clear_with_an_age_keeps_younger_messages(slow_client: Client) -> None:
    await slow_client.send_text("young")

    cleared = (await slow_client.call("DELETE", "/queue", params={"olderThan": "3600"})).json()
    wrong = await slow_client.call("DELETE", "/queue", params={"olderThan": "yesterday"})

    assert cleared["removed"] == 0
    assert wrong.status_code == 400
    assert wrong.json()["error"].startswith("olderThan: must be a time with an offset")


@pytest.mark.parametrize("name", ["zaapId", "messageId"])
async def test_message_is_removed_by_either_id(slow_client: Client, name: str) -> None:
    accepted = await slow_client.send_text("never")

    removed = await slow_client.call("DELETE", f"/queue/{accepted[name]}")
    again = await slow_client.call("DELETE", f"/queue/{accepted[name]}")

    assert (removed.status_code, removed.json()) == (200, {"value": True, "queueLength": 0})
    assert again.status_code == 409
    assert again.json()["error"] == "The message is canceled and no longer waits"


async def test_remove_of_an_unknown_message_is_not_found(slow_client: Client) -> None:
    answer = await slow_client.call("DELETE", "/queue/0123456789ABCDEF0123456789ABCDEF")

    assert answer.status_code == 404


async def test_remove_of_a_sent_message_conflicts(client: Client) -> None:
    accepted = await client.send_text("sent")
    await client.sent_at_least(1)
    await _until_empty(client)

    answer = await client.call("DELETE", f"/queue/{accepted['zaapId']}")

    assert answer.status_code == 409
    assert answer.json()["error"] == "The message is sent and no longer waits"


async def test_message_canceled_during_its_pause_is_not_sent(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(
        tmp_path, database_url, GATEWAY_PACE_MIN_SECONDS="1", GATEWAY_PACE_MAX_SECONDS="1"
    ) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            canceled = await client.send_text("canceled")
            other = await client.send_text("other")
            answer = await client.call("DELETE", f"/queue/{canceled['zaapId']}")
            sent = await client.sent_at_least(1)

    assert answer.status_code == 200
    assert [s["messageId"] for s in sent] == [other["messageId"]]


async def test_disconnected_instance_keeps_its_queue_and_continues(
    gateway: RunningGateway, client: Client
) -> None:
    await client.control("connection", state="down")
    accepted = [(await client.send_text(f"text {n}"))["messageId"] for n in range(3)]
    waiting = (await client.call("GET", "/queue")).json()

    await client.control("connection", state="up")
    sent = await client.sent_at_least(3)

    assert [(i["MessageId"], i["Attempts"]) for i in waiting] == [(a, 0) for a in accepted]
    assert [s["messageId"] for s in sent] == accepted
    assert gateway.process is not None
    assert gateway.process.poll() is None


async def _until_empty(client: Client) -> None:
    while (await client.call("GET", "/queue/count")).json()["count"]:
        pass


@pytest.mark.parametrize(
    "path", ["/queue/", "/queue/%2F", "/queue?status=pending&status=scheduled"]
)
async def test_deletion_with_an_odd_address_removes_nothing(slow_client: Client, path: str) -> None:
    await slow_client.send_text("waits")

    answer = await slow_client.call("DELETE", path)

    assert answer.status_code == 400, answer.text
    assert (await slow_client.call("GET", "/queue/count")).json()["count"] == 1
