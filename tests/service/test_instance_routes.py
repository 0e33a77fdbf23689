"""Routes that link, unlink, restart and show an instance answer as Z-API's do."""

import base64
import struct
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fixtures.service import Client, RunningGateway, until

FRIEND = "5511999999999"
DONE = {"value": True}
CONNECTED = {
    "connected": True,
    "session": True,
    "error": "You are already connected.",
    "smartphoneConnected": True,
}


def getting(client: Client, path: str) -> Callable[[], Awaitable[Any]]:
    async def get() -> Any:
        return (await client.call("GET", path)).json()

    return get


async def status_with(client: Client, error: str) -> dict[str, Any]:
    seen: dict[str, Any] = await until(
        getting(client, "/status"), lambda status: status["error"] == error
    )
    return seen


async def connected(client: Client) -> dict[str, Any]:
    return await status_with(client, "You are already connected.")


@pytest.fixture
async def linked(client: Client) -> Client:
    await connected(client)
    return client


@pytest.fixture
async def unlinked(linked: Client) -> Client:
    """A client of an instance whose phone ended the session."""
    await linked.control("connection", state="logged_out")
    await status_with(linked, "You are not connected.")
    return linked


async def test_status_names_the_next_step(linked: Client) -> None:
    up = await connected(linked)
    await linked.control("connection", state="down")
    down = await status_with(linked, "You need to restore the session.")
    await linked.control("connection", state="logged_out")
    out = await status_with(linked, "You are not connected.")

    created = up.pop("created")
    assert up == CONNECTED
    assert down == {
        "connected": False,
        "session": True,
        "created": created,
        "error": "You need to restore the session.",
        "smartphoneConnected": False,
    }
    assert out["session"] is False
    assert abs(created / 1000 - datetime.now(UTC).timestamp()) < 600


async def test_qr_code_is_served_as_text_and_as_image(unlinked: Client) -> None:
    text = (await unlinked.call("GET", "/qr-code")).json()
    uri = (await unlinked.call("GET", "/qr-code/image")).json()["value"]
    file = await unlinked.call("GET", "/qr-code/image", headers={"Accept": "image/png"})
    shown = await unlinked.call("GET", "/qr-code", headers={"Accept": "image/*"})

    assert text["value"] == text["qrCode"]
    assert text["value"].startswith("2@")
    kind, _, encoded = uri.partition(",")
    assert kind == "data:image/png;base64"
    assert file.headers["content-type"] == "image/png"
    assert side_of_png(base64.b64decode(encoded)) == side_of_png(file.content) > 200
    assert shown.headers["content-type"] == "image/png"
    assert side_of_png(shown.content) == side_of_png(file.content)


async def test_browser_accept_header_gets_json(unlinked: Client) -> None:
    answer = await unlinked.call(
        "GET", "/qr-code/image", headers={"Accept": "text/html,image/avif,*/*;q=0.8"}
    )

    assert answer.headers["content-type"] == "application/json"


async def test_pairing_code_belongs_to_one_phone(unlinked: Client) -> None:
    mine = (await unlinked.call("GET", f"/phone-code/{FRIEND}")).json()["code"]
    masked = (await unlinked.call("GET", "/phone-code/+55 (11) 99999-9999")).json()["code"]
    other = (await unlinked.call("GET", "/phone-code/5511888888888")).json()["code"]
    group = await unlinked.call("GET", "/phone-code/120363019502650977-group")

    assert [len(part) for part in mine.split("-")] == [4, 4]
    assert mine == masked != other
    assert (group.status_code, group.json()["error"]) == (400, "Invalid phone")


@pytest.mark.parametrize("path", ["/qr-code", "/qr-code/image", f"/phone-code/{FRIEND}"])
async def test_qr_code_of_linked_phone_answers_connected(linked: Client, path: str) -> None:
    answer = await linked.call("GET", path)

    assert (answer.status_code, answer.json()) == (200, {"connected": True})


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_disconnect_requires_new_scan_and_queue_waits(linked: Client, method: str) -> None:
    answer = await linked.call(method, "/disconnect")
    await status_with(linked, "You are not connected.")
    accepted = await linked.send_text("waits")
    waiting = (await linked.call("GET", "/queue/count")).json()["count"]
    shown = (await linked.call("GET", "/qr-code")).json()
    again = await linked.call(method, "/disconnect")
    restored = await linked.call("GET", "/restore-session")
    await linked.control("scan")
    sent = await linked.sent_at_least(1)

    assert (answer.status_code, answer.json()) == (200, DONE)
    assert waiting == 1
    assert shown["value"]
    assert again.json() == DONE
    assert restored.json() == {"value": False}
    assert [row["messageId"] for row in sent] == [accepted["messageId"]]
    await connected(linked)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_restore_session_reconnects_linked_phone(linked: Client, method: str) -> None:
    await linked.control("connection", state="down")
    await status_with(linked, "You need to restore the session.")
    accepted = await linked.send_text("waits")

    answer = await linked.call(method, "/restore-session")
    sent = await linked.sent_at_least(1)

    assert (answer.status_code, answer.json()) == (200, DONE)
    assert [row["messageId"] for row in sent] == [accepted["messageId"]]
    assert (await linked.call(method, "/restore-session")).json() == DONE


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_restart_keeps_phone_and_queue_order(
    gateway: RunningGateway, linked: Client, method: str
) -> None:
    accepted = []
    for n in range(30):
        accepted.append((await linked.send_text(f"text {n}"))["messageId"])
        if n % 10 == 5:
            answer = await linked.call(method, "/restart")
            assert (answer.status_code, answer.json()) == (200, DONE)
    sent = await linked.sent_at_least(30)

    assert [row["messageId"] for row in sent] == accepted
    assert [row["seen"] for row in sent] == [1] * 30
    assert '"session_ended"' not in gateway.log
    assert "Traceback" not in gateway.log
    await connected(linked)


async def test_restart_lets_attempt_in_flight_finish(linked: Client) -> None:
    slow = {"fault": "slow", "seconds": 1}
    await linked.control("faults", next=[slow])
    accepted = [(await linked.send_text(text))["messageId"] for text in ("slow", "after it")]
    await until(
        getting(linked, "/queue"),
        lambda items: any(item["Status"] == "processing" for item in items),
    )

    assert (await linked.call("GET", "/restart")).json() == DONE
    sent = await linked.sent_at_least(2)

    assert [(row["messageId"], row["seen"]) for row in sent] == [(a, 1) for a in accepted]


async def test_device_is_shown_only_while_connected(linked: Client) -> None:
    seen = (await linked.http.get(linked.sandbox)).json()
    device = (await linked.call("GET", "/device")).json()
    await linked.control("connection", state="down")
    away = await until(
        lambda: linked.call("GET", "/device"), lambda answer: answer.status_code != 200
    )

    assert device == {
        "phone": seen["phone"],
        "imgUrl": None,
        "about": "A simulated phone.",
        "name": "Sandbox",
        "device": {"sessionName": "Gateway", "device_model": "Sandbox"},
        "originalDevice": "android",
        "sessionId": device["sessionId"],
        "isBusiness": False,
    }
    assert isinstance(device["sessionId"], int)
    assert (away.status_code, away.json()["error"]) == (503, "You are not connected.")


async def test_me_holds_every_documented_field(linked: Client) -> None:
    me = (await linked.call("GET", "/me")).json()

    created = datetime.fromisoformat(me.pop("created"))
    assert me == {
        "id": linked.demo.instance_id,
        "token": linked.demo.instance_token,
        "name": "Demo",
        "due": 4102444800000,
        "connected": True,
        "paymentStatus": "PAID",
        "connectedCallbackUrl": None,
        "deliveryCallbackUrl": None,
        "disconnectedCallbackUrl": None,
        "messageStatusCallbackUrl": None,
        "presenceChatCallbackUrl": None,
        "receivedCallbackUrl": None,
        "receiveCallbackSentByMe": False,
        "callRejectAuto": False,
        "callRejectMessage": None,
        "autoReadMessage": False,
        "initialDataCallbackUrl": None,
        "messageFilters": [],
        "callbackTypeFilters": [],
    }
    assert created.tzinfo is not None


async def test_address_of_initial_data_is_stored_checked_and_removed(client: Client) -> None:
    path = "/update-webhook-initial-data"
    for value in ("http://127.0.0.1:9/initial", ""):
        answer = await client.call("PUT", path, json={"value": value})
        assert answer.json() == {"value": True}
        me = (await client.call("GET", "/me")).json()
        assert me["initialDataCallbackUrl"] == (value or None)
    refused = await client.call("PUT", path, json={"value": "http://10.0.0.1/initial"})
    assert (refused.status_code, refused.json()["error"].partition(":")[0]) == (400, "value")


async def test_update_name_is_visible_at_once(client: Client) -> None:
    for name in ("Support", "  Sales ", 7):
        answer = await client.call("PUT", "/update-name", json={"value": name})
        me = (await client.call("GET", "/me")).json()

        assert (answer.status_code, answer.json()) == (200, DONE)
        assert me["name"] == str(name).strip()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "value: is required"),
        ({"value": " "}, "value: must not be empty"),
        ({"value": "n" * 256}, "value: must be at most 255 characters, not 256"),
    ],
)
async def test_update_name_with_wrong_value_is_refused(
    client: Client, body: dict[str, Any], error: str
) -> None:
    answer = await client.call("PUT", "/update-name", json=body)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def side_of_png(content: bytes) -> int:
    """Returns the width of a complete, square PNG in pixels."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    header = content[12:29]
    assert zlib.crc32(header) == struct.unpack(">I", content[29:33])[0]
    width, height = struct.unpack(">II", header[4:12])
    assert width == height
    return int(width)
