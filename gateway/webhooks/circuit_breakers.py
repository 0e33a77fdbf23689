"""How much goes to each address at once: little to a slow one, nothing for a while to a dead one.

healthy --(no answer, some times in a row)--> held --(time is up)--> probed, one at a time
   ^                                           ^                        |        |
   |                                           +----(no answer)---------+        |
   +---------------------------(answers soon)-----------------------------------+
"""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.randomness import Uniform


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When an address is left alone; times in seconds."""

    at_once: int = 32
    patience: int = 5
    slow_seconds: float = 5.0
    first_hold_seconds: float = 1.0
    max_hold_seconds: float = 120.0


@dataclass(slots=True)
class _Address:
    in_flight: int = 0
    strikes: int = 0
    holds: int = 0
    held_until: float = 0.0


class CircuitBreakers:
    """What this process knows of the addresses it posts to; healthy idle ones are forgotten."""

    def __init__(self, clock: Clock, uniform: Uniform, limits: BreakerLimits) -> None:
        self._clock, self._uniform, self._limits = clock, uniform, limits
        self._known: dict[str, _Address] = {}

    def enter(self, address: str) -> bool:
        """Whether something may be posted now; whoever enters must `leave`."""
        known = self._known.setdefault(address, _Address())
        if self._is_full(known):
            return False
        known.in_flight += 1
        return True

    def leave(self, address: str) -> bool:
        """Whether others may have waited for this."""
        known = self._known[address]
        was_full = self._is_full(known)
        known.in_flight -= 1
        if not known.in_flight and not known.strikes:
            del self._known[address]
        return was_full

    def seconds_held(self, address: str) -> float:
        """How long nothing should be posted; 0 when it may."""
        known = self._known.get(address)
        return max(0.0, known.held_until - self._clock.monotonic_seconds()) if known else 0.0

    def is_down(self, address: str) -> bool:
        """Whether it was left alone, and has not answered since."""
        known = self._known.get(address)
        return known is not None and known.holds > 0

    def held(self) -> list[str]:
        """Those that take nothing right now."""
        return [address for address, known in self._known.items() if self._is_full(known)]

    def count_held(self) -> int:
        now = self._clock.monotonic_seconds()
        return sum(known.held_until > now for known in self._known.values())

    def answered(self, address: str, seconds: float) -> bool:
        """Notes an answer, whatever it says; True when the address had been left alone before."""
        known = self._known[address]
        if seconds > self._limits.slow_seconds:
            known.strikes += 1  # from a number on it is asked one at a time
            return False
        recovered = known.holds > 0
        known.strikes, known.holds, known.held_until = 0, 0, 0.0
        return recovered

    def silent(self, address: str) -> None:
        """Notes that there was no answer."""
        known = self._known[address]
        if self.seconds_held(address):
            return  # told of an earlier time
        known.strikes += 1
        if known.strikes >= self._limits.patience:
            longest = self._limits.first_hold_seconds * 2.0 ** min(known.holds, 30)
            longest = min(longest, self._limits.max_hold_seconds)
            self._hold(known, self._uniform(longest * 0.8, longest * 1.2))

    def asked_to_wait(self, address: str, seconds: float) -> None:
        """The address itself wants to be left alone for so long."""
        known = self._known[address]
        known.strikes = max(known.strikes, self._limits.patience)
        self._hold(known, seconds)

    def _hold(self, known: _Address, seconds: float) -> None:
        known.holds += 1
        known.held_until = self._clock.monotonic_seconds() + seconds

    def _is_full(self, known: _Address) -> bool:
        if known.held_until > self._clock.monotonic_seconds():
            return True
        probed = known.strikes >= self._limits.patience
        return known.in_flight >= (1 if probed else self._limits.at_once)
