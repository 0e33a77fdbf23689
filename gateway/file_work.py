"""Reads files of callers and foreign servers on the event loop, and leaves time to others."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

_REST_PER_WORK = 5.0
_MIN_REST_SECONDS = 0.001  # the resolution of the event loop's timers
_MAX_REST_SECONDS = 0.05  # a piece that took long because the machine stood still

T = TypeVar("T")


class FileWork:
    """Does short pieces of work one after the other, and rests between them.

    So files take a sixth of the loop's time at most: some 30 MB of base64 a second, and twice that
    of plain bytes. Without a need to share the loop, work does not rest.
    """

    def __init__(
        self,
        *,
        is_shared: Callable[[], bool] = lambda: True,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares the work; *is_shared* says whether others may need the loop now."""
        self._lock, self._is_shared, self._now = asyncio.Lock(), is_shared, monotonic_seconds
        self._owed_seconds = 0.0

    async def do(self, piece: Callable[[], T]) -> T:
        """Does *piece*, which takes about a millisecond at most; raises what it raises."""
        async with self._lock:
            began = self._now()
            try:
                return piece()
            finally:
                await self._rest(self._now() - began)

    async def _rest(self, worked_seconds: float) -> None:
        """Rests once the rest is long enough for a timer; lets the loop serve others anyway."""
        self._owed_seconds += _REST_PER_WORK * worked_seconds if self._is_shared() else 0.0
        rest_seconds = 0.0
        if self._owed_seconds >= _MIN_REST_SECONDS:
            rest_seconds, self._owed_seconds = min(self._owed_seconds, _MAX_REST_SECONDS), 0.0
        await asyncio.sleep(rest_seconds)
