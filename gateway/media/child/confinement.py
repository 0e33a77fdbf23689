"""Limits what this process may use; Linux enforces all of it, other systems what they can."""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NICENESS = 10  # a tenth of what the event loop gets, and not so low that a busy machine stops it
_MAX_OPEN_FILES = 64
_STATUS = Path("/proc/self/status")
_BYTES_PER_KIB = 1024


def confine(*, parent: int, memory_bytes: int, max_output_bytes: int) -> None:
    """Limits the process for its whole life, and has it end with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the gateway ends this process, Ctrl-C does not
    _end_with(parent)
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    with suppress(OSError):
        os.nice(_NICENESS)
    for limit, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, max_output_bytes),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(OSError, ValueError):  # macOS refuses a limit of the address space
            _, hard = resource.getrlimit(limit)
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(limit, (value, value))


def limit_cpu(seconds: int) -> None:
    """Has the system end this process after *seconds* of processor time from now."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def peak_memory_bytes() -> int:
    """Returns the largest resident size of this process so far; 0 where it is not known.

    `ru_maxrss` begins with the size of the parent, so it says nothing here.
    """
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _BYTES_PER_KIB
    except OSError:
        pass
    return 0


def _end_with(parent: int) -> None:
    if sys.platform != "linux":
        return  # the process ends after its job, when its pipe has ended
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
