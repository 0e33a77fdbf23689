"""When to try again; nothing here waits."""

from dataclasses import dataclass

from gateway.randomness import Uniform


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Growing pauses, in seconds: with the defaults, 12 attempts within about a day.

    A chat of which nothing was taken for `longest_outage_seconds` tries each callback once.
    """

    uniform: Uniform
    base_seconds: float = 5.0
    factor: float = 2.5
    max_attempts: int = 12
    longest_asked_seconds: float = 3_600.0
    longest_outage_seconds: float = 86_400.0

    def pause_after(self, attempts: int, *, asked_seconds: float | None = None) -> float | None:
        """The pause after so many attempts, or None when that was the last.

        *asked_seconds* is what the receiver asked for; it is obeyed within bounds.
        """
        if attempts >= self.max_attempts:
            return None
        longest = self.base_seconds * self.factor ** (attempts - 1)
        pause = self.uniform(longest * 0.8, longest * 1.2)
        if asked_seconds is None:
            return pause
        return max(pause, min(asked_seconds, self.longest_asked_seconds))

    def is_over(self, failing_seconds: float) -> bool:
        """Whether an outage has lasted too long to wait for its end."""
        return failing_seconds > self.longest_outage_seconds
