"""The queue's callbacks name the message, and an echo never keeps an outcome back."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.contract.send import STORED_VERSION
from gateway.send_queue import callbacks
from gateway.send_queue.callbacks import delivery_body, echo_body, hold_body
from gateway.send_queue.claim import ClaimedMessage
from gateway.send_queue.outcome import Held

AT_MS = 1_900_000_000_123
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


def test_hold_body_names_the_end_in_milliseconds() -> None:
    held = Held(AT, "quiet", "daily_limit")

    body = json.loads(hold_body("I", held, at_ms=1))

    assert body == {
        "type": "QueueHeldCallback",
        "instanceId": "I",
        "momment": 1,
        "kind": "daily_limit",
        "reason": "quiet",
        "until": AT_MS,
    }


def test_echo_body_shows_the_message_as_received() -> None:
    body = json.loads(echo_body(claimed(), {}, at_ms=AT_MS) or "")

    assert (body["type"], body["fromMe"], body["fromApi"]) == ("ReceivedCallback", True, True)
    assert body["text"]["message"] == "hello"


@pytest.mark.parametrize("columns", [{"type": "send-nothing"}, {"payload": {}}])
def test_echo_body_of_an_unreadable_message_is_reported(
    columns: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[BaseException] = []
    monkeypatch.setattr(callbacks, "report_error", lambda error, **_context: reports.append(error))

    assert echo_body(claimed(**columns), {}, at_ms=AT_MS) is None
    assert len(reports) == 1
