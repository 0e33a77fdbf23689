"""When a failed delivery is attempted again; nothing here waits."""

from dataclasses import dataclass

from gateway.randomness import Uniform


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Growing pauses, in seconds: with the defaults, 12 attempts within about a day.

    Attributes:
        uniform: randomness.
        base_seconds: the first pause.
        factor: how much longer each pause is than the one before.
        max_attempts: attempts per callback.
        max_asked_seconds: the longest pause that a receiver may ask for.
        max_outage_seconds: when nothing of a chat was delivered for so long, each of its
            callbacks is attempted once.
    """

    uniform: Uniform
    base_seconds: float = 5.0
    factor: float = 2.5
    max_attempts: int = 12
    max_asked_seconds: float = 3_600.0
    max_outage_seconds: float = 86_400.0

    def pause_after(self, attempts: int, *, asked_seconds: float | None = None) -> float | None:
        """Returns the pause after so many attempts, or None after the last one.

        *asked_seconds* is what the receiver asked for; it is obeyed within bounds.
        """
        if attempts >= self.max_attempts:
            return None
        mean = self.base_seconds * self.factor ** (attempts - 1)
        pause = self.uniform(mean * 0.8, mean * 1.2)
        if asked_seconds is None:
            return pause
        return max(pause, min(asked_seconds, self.max_asked_seconds))

    def is_over(self, failing_seconds: float) -> bool:
        """Returns whether an outage has lasted too long to wait for its end."""
        return failing_seconds > self.max_outage_seconds
