"""How fast requests may come, for each account and each instance, on this node.

A bucket holds tokens: each request takes one, and they drip back at a steady rate.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.errors import TooManyRequests

_MAX_BUCKETS = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second on average, and so many at once; a rate of 0 is no limit."""

    per_second: float
    burst: int


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """One bucket for each name; those unused for longest are forgotten, and full when met again."""

    def __init__(self, rate: Rate, *, max_count: int = _MAX_BUCKETS) -> None:
        self._rate, self._max_count = rate, max_count
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def seconds_until_token(self, name: str, now: float) -> float:
        """0 when there is one."""
        if not self._rate.per_second:
            return 0.0
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._rate.burst, now)
            if len(self._buckets) > self._max_count:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        dripped = (now - bucket.filled_at) * self._rate.per_second
        bucket.tokens = min(self._rate.burst, bucket.tokens + dripped)
        bucket.filled_at = now
        return max(0.0, (1 - bucket.tokens) / self._rate.per_second)

    def take(self, name: str) -> None:
        if bucket := self._buckets.get(name):
            bucket.tokens -= 1


class RequestLimits:
    """A request takes a token of its account and one of its instance, or none of either."""

    def __init__(self, clock: Clock, *, account: Rate, instance: Rate) -> None:
        self._clock = clock
        self._accounts, self._instances = Buckets(account), Buckets(instance)

    def spend(self, *, account_id: str, instance_id: str | None = None) -> None:
        """Counts one request.

        Raises:
            TooManyRequests: there were too many already.
        """
        now = self._clock.monotonic_seconds()
        operation: Sequence[tuple[Buckets, str, str]] = [(self._accounts, account_id, "account")]
        if instance_id is not None:
            operation = [*operation, (self._instances, instance_id, "instance")]
        for buckets, name, whose in operation:
            if wait := buckets.seconds_until_token(name, now):
                raise TooManyRequests(whose, retry_after_seconds=math.ceil(wait))
        for buckets, name, _whose in operation:
            buckets.take(name)
