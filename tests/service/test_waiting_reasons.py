"""Every message that waits says why, in the list and by itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fixtures.service import Client, until

ANN, BOB = "5511999999991", "5511999999992"
LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
SHOWN = f"{LATER:%Y-%m-%d %H:%M:%S} UTC"


async def reasons(client: Client) -> list[tuple[str, str]]:
    """Returns code and sentence of each message, which both routes must agree on."""
    items = (await client.call("GET", "/queue")).json()
    listed = [(item["WaitingFor"], item["WaitingReason"]) for item in items]
    alone = [
        (one["waitingFor"], one["waitingReason"])
        for one in [(await client.call("GET", f"/queue/{i['ZaapId']}")).json() for i in items]
    ]
    return listed if listed == alone else []


async def wait_for(client: Client, *codes: str) -> list[str]:
    """Waits until the messages wait for that; returns the sentences."""
    found = await until(
        lambda: reasons(client), lambda found: [code for code, _sentence in found] == [*codes]
    )
    return [sentence for _code, sentence in found]


async def control(client: Client, path: str, **body: Any) -> None:
    answer = await client.call("PUT" if body else "POST", path, json=body or None)
    assert answer.status_code == 200, answer.text


async def test_scheduled_message_and_paused_queue_say_so(client: Client) -> None:
    await control(client, "/queue/pause")
    await client.send_text("later", scheduledFor=LATER.isoformat())
    sent = await client.send_text("now")

    waiting = await wait_for(client, "scheduled", "paused")
    await control(client, "/queue/resume")
    await client.sent_at_least(1)
    after = (await client.call("GET", f"/queue/{sent['zaapId']}")).json()

    assert waiting == [f"It is scheduled for {SHOWN}.", "The queue is paused."]
    assert (after["waitingFor"], after["waitingReason"]) == (None, None)


async def test_disconnected_instance_says_so(client: Client) -> None:
    await client.control("connection", state="logged_out")
    await until(
        lambda: client.call("GET", "/queue/stats"), lambda answer: not answer.json()["connected"]
    )
    await client.send_text("text")

    assert await wait_for(client, "disconnected") == ["The instance is not connected to WhatsApp."]


async def test_hold_says_who_holds_and_until_when(client: Client) -> None:
    await client.control("faults", next=[{"fault": "restricted_until", "until": LATER.isoformat()}])
    await client.send_text("text")

    assert await wait_for(client, "held") == [
        f"WhatsApp limits the number; the queue is on hold until {SHOWN}."
    ]


async def test_daily_limit_says_when_the_queue_goes_on(client: Client) -> None:
    await control(client, "/queue/settings", dailyLimit=1)
    await client.send_text("one")
    await client.sent_at_least(1)
    await client.send_text("two")

    (sentence,) = await wait_for(client, "daily_limit")

    assert sentence.startswith("The daily limit is reached; the queue goes on at ")
    assert sentence.endswith(" 00:00:00 UTC.")


async def test_retry_and_the_message_behind_it_say_so(client: Client) -> None:
    await client.control("faults", next=[{"fault": "transient", "afterSeconds": 3_600}])
    await client.send_text("busy", phone=ANN)
    await client.send_text("behind", phone=ANN)
    await client.send_text("passes", phone=BOB)

    retry, behind = await wait_for(client, "retry", "chat")

    assert retry.startswith("The last attempt failed; the next one is at ")
    assert behind == (
        "It is behind another message of its chat, which waits for its file or its next attempt."
    )
