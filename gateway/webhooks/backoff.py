"""When a failed delivery is attempted again; nothing here waits."""

from dataclasses import dataclass
from typing import Final

from gateway.randomness import Uniform

_FIRST_PAUSES: Final = (0.1, 0.2, 0.4, 1.0, 3.0)
"""The first pauses, as multiples of the base: a chat waits behind one failed callback."""


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Growing pauses, in seconds: with the defaults, 16 attempts within about a day.

    The first pauses are 0.5, 1, 2, 5 and 15 seconds with the default base.

    Attributes:
        uniform: randomness.
        base_seconds: the fourth pause; the first is a tenth of it.
        factor: how much longer each pause after the fifth is than the one before.
        max_pause_seconds: the longest pause.
        max_attempts: attempts per callback.
        max_asked_seconds: the longest pause that a receiver may ask for.
        max_outage_seconds: when nothing of a chat was delivered for so long, each of its
            callbacks is attempted once.
    """

    uniform: Uniform
    base_seconds: float = 5.0
    factor: float = 2.5
    max_pause_seconds: float = 21_600.0
    max_attempts: int = 16
    max_asked_seconds: float = 3_600.0
    max_outage_seconds: float = 86_400.0

    def pause_after(self, attempts: int, *, asked_seconds: float | None = None) -> float | None:
        """Returns the pause after so many attempts, or None after the last one.

        *asked_seconds* is what the receiver asked for; it is obeyed within bounds.
        """
        if attempts >= self.max_attempts:
            return None
        mean = self._mean_pause(attempts)
        pause = self.uniform(mean * 0.8, mean * 1.2)
        if asked_seconds is None:
            return pause
        return max(pause, min(asked_seconds, self.max_asked_seconds))

    def _mean_pause(self, attempts: int) -> float:
        first = self.base_seconds * _FIRST_PAUSES[min(attempts, len(_FIRST_PAUSES)) - 1]
        later = max(0, attempts - len(_FIRST_PAUSES))
        return min(first * self.factor**later, self.max_pause_seconds)

    def is_over(self, failing_seconds: float) -> bool:
        """Returns whether an outage has lasted too long to wait for its end."""
        return failing_seconds > self.max_outage_seconds
