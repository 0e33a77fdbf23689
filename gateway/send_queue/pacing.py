"""How long to wait, as numbers; nothing here waits."""

from dataclasses import dataclass

from gateway.random import Uniform


@dataclass(frozen=True, slots=True)
class Pace:
    """The random pause before each message of a line, in seconds."""

    min_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Backoff:
    """Growing pauses between the attempts of one message, in seconds."""

    base_seconds: float = 5.0
    cap_seconds: float = 300.0

    def after(self, attempts: int, uniform: Uniform) -> float:
        """The pause after the given number of attempts: doubled each time, half to all of it."""
        longest = min(self.cap_seconds, self.base_seconds * 2.0 ** (attempts - 1))
        return uniform(longest / 2, longest)


def pause_before(delay_message_seconds: int | None, pace: Pace, uniform: Uniform) -> float:
    """The wait between claiming a message and sending it, in seconds."""
    return uniform(pace.min_seconds, pace.max_seconds) + (delay_message_seconds or 0)
