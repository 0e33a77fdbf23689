"""What a worker does at the moment, for the watchdog."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.clock import Clock


class WorkerActivity:
    """Whether a worker works on a message, sleeps, or waits for an answer of its own node.

    Attributes:
        row_id: of the message that it works on.
        pauses_until: the end of the pause before that message, on the monotonic clock.
        awaits_file: whether it waits for the file of that message.
        is_asleep: the worker waits for a wake-up.
        claims: how many messages it claimed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._busy_until: float | None = None
        self.row_id: int | None = None
        self.pauses_until: float | None = None
        self.awaits_file = False
        self.is_asleep = False
        self.claims = 0

    @contextmanager
    def working(self, row_id: int) -> Iterator[None]:
        """Marks the time from a claim to the record of its outcome."""
        self.claims += 1
        self.row_id = row_id
        self.expect(0.0)
        try:
            yield
        finally:
            self._busy_until = self.row_id = None

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Marks the time in which the worker waits for a wake-up."""
        self.is_asleep = True
        try:
            yield
        finally:
            self.is_asleep = False

    def expect(
        self, seconds: float, *, pause_seconds: float | None = None, awaits_file: bool = False
    ) -> None:
        """Notes how long the present step may take; infinity where no limit is known.

        A step that is a pause says how long that lasts.
        """
        now = self._clock.monotonic_seconds()
        self._busy_until = now + seconds
        self.pauses_until = None if pause_seconds is None else now + pause_seconds
        self.awaits_file = awaits_file

    def is_working(self, *, grace_seconds: float) -> bool:
        """Says whether the worker has a message, and its step is not later than the grace."""
        until = self._busy_until
        return until is not None and self._clock.monotonic_seconds() < until + grace_seconds
