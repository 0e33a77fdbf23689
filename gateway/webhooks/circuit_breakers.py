"""Limits the requests in flight to each receiver: fewer to a slow one, none to a dead one.

closed --(no answer, `max_strikes` times in a row)--> open --(time is over)--> half-open
   ^                                                ^                        |     |
   |                                                +-------(no answer)------+     |
   +----------------------------(a prompt answer)----------------------------------+

Half-open lets one request through at a time. A server error is no answer from the receiver's
program: `max_server_errors` in a row open the breaker too, for shorter times. So the quick repeats
of many chats against a dead program behind a live proxy stay few.

A receiver is named by its account and its server. All receivers of an account share a limit, so
that an account with many silent receivers leaves requests to others.
"""

from collections import Counter
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.randomness import Uniform


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a breaker opens; times in seconds.

    Attributes:
        max_in_flight: requests in flight to one receiver.
        max_in_flight_per_account: requests in flight to all receivers of one account.
        max_strikes: missing answers in a row before the breaker opens; as many slow answers limit
            the receiver to one request at a time.
        slow_seconds: an answer that takes longer is slow.
        first_open_seconds: how long the breaker stays open the first time; it doubles.
        max_open_seconds: the longest time it stays open.
        max_server_errors: answers with a server error in a row before the breaker opens.
        max_open_after_error_seconds: the longest time it then stays open.
    """

    max_in_flight: int = 32
    max_in_flight_per_account: int = 64
    max_strikes: int = 5
    slow_seconds: float = 5.0
    first_open_seconds: float = 1.0
    max_open_seconds: float = 120.0
    max_server_errors: int = 10
    max_open_after_error_seconds: float = 15.0


@dataclass(slots=True)
class _Breaker:
    in_flight: int = 0
    strikes: int = 0
    server_errors: int = 0
    times_opened: int = 0
    open_until: float = 0.0


class CircuitBreakers:
    """The breakers of the receivers that this process posts to.

    A receiver that answers promptly and has nothing in flight takes no memory.
    """

    def __init__(self, clock: Clock, uniform: Uniform, limits: BreakerLimits) -> None:
        self._clock, self._uniform, self._limits = clock, uniform, limits
        self._breakers: dict[str, _Breaker] = {}
        self._accounts = Counter[str]()

    @property
    def max_in_flight(self) -> int:
        """Requests in flight to one receiver at most."""
        return self._limits.max_in_flight

    def enter(self, receiver: str) -> bool:
        """Returns whether one request may be posted now; if so, `leave` must follow."""
        if self._is_full(account_of(receiver)):
            return False
        breaker = self._breakers.setdefault(receiver, _Breaker())
        if self._is_blocked(breaker):
            return False
        breaker.in_flight += 1
        self._accounts[account_of(receiver)] += 1
        return True

    def leave(self, receiver: str) -> bool:
        """Returns whether other requests may have waited for this one."""
        breaker, account = self._breakers[receiver], account_of(receiver)
        was_blocked = self._is_blocked(breaker) or self._is_full(account)
        breaker.in_flight -= 1
        self._accounts[account] -= 1
        if not self._accounts[account]:
            del self._accounts[account]
        if not (breaker.in_flight or breaker.strikes or breaker.server_errors):
            del self._breakers[receiver]
        return was_blocked

    def seconds_open(self, receiver: str) -> float:
        """Returns how long the breaker stays open; 0 when it is not open."""
        breaker = self._breakers.get(receiver)
        return max(0.0, breaker.open_until - self._clock.monotonic_seconds()) if breaker else 0.0

    def is_down(self, receiver: str) -> bool:
        """Returns whether the breaker opened and the receiver has not answered since."""
        breaker = self._breakers.get(receiver)
        return breaker is not None and breaker.times_opened > 0

    def blocked(self) -> list[str]:
        """Returns the receivers that no request may be posted to right now."""
        return [name for name, breaker in self._breakers.items() if self._is_blocked(breaker)]

    def full_accounts(self) -> list[str]:
        """Returns the accounts that have their maximum of requests in flight."""
        return [account for account in self._accounts if self._is_full(account)]

    def count_open(self) -> int:
        now = self._clock.monotonic_seconds()
        return sum(breaker.open_until > now for breaker in self._breakers.values())

    def record_answer(self, receiver: str, seconds: float, *, is_error: bool = False) -> bool:
        """Records an answer; returns whether the receiver was down before.

        *is_error* says that its status is a server error.
        """
        breaker = self._breakers[receiver]
        if is_error:
            breaker.server_errors += 1
        else:
            breaker.server_errors = 0
        if seconds > self._limits.slow_seconds:
            breaker.strikes += 1  # from `max_strikes` on, one request at a time
            return False
        breaker.strikes = 0
        if breaker.server_errors >= self._limits.max_server_errors:
            self._open_longer(breaker, self._limits.max_open_after_error_seconds)
            return False
        was_down = breaker.times_opened > 0
        breaker.times_opened, breaker.open_until = 0, 0.0
        return was_down

    def record_silence(self, receiver: str) -> None:
        """Records that a request got no answer."""
        breaker = self._breakers[receiver]
        if self.seconds_open(receiver):
            return  # this request was posted before the breaker opened
        breaker.strikes += 1
        if breaker.strikes >= self._limits.max_strikes:
            self._open_longer(breaker, self._limits.max_open_seconds)

    def open_for(self, receiver: str, seconds: float) -> None:
        """Opens the breaker for the time that the receiver asked for."""
        breaker = self._breakers[receiver]
        breaker.strikes = max(breaker.strikes, self._limits.max_strikes)
        self._open(breaker, seconds)

    def _open_longer(self, breaker: _Breaker, max_seconds: float) -> None:
        """Opens the breaker for twice as long as the last time, unless it is open."""
        if breaker.open_until > self._clock.monotonic_seconds():
            return
        seconds = self._limits.first_open_seconds * 2.0 ** min(breaker.times_opened, 30)
        seconds = min(seconds, max_seconds)
        self._open(breaker, self._uniform(seconds * 0.8, seconds * 1.2))

    def _open(self, breaker: _Breaker, seconds: float) -> None:
        breaker.times_opened += 1
        breaker.open_until = self._clock.monotonic_seconds() + seconds

    def _is_full(self, account: str) -> bool:
        return self._accounts[account] >= self._limits.max_in_flight_per_account

    def _is_blocked(self, breaker: _Breaker) -> bool:
        if breaker.open_until > self._clock.monotonic_seconds():
            return True
        half_open = (
            breaker.strikes >= self._limits.max_strikes
            or breaker.server_errors >= self._limits.max_server_errors
        )
        return breaker.in_flight >= (1 if half_open else self._limits.max_in_flight)


def account_of(receiver: str) -> str:
    """Returns the id of the account in the name of a receiver."""
    return receiver.partition(" ")[0]
