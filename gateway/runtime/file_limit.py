"""The number of files and connections that this process may have open."""

import sys

from gateway.observability.logging import logger

if sys.platform != "win32":
    import resource

_MAX_FILES = 1_048_576
_MIN_RESERVE = 256


def raise_file_limit() -> int:
    """Raises the soft limit of open files to the hard one, and returns it."""
    if sys.platform == "win32":
        return _MAX_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return min(soft, _MAX_FILES) if soft >= 0 else _MAX_FILES
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        logger.warning("file_limit_not_raised", limit=soft, error=type(error).__name__)
        return soft
    return wanted


def connections_within(file_limit: int, wanted: int) -> int:
    """Returns *wanted*, or what the file limit allows.

    A quarter of the files, and 256 at least, stay for the database, sessions, receivers, media and
    the internal listener.
    """
    reserve = max(file_limit // 4, min(_MIN_RESERVE, file_limit // 2))
    return max(1, min(wanted, file_limit - reserve))
