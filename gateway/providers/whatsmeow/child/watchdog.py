"""The two deadlines of this process: one to suspend itself, and one to end.

now ----------- deadline - 0.5 s ----------- deadline ------------------------------->
    acts freely |  disconnects, isolated     | ends, unless it is disconnected and isolated
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

SUSPENSION_SECONDS = 0.5
"""How long before its deadline a process begins to suspend itself."""

_LEASE_LAPSED = 75
_MAX_SLEEP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Suspending:
    """How the process suspends itself; the watchdog calls both on its own thread.

    `begin` must return at once. `hold` is called at and after the deadline: it makes sure that
    nothing can leave, and returns False if it cannot.
    """

    begin: Callable[[], object]
    hold: Callable[[], bool]


class Watchdog:
    """Ends the process at the deadline, even while the event loop or the library is busy."""

    def __init__(self, deadline: float) -> None:
        """Starts its thread.

        Args:
            deadline: on the monotonic clock; it may be moved at any time.
        """
        self.deadline = deadline
        self.suspending: Suspending | None = None
        self._has_begun = False
        threading.Thread(target=self._watch, daemon=True).start()

    def may_act(self) -> bool:
        """Whether the deadline is so far away that the process need not be suspended."""
        return self.deadline - time.monotonic() > SUSPENSION_SECONDS

    def _watch(self) -> None:
        try:
            while True:
                time.sleep(self._check())
        finally:  # without a watchdog the process must not act
            os._exit(_LEASE_LAPSED)

    def _check(self) -> float:
        """Suspends or ends the process if it is time for it; returns the seconds until the next."""
        left, suspending = self.deadline - time.monotonic(), self.suspending
        if left <= 0:
            if suspending is None or not suspending.hold():
                os._exit(_LEASE_LAPSED)
            return _MAX_SLEEP_SECONDS
        if left > SUSPENSION_SECONDS:
            self._has_begun = False
            return min(left - SUSPENSION_SECONDS, _MAX_SLEEP_SECONDS)
        if suspending and not self._has_begun:
            self._has_begun = True
            suspending.begin()
        return left
