"""The health of one connection: a circuit breaker, and when a connection is opened again.

    unknown --good--> healthy --3 bad in a row--> unhealthy --good, after 60 s--> recovering
                         ^                            ^                            |   |
                         |                            +-----------bad--------------+   |
                         +------------------10 minutes without a bad one---------------+

Times are seconds on the monotonic clock. Nothing here waits or reads.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gateway.contract.extensions.connections import ConnectionHealth

MAX_REFUSALS: Final = 5
"""How often a connection that WhatsApp refuses is opened again before that becomes once an hour."""
_BAD_IN_A_ROW: Final = 3
_OPEN_SECONDS: Final = 60.0
_RECOVERY_SECONDS: Final = 600.0
_RESULTS: Final = 20
_MIN_REPAIR_SECONDS, _MAX_REPAIR_SECONDS, _REFUSED_SECONDS = 60.0, 300.0, 3_600.0


@dataclass(slots=True)
class HealthCircuit:
    """What the checks of a connection lead to."""

    status: ConnectionHealth = "unknown"
    bad_in_a_row: int = 0
    recovering_since: float = 0.0
    _results: deque[bool] = field(default_factory=lambda: deque(maxlen=_RESULTS))

    @property
    def error_rate(self) -> float | None:
        """The share of the latest checks that were bad; None before the first."""
        return 1 - sum(self._results) / len(self._results) if self._results else None

    def pause_seconds(self, usual_seconds: float) -> float:
        """Returns how long to wait before the next check."""
        return max(usual_seconds, _OPEN_SECONDS) if self.status == "unhealthy" else usual_seconds

    def note_good(self, now: float) -> None:
        self._results.append(True)
        self.bad_in_a_row = 0
        if self.status == "unhealthy":
            self.status, self.recovering_since = "recovering", now
        elif self.status == "unknown" or (
            self.status == "recovering" and now - self.recovering_since >= _RECOVERY_SECONDS
        ):
            self.status = "healthy"

    def note_bad(self) -> None:
        self._results.append(False)
        self.bad_in_a_row += 1
        if self.status == "recovering" or self.bad_in_a_row >= _BAD_IN_A_ROW:
            self.status = "unhealthy"

    def reset(self) -> None:
        """Notes that the connection is not checked, because only a person can mend it."""
        self.status, self.bad_in_a_row = "unknown", 0
        self._results.clear()


@dataclass(slots=True)
class RepairPlan:
    """When a connection that fails is opened again.

    While WhatsApp is out of reach the pauses grow to five minutes, without an end. After five
    attempts that WhatsApp answered with a refusal there is one in an hour.
    """

    count: int = 0
    refusals: int = 0
    due_at: float | None = None

    @property
    def is_capped(self) -> bool:
        return self.refusals >= MAX_REFUSALS

    def note_bad(self, now: float, *, refused: bool) -> bool:
        """Plans the next repair; says whether one is due, which then counts."""
        if not refused:
            self.refusals = 0
            if self.due_at is not None:
                self.due_at = min(self.due_at, now + _MAX_REPAIR_SECONDS)
        if self.due_at is not None and now < self.due_at:
            return False
        self.refusals += refused
        self.due_at = now + self._pause()
        self.count += 1
        return True

    def reset(self) -> None:
        self.count, self.refusals, self.due_at = 0, 0, None

    def _pause(self) -> float:
        if self.is_capped:
            return _REFUSED_SECONDS
        return float(min(_MAX_REPAIR_SECONDS, _MIN_REPAIR_SECONDS * 2 ** min(self.count, 10)))


@dataclass(slots=True)
class EventCounter:
    """How many events the sessions of a connection reported, and what became of them."""

    reported: int = 0
    stored: int = 0
    processed: int = 0

    def __add__(self, other: "EventCounter") -> "EventCounter":
        return EventCounter(
            self.reported + other.reported,
            self.stored + other.stored,
            self.processed + other.processed,
        )


@dataclass(slots=True)
class EventLag:
    """Notices that events stay where they are: reported and not stored, or not processed."""

    _seen: tuple[int, int] | None = None
    _since: float = 0.0

    def seconds(self, counts: EventCounter, now: float) -> float:
        """Returns for how long some wait and none was processed; 0 where none waits."""
        seen = (counts.stored, counts.processed)
        if seen != self._seen or counts.processed >= counts.reported:
            self._seen, self._since = seen, now
        return now - self._since
