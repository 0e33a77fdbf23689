"""Admission refuses times that make no sense together, with a sentence that names the field."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import InvalidRequest, NotSupported
from gateway.instances.store import Instance
from gateway.send_queue.admission import Admission

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEXT = {"phone": "5511999999999", "message": "Hello"}


class StoppedClock(Clock):
    def now(self) -> datetime:
        return NOW


def check(*, provider: str = "any", **fields: object) -> None:
    instance = SimpleNamespace(trial_ends_at=None, subscribed=True, provider=provider)
    admission = Admission(StoppedClock(), trials=False, supports=lambda name, _kind: name == "any")
    admission.check(cast("Instance", instance), build(SendText, {**TEXT, **fields}))


def test_message_that_the_provider_cannot_send_is_refused() -> None:
    with pytest.raises(NotSupported, match="SendText is not supported by the simple provider"):
        check(provider="simple")


def after(**duration: float) -> str:
    return (NOW + timedelta(**duration)).isoformat()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"expiresAt": after(seconds=1)},
        {"expiresAt": int((NOW + timedelta(hours=1)).timestamp())},
        {"expiresAt": after(days=180)},
        {"expiresAt": None, "expiresIn": 60},
        {"expiresIn": "60"},
        {"expiresIn": 180 * 86_400},
        {"scheduledFor": after(days=90), "expiresAt": after(days=91)},
        {"scheduledFor": after(hours=1), "expiresIn": 3_601},
    ],
)
def test_admission_accepts_an_expiry_after_the_due_time(fields: dict[str, Any]) -> None:
    check(**fields)


_BEFORE_DUE = "the message would expire before it is due; expire it after scheduledFor"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scheduledFor": after(seconds=0)}, "scheduledFor: must be in the future"),
        ({"scheduledFor": after(days=91)}, "scheduledFor: must be at most 90 days ahead"),
        ({"expiresAt": after(seconds=0)}, "expiresAt: must be in the future"),
        ({"expiresAt": after(days=-9)}, "expiresAt: must be in the future"),
        ({"expiresAt": after(days=181)}, "expiresAt: must be at most 180 days ahead"),
        (
            {"expiresAt": after(hours=1), "expiresIn": 60},
            "expiresIn: must not be given together with expiresAt",
        ),
        (
            {"scheduledFor": after(hours=2), "expiresAt": after(hours=2)},
            f"expiresAt: {_BEFORE_DUE}",
        ),
        ({"scheduledFor": after(hours=2), "expiresIn": 7_200}, f"expiresIn: {_BEFORE_DUE}"),
        (
            {"expiresAt": "2026-02-01T12:00:00"},
            "expiresAt: must name its offset, such as 2026-01-31T12:00:00Z",
        ),
        (
            {"expiresAt": "tomorrow"},
            "expiresAt: must be a time with an offset, such as 2026-01-31T12:00:00Z",
        ),
        ({"expiresIn": 0}, "expiresIn: must be at least 1"),
        ({"expiresIn": -5}, "expiresIn: must be at least 1"),
        ({"expiresIn": 180 * 86_400 + 1}, "expiresIn: must be at most 15552000"),
        ({"expiresIn": 10**400}, "expiresIn: must be at most 15552000"),
        ({"expiresIn": "soon"}, "expiresIn: must be a whole number"),
        ({"expiresIn": 1.5}, "expiresIn: must be a whole number"),
        ({"expiresIn": True}, "expiresIn: must be a number of seconds"),
        ({"expiresIn": [60]}, "expiresIn: must be a whole number"),
    ],
)
def test_admission_refuses_an_impossible_time(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(**fields)

    assert str(caught.value) == sentence


def test_every_send_takes_an_expiry_and_stores_it_beside_the_message() -> None:
    for kind in catalogue().sends.values():
        assert {"expires_at", "expires_in"} <= kind.model_fields.keys()
        example = build(kind, {**kind.example, "expiresIn": 60})
        assert example.expires_in == 60
        assert "expires_in" not in example.model_dump_json()
