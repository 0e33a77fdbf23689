"""Randomness, handed to whatever needs it, so that tests can choose it."""

import uuid
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""Returns that many random bytes."""

_BLOCK_BYTES = 4_096


class RandomBuffer:
    """Fetches random bytes in blocks: a system call for 16 costs as much as one for 4,096."""

    def __init__(self, random_bytes: RandomBytes) -> None:
        self._random_bytes = random_bytes
        self._block, self._used = b"", 0

    def __call__(self, count: int) -> bytes:
        first, self._used = self._used, self._used + count
        if self._used > len(self._block):
            self._block = self._random_bytes(max(_BLOCK_BYTES, count))
            first, self._used = 0, count
        return self._block[first : self._used]


def uuids_from(random_bytes: RandomBytes) -> Callable[[], uuid.UUID]:
    """Returns a function that makes UUIDs of version 4."""
    return lambda: uuid.UUID(bytes=random_bytes(16), version=4)


Uniform = Callable[[float, float], float]
"""Returns a random number between two."""
