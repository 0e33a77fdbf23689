"""A node counts in memory, by instance and period."""

from datetime import UTC, datetime, timedelta

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
    counts.posted("one", delivered=True)
    counts.posted("one", delivered=False)
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


def test_latency_falls_between_its_bounds() -> None:
    counts = TrafficCounts(ManualClock())
    for seconds in (0.5, 0.501, 100_000.0, -3.0):  # a clock may be behind that of Postgres
        counts.sent("one", since=ManualClock.at - timedelta(seconds=seconds))

    (sums,) = counts.take(ended=False)

    assert sums.sent == 4
    assert sums.latency_ms == 500 + 501 + 100_000_000
    assert sums.latency_counts == [2, 1, *[0] * (len(LATENCY_BOUNDS_SECONDS) - 2), 1]
