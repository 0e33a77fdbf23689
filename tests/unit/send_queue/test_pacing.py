"""Pauses stay within their bounds, and a daily limit grows with the warm-up."""

import random
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.instances.store import Instance
from gateway.send_queue.pacing import Backoff, Pace, SendPolicy, pause_before


def instance(**columns: Any) -> Instance:
    made_long_ago = {"created_at": datetime(2020, 1, 1, tzinfo=UTC)}
    nothing: dict[str, Any] = dict.fromkeys(field.name for field in fields(Instance))
    return Instance(**{**nothing, **made_long_ago, **columns})


def shortest(low: float, _high: float) -> float:
    return low


def longest(_low: float, high: float) -> float:
    return high


def test_pause_lies_between_its_bounds() -> None:
    pace = Pace(1.0, 3.0)
    uniform = random.Random(1).uniform

    pauses = [pause_before(None, pace, uniform) for _ in range(1_000)]

    assert pause_before(None, pace, shortest) == 1.0
    assert pause_before(None, pace, longest) == 3.0
    assert min(pauses) < 1.1
    assert max(pauses) > 2.9
    assert all(1.0 <= pause <= 3.0 for pause in pauses)


def test_delay_of_the_caller_is_added_to_the_pause() -> None:
    assert pause_before(15, Pace(1.0, 3.0), shortest) == 16.0


def test_pace_of_zero_has_no_pause() -> None:
    assert pause_before(None, Pace(0.0, 0.0), longest) == 0.0


@pytest.mark.parametrize(
    ("attempts", "low", "high"), [(1, 2.5, 5.0), (2, 5.0, 10.0), (3, 10.0, 20.0), (4, 20.0, 40.0)]
)
def test_backoff_doubles_with_each_attempt(attempts: int, low: float, high: float) -> None:
    backoff = Backoff(base_seconds=5.0, cap_seconds=300.0)

    assert backoff.after(attempts, shortest) == low
    assert backoff.after(attempts, longest) == high


@pytest.mark.parametrize("attempts", [7, 8, 100, 1_000])
def test_backoff_never_exceeds_its_cap(attempts: int) -> None:
    backoff = Backoff(base_seconds=5.0, cap_seconds=300.0)

    assert backoff.after(attempts, longest) == 300.0
    assert backoff.after(attempts, shortest) == 150.0


def test_backoff_with_a_base_of_zero_has_no_pause() -> None:
    assert Backoff(0.0, 300.0).after(5, longest) == 0.0


def test_backoff_is_random() -> None:
    uniform = random.Random(1).uniform

    assert len({Backoff().after(3, uniform) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("limit", "warm_up_days", "age_days", "today"),
    [
        (0, 0, 0, 0),
        (0, 10, 0, 0),
        (500, 0, 0, 500),
        (500, 10, 0, 50),
        (500, 10, 0.99, 50),
        (500, 10, 1, 100),
        (500, 10, 9, 500),
        (500, 10, 400, 500),
        (5, 10, 0, 1),
        (500, 10, -3, 50),
    ],
)
def test_warm_up_raises_the_daily_limit_in_equal_steps(
    limit: int, warm_up_days: int, age_days: float, today: int
) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    begun = now - timedelta(days=age_days)
    young = instance(created_at=begun, daily_limit=limit, warm_up_days=warm_up_days)
    again = instance(warm_up_from=begun, daily_limit=limit, warm_up_days=warm_up_days)

    assert SendPolicy(Pace(1, 3)).limit_of(young, now) == today
    assert SendPolicy(Pace(1, 3)).limit_of(again, now) == today
    assert (
        SendPolicy(Pace(1, 3), limit, warm_up_days).limit_of(instance(created_at=begun), now)
        == today
    )
