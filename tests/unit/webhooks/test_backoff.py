"""Pauses between attempts grow, are random within bounds, and end."""

import random
from itertools import pairwise

import pytest

from gateway.webhooks.backoff import RetrySchedule


def low_end(low: float, _high: float) -> float:
    return low


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def high_end(_low: float, high: float) -> float:
    return high


def pauses(schedule: RetrySchedule) -> list[float]:
    found: list[float] = []
    while (pause := schedule.pause_after(len(found) + 1)) is not None:
        found.append(pause)
    return found


def test_default_pauses_begin_soon_and_fill_a_day() -> None:
    waited = pauses(RetrySchedule(middle))

    assert len(waited) + 1 == 16
    assert waited[:5] == pytest.approx([0.5, 1.0, 2.0, 5.0, 15.0])
    assert all(later == pytest.approx(2.5 * pause) for pause, later in pairwise(waited[4:12]))
    assert waited[12:] == [21_600.0] * 3
    assert 20 * 3_600 < sum(waited) < 24 * 3_600


def test_pause_is_random_by_a_fifth() -> None:
    uniform = random.Random(1).uniform
    drawn = [RetrySchedule(uniform).pause_after(1) or 0.0 for _ in range(1_000)]

    assert RetrySchedule(low_end).pause_after(1) == pytest.approx(0.4)
    assert RetrySchedule(high_end).pause_after(1) == pytest.approx(0.6)
    assert min(drawn) >= 0.4
    assert max(drawn) <= 0.6
    assert max(drawn) - min(drawn) > 0.19


@pytest.mark.parametrize(
    ("asked_seconds", "pause"),
    [(0.0, 0.5), (0.4, 0.5), (60.0, 60.0), (3_600.0, 3_600.0), (86_400.0, 3_600.0)],
)
def test_asked_pause_is_obeyed_within_bounds(asked_seconds: float, pause: float) -> None:
    assert RetrySchedule(middle).pause_after(1, asked_seconds=asked_seconds) == pause


def test_receiver_cannot_ask_for_an_earlier_or_extra_attempt() -> None:
    schedule = RetrySchedule(middle, base_seconds=500.0, max_attempts=3)

    assert schedule.pause_after(2, asked_seconds=1.0) == 100.0
    assert schedule.pause_after(3, asked_seconds=1.0) is None


@pytest.mark.parametrize("attempts", [16, 17, 10_000])
def test_no_pause_follows_the_last_attempt(attempts: int) -> None:
    assert RetrySchedule(middle).pause_after(attempts) is None


def test_outage_is_over_after_its_maximum() -> None:
    schedule = RetrySchedule(middle, max_outage_seconds=60.0)

    assert [schedule.is_over(seconds) for seconds in (0.0, 60.0, 60.1)] == [False, False, True]
