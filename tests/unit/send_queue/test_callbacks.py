"""The queue's callbacks name the message, and an echo never keeps an outcome back."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.contract.send import STORED_VERSION
from gateway.send_queue import callbacks
from gateway.send_queue.callbacks import delivery_body, echo_body, hold_body, sent_status_body
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.send_queue.outcome import Sent
from gateway.sessions.provider import Receipt

AT_MS = 1_900_000_000_123
SENT = Sent(Receipt("M"))
AT = datetime.fromtimestamp(1_900_000_000.123, tz=UTC)


def claimed(**columns: Any) -> ClaimedMessage:
    message: dict[str, Any] = {
        "instance_id": "I",
        "id": 1,
        "zaap_id": "Z",
        "message_id": "M",
        "type": "send-text",
        "version": STORED_VERSION,
        "phone": "5511999999999",
        "payload": {"phone": "5511999999999", "message": "hello"},
        "priority": 1,
        "position": 1,
        "attempts": 0,
        "max_attempts": 3,
        "created_at": AT,
        "claimed_epoch": 1,
        "claim_id": None,
        "is_expired": False,
        "reordered": 0,
    }
    return ClaimedMessage(**{**message, **columns})


@pytest.mark.parametrize("error", [None, "expired"])
def test_delivery_body_names_the_message_and_its_error(error: str | None) -> None:
    body = json.loads(delivery_body(claimed(), at_ms=AT_MS, error=error))

    assert (body["type"], body["instanceId"], body["phone"]) == (
        "DeliveryCallback",
        "I",
        "5511999999999",
    )
    assert (body["zaapId"], body["messageId"], body["momment"]) == ("Z", "M", AT_MS)
    assert body.get("error") == error


@pytest.mark.parametrize(
    ("phone", "is_group"), [("5511999999999", False), ("120363019502650977-group", True)]
)
def test_status_body_says_that_the_message_was_sent(phone: str, *, is_group: bool) -> None:
    assert json.loads(sent_status_body(claimed(phone=phone), at_ms=AT_MS)) == {
        "type": "MessageStatusCallback",
        "instanceId": "I",
        "status": "SENT",
        "ids": ["M"],
        "messageId": "M",
        "momment": AT_MS,
        "phone": phone,
        "phoneDevice": 0,
        "isGroup": is_group,
    }


def test_every_body_of_a_message_has_the_reference_of_its_caller() -> None:
    row = claimed(payload={"phone": "5511999999999", "message": "hello", "track_id": "A 1"})
    bodies = (
        delivery_body(row, at_ms=AT_MS),
        sent_status_body(row, at_ms=AT_MS),
        echo_body(row, SENT, at_ms=AT_MS) or "",
    )

    assert [json.loads(body)["trackId"] for body in bodies] == ["A 1"] * 3


def test_hold_body_names_the_end_in_milliseconds() -> None:
    body = json.loads(hold_body("I", "daily_limit", "quiet", until=AT, at_ms=1))

    assert body == {
        "type": "QueueHeldCallback",
        "instanceId": "I",
        "momment": 1,
        "kind": "daily_limit",
        "reason": "quiet",
        "until": AT_MS,
    }


def test_echo_body_shows_the_message_as_received() -> None:
    body = json.loads(echo_body(claimed(), SENT, at_ms=AT_MS) or "")

    assert (body["type"], body["fromMe"], body["fromApi"]) == ("ReceivedCallback", True, True)
    assert body["text"]["message"] == "hello"


@pytest.mark.parametrize("columns", [{"type": "send-nothing"}, {"payload": {}}])
def test_echo_body_of_an_unreadable_message_is_reported(
    columns: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[BaseException] = []
    monkeypatch.setattr(callbacks, "report_error", lambda error, **_context: reports.append(error))

    assert echo_body(claimed(**columns), SENT, at_ms=AT_MS) is None
    assert len(reports) == 1
