"""A clock that stands while its process gets no processor.

Where others use the machine, or stop all that runs on it for a while, that time is none in which a
line of the gateway stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_TICK_SECONDS: Final = 0.5
_MAX_LATE_SECONDS: Final = 2.0


class RunningTime:
    """Counts the seconds in which the event loop came to its timers."""

    def __init__(self) -> None:
        self._stood_seconds = 0.0
        self._ticked_at = _loop_time()

    def now(self) -> float:
        """Returns seconds since an arbitrary moment."""
        self._note()
        return self._ticked_at - self._stood_seconds

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RunningTime"]:
        ticking = asyncio.create_task(self._tick())
        try:
            yield self
        finally:
            ticking.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._note()

    def _note(self) -> None:
        """Adds the time in which no tick came; the first call afterwards finds it."""
        now = _loop_time()
        late = now - self._ticked_at - _TICK_SECONDS
        if late > _MAX_LATE_SECONDS:
            self._stood_seconds += late
        self._ticked_at = now


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
