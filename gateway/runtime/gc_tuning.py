"""Lets the event loop wait less: for the garbage collector, and for threads of this process.

A collection takes about half a microsecond per object that it looks at, also where nothing is
garbage. Two thousand connections that open together make some 200,000 objects.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Callable

from gateway.clock import Clock
from gateway.periodic_loop import PeriodicLoop

_YOUNG_OBJECTS = 2_000
"""A hundred requests in work hold more: with 1,000, collections took 7 % of a full load."""
_YOUNG_COLLECTIONS = 1
"""The next one looks again at what survived: at 6,000 objects in all, some 3 ms."""
_NEVER = 1_000_000_000
_LOOK_SECONDS = 1.0
_IDLE_SHARE = 0.1
_WORTH_A_PAUSE, _TOO_MANY = 20, 200
"""Collections of the middle generation; each leaves 6,000 objects at most to the old one."""
_FROZEN_SECONDS, _FROZEN_SECONDS_AT_MOST = 3_600.0, 6 * 3_600.0


_SWITCH_SECONDS = 0.0005


def hand_over_quickly() -> None:
    """Lets the event loop wait at most half a millisecond for a thread that computes.

    It gives the interpreter up at each system call. Python's own limit is 5 ms, so that one thread,
    which deletes the folders of a sender, delays every statement and answer by as much.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def freeze_startup_objects() -> None:
    """Excludes all present objects from collection; call it once everything is built.

    Otherwise each full collection walks through them, and stops the process for 0.1 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_COLLECTIONS, _NEVER)


class GarbageCollection:
    """Collects old objects while the process has little else to do.

    What survives is frozen, so that the next collection looks only at what came since. Now and
    then all is collected. Reference counting frees most objects, frozen or not: only those that
    refer to each other wait for this.
    """

    def __init__(
        self, clock: Clock, *, processor_seconds: Callable[[], float] = time.process_time
    ) -> None:
        """Prepares the collections; *processor_seconds* counts what this process has used."""
        self._clock, self._processor_seconds = clock, processor_seconds
        self._loop = PeriodicLoop("garbage collection", self._look, clock)
        self._seen = clock.monotonic_seconds(), processor_seconds()
        self._thawed_at = clock.monotonic_seconds()

    async def run_until(self, stopping: asyncio.Event) -> None:
        thresholds = gc.get_threshold()
        try:
            await self._loop.run_until(stopping)
        finally:
            gc.set_threshold(*thresholds)
            gc.unfreeze()

    async def _look(self) -> float:
        is_idle = self._is_idle()
        frozen_seconds = self._clock.monotonic_seconds() - self._thawed_at
        limit = _FROZEN_SECONDS if is_idle else _FROZEN_SECONDS_AT_MOST
        if frozen_seconds >= limit:
            self._thawed_at = self._clock.monotonic_seconds()
            gc.unfreeze()
            _collect()
        elif gc.get_count()[2] >= (_WORTH_A_PAUSE if is_idle else _TOO_MANY):
            _collect()
        return _LOOK_SECONDS

    def _is_idle(self) -> bool:
        """Returns whether the process used little processor time since the last look."""
        (at, used), now = self._seen, (self._clock.monotonic_seconds(), self._processor_seconds())
        self._seen = now
        return now[1] - used < _IDLE_SHARE * (now[0] - at)


def _collect() -> None:
    gc.collect()
    gc.freeze()
