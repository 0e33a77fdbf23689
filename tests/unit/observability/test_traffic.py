"""A node counts in memory, by instance and period."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.clock import Clock
from gateway.observability.traffic import LATENCY_BOUNDS_SECONDS, TrafficCounts

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class ManualClock(Clock):
    at = NOON + timedelta(minutes=2)

    def now(self) -> datetime:
        return self.at


def test_counts_are_summed_by_instance_and_period() -> None:
    clock = ManualClock()
    counts = TrafficCounts(clock)

    for instance_id in ("one", "one", "two"):
        counts.accepted(instance_id)
    counts.failed("one", "refused")
    counts.delivered("one", lag_seconds=1.0)
    counts.not_delivered("one")
    clock.at += timedelta(minutes=5)
    counts.received("one")

    assert [
        (s.instance_id, s.at, s.accepted, s.received, s.failures) for s in counts.take(ended=False)
    ] == [
        ("one", NOON, 2, 0, {"refused": 1}),
        ("two", NOON, 1, 0, {}),
        ("one", NOON + timedelta(minutes=5), 0, 1, {}),
    ]
    assert counts.take(ended=False) == []


def test_present_period_stays_until_it_has_ended() -> None:
    clock = ManualClock()
    counts = TrafficCounts(clock)
    counts.accepted("one")

    assert counts.take(ended=True) == []
    assert counts.seconds_to_next_period() == 180
    clock.at += timedelta(seconds=180)
    assert [sums.accepted for sums in counts.take(ended=True)] == [1]


def test_period_of_a_campaign_is_as_short_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.observability.traffic.PERIOD_SECONDS", 1.0)
    clock = ManualClock()
    counts = TrafficCounts(clock)

    for _ in range(3):
        assert counts.seconds_to_next_period() == 1
        clock.at += timedelta(seconds=1)


def test_latency_falls_between_its_bounds() -> None:
    counts = TrafficCounts(ManualClock())
    for seconds in (0.5, 0.501, 100_000.0, -3.0):  # a clock may be behind that of Postgres
        counts.sent("one", since=ManualClock.at - timedelta(seconds=seconds))

    (sums,) = counts.take(ended=False)

    assert sums.sent == 4
    assert sums.latency_ms == 500 + 501 + 100_000_000
    assert sums.latency_counts == [2, 1, *[0] * (len(LATENCY_BOUNDS_SECONDS) - 2), 1]


def test_lag_of_callbacks_has_a_sum_and_the_longest() -> None:
    counts = TrafficCounts(ManualClock())
    for seconds in (0.25, 90.0, -3.0):  # a clock may be behind that of Postgres
        counts.delivered("one", lag_seconds=seconds)
    counts.not_delivered("one")

    (sums,) = counts.take(ended=False)

    assert (sums.callbacks_delivered, sums.callbacks_timed, sums.callbacks_failed) == (3, 3, 1)
    assert (sums.callback_lag_ms, sums.callback_lag_max_ms) == (90_250, 90_000)
