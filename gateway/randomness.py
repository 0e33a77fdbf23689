"""Randomness as something handed in, so that tests can foretell it."""

import uuid
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""As many random bytes as asked for."""

_STOCK_BYTES = 4_096


class RandomBuffer:
    """Random bytes fetched many at a time: asking the system for 16 costs as much as for 4,096."""

    def __init__(self, random_bytes: RandomBytes) -> None:
        self._random_bytes = random_bytes
        self._stock, self._used = b"", 0

    def __call__(self, count: int) -> bytes:
        first, self._used = self._used, self._used + count
        if self._used > len(self._stock):
            self._stock = self._random_bytes(max(_STOCK_BYTES, count))
            first, self._used = 0, count
        return self._stock[first : self._used]


def uuids_from(random_bytes: RandomBytes) -> Callable[[], uuid.UUID]:
    """Makes UUIDs of version 4."""
    return lambda: uuid.UUID(bytes=random_bytes(16), version=4)


Uniform = Callable[[float, float], float]
"""A number between two."""
