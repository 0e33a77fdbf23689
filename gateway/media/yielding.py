"""Lets everything else on the machine go before a converting process, while it goes on at all.

To be nice is not enough: a process keeps the processor for some milliseconds once it has it, and
several of them delay each turn of the event loop. One that yields is interrupted at once, but gets
nothing of a machine that is busy without a break: its job begins again in one that does not yield.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

CHECK_SECONDS: Final = 1.0
MIN_SHARE: Final = 0.2
"""A process is starved if it gets less than this part of a processor between two checks."""
_USER_TICKS, _SYSTEM_TICKS = 11, 12  # of what follows the name in /proc/PID/stat


def yield_to_others(pid: int) -> None:
    """Has a process run only while no other one wants the processor; only Linux can do this."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


class StarvationCheck:
    """Ends a time limit early once a process that yields is starved; others have no *pid* here."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self.is_starved = False

    @contextmanager
    def ending(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Checks the process until the block ends."""
        loop = asyncio.get_running_loop()
        used_seconds = _cpu_seconds(self._pid)
        following: asyncio.TimerHandle

        def check() -> None:
            nonlocal used_seconds, following
            before, used_seconds = used_seconds, _cpu_seconds(self._pid)
            if before is None or used_seconds is None:
                return
            if used_seconds - before < CHECK_SECONDS * MIN_SHARE:
                self.is_starved = True
                limit.reschedule(loop.time())
            else:
                following = loop.call_later(CHECK_SECONDS, check)

        following = loop.call_later(CHECK_SECONDS, check)
        try:
            yield
        finally:
            following.cancel()


def _cpu_seconds(pid: int | None) -> float | None:
    """Returns the processor time that a process has used; None where it is not known."""
    if pid is None:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    except (OSError, IndexError, ValueError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK")
