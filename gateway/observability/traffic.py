"""Counts what each instance accepted, sent, received and delivered, in the memory of this node.

A count costs no statement: the sums of a period are written once, after its end. A node that is
killed loses what it counted and did not write: the present period, and those that ended while
Postgres was unavailable.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.clock import Clock

PERIOD_SECONDS = 300.0
LATENCY_BOUNDS_SECONDS: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400)
"""Stored sums have these bounds, so they never change."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class TrafficSums:
    """The sums of one instance in the period that begins at `at`.

    `failures` are messages that failed for good, by class of error; `latency_counts` has one count
    for each bound and one for what took longer. `callback_lag_ms` is the sum over the
    `callbacks_timed`.
    """

    instance_id: str
    at: datetime
    accepted: int = 0
    sent: int = 0
    received: int = 0
    callbacks_delivered: int = 0
    callbacks_failed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latency_ms: int = 0
    latency_counts: list[int] = field(
        default_factory=lambda: [0] * (len(LATENCY_BOUNDS_SECONDS) + 1)
    )
    callbacks_timed: int = 0
    callback_lag_ms: int = 0
    callback_lag_max_ms: int = 0

    def add_sent(self, seconds: float) -> None:
        self.sent += 1
        self.latency_ms += round(seconds * 1_000)
        self.latency_counts[bisect_left(LATENCY_BOUNDS_SECONDS, seconds)] += 1

    def add_delivered(self, lag_seconds: float) -> None:
        lag_ms = round(lag_seconds * 1_000)
        self.callbacks_delivered += 1
        self.callbacks_timed += 1
        self.callback_lag_ms += lag_ms
        self.callback_lag_max_ms = max(self.callback_lag_max_ms, lag_ms)


class TrafficCounts:
    """The sums that were not written yet; one object for each instance and period with activity."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._period = self._ends_at = _EPOCH
        self._sums: dict[tuple[str, datetime], TrafficSums] = {}

    def accepted(self, instance_id: str) -> None:
        self._of(instance_id).accepted += 1

    def sent(self, instance_id: str, *, since: datetime) -> None:
        """Counts a message that was accepted, or scheduled for, *since*."""
        seconds = (self._clock.now() - since).total_seconds()
        self._of(instance_id).add_sent(max(0.0, seconds))

    def failed(self, instance_id: str, error_class: str) -> None:
        """Counts a message that failed for good."""
        self._of(instance_id).failures[error_class] += 1

    def received(self, instance_id: str) -> None:
        self._of(instance_id).received += 1

    def delivered(self, instance_id: str, *, lag_seconds: float) -> None:
        """Counts a callback that its receiver took so long after the event."""
        self._of(instance_id).add_delivered(max(0.0, lag_seconds))

    def not_delivered(self, instance_id: str) -> None:
        """Counts an attempt to post a callback that failed."""
        self._of(instance_id).callbacks_failed += 1

    def take(self, *, ended: bool) -> Sequence[TrafficSums]:
        """Removes and returns the sums of periods that have *ended*, or of all periods."""
        current = self.period()
        taken = [key for key in self._sums if not ended or key[1] < current]
        return [self._sums.pop(key) for key in taken]

    def seconds_to_next_period(self) -> float:
        self.period()
        return (self._ends_at - self._clock.now()).total_seconds()

    def _of(self, instance_id: str) -> TrafficSums:
        key = (instance_id, self.period())
        if (sums := self._sums.get(key)) is None:
            sums = self._sums[key] = TrafficSums(*key)
        return sums

    def period(self) -> datetime:
        """Returns the beginning of the present period."""
        now = self._clock.now()
        if not self._period <= now < self._ends_at:
            length = timedelta(seconds=PERIOD_SECONDS)
            self._period = _EPOCH + (now - _EPOCH) // length * length
            self._ends_at = self._period + length
        return self._period
