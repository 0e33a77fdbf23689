"""Token buckets: each use takes a token, and tokens return at a steady rate."""

from collections import OrderedDict
from dataclasses import dataclass

_MAX_BUCKETS = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Uses per second on average, and at once; 0 per second means no limit."""

    per_second: float
    burst: int


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """One bucket for each name. The bucket unused for longest is dropped, and starts full again."""

    def __init__(self, rate: Rate, *, max_count: int = _MAX_BUCKETS) -> None:
        self._rate, self._max_count = rate, max_count
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def seconds_until_token(self, name: str, now: float) -> float:
        """Returns 0 if the bucket has a token."""
        if not self._rate.per_second:
            return 0.0
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._rate.burst, now)
            if len(self._buckets) > self._max_count:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        returned = (now - bucket.filled_at) * self._rate.per_second
        bucket.tokens = min(self._rate.burst, bucket.tokens + returned)
        bucket.filled_at = now
        return max(0.0, (1 - bucket.tokens) / self._rate.per_second)

    def take(self, name: str) -> None:
        """Takes a token, which must be there."""
        if bucket := self._buckets.get(name):
            bucket.tokens -= 1
