"""What a worker does at the moment, for the watchdog."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.clock import Clock


class WorkerActivity:
    """Whether a worker works on a message, sleeps, or waits for an answer of its own node.

    Attributes:
        is_asleep: the worker waits for a wake-up.
        claims: how many messages it claimed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._busy_until: float | None = None
        self.is_asleep = False
        self.claims = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Marks the time from a claim to the record of its outcome."""
        self.claims += 1
        self.expect(0.0)
        try:
            yield
        finally:
            self._busy_until = None

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Marks the time in which the worker waits for a wake-up."""
        self.is_asleep = True
        try:
            yield
        finally:
            self.is_asleep = False

    def expect(self, seconds: float) -> None:
        """Notes how long the present step may take; infinity where no limit is known."""
        self._busy_until = self._clock.monotonic_seconds() + seconds

    def is_working(self, *, grace_seconds: float) -> bool:
        """Says whether the worker has a message, and its step is not later than the grace."""
        until = self._busy_until
        return until is not None and self._clock.monotonic_seconds() < until + grace_seconds
