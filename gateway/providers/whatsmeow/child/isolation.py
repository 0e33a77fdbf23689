"""Cuts this process off from every network and database, without ending it.

The kernel enforces it, whatever the library does: no descriptor can be opened, so there can be no
new connection, and the open ones are reset. What a reset socket had not transmitted is dropped.
"""

import ctypes
import os
import resource
import struct

_SHUT_RDWR = 2
# connect() to the family AF_UNSPEC: Linux resets a TCP connection and drops its unsent bytes.
_NO_ADDRESS = struct.pack("=H14x", 0)
_LIBC = ctypes.CDLL(None)


def open_descriptors() -> frozenset[int]:
    """Returns the open files of this process."""
    with os.scandir("/dev/fd") as entries:
        listed = [int(entry.name) for entry in entries]
    return frozenset(descriptor for descriptor in listed if _is_open(descriptor))


def _is_open(descriptor: int) -> bool:
    """Whether it is open; that of the listing itself is not any more."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class Isolation:
    """Isolates the process, except for the descriptors of *spared*."""

    def __init__(self, spared: frozenset[int]) -> None:
        self._spared = spared
        self._limits: tuple[int, int] | None = None
        self._cut: tuple[int, ...] = ()

    def begin(self) -> None:
        """Cuts every connection; none can be made before `end`. Raises OSError if it cannot."""
        # Opened before the limit, and read after it: no descriptor can be missing.
        with os.scandir("/dev/fd") as entries:
            self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, self._limits[1]))
            self._cut = tuple({int(entry.name) for entry in entries} - self._spared)
        self.cut()

    def cut(self) -> None:
        """Cuts again what was open: a socket that was not connected yet may be by now."""
        for descriptor in self._cut:  # both calls refuse what is no socket
            _LIBC.connect(descriptor, _NO_ADDRESS, len(_NO_ADDRESS))
            _LIBC.shutdown(descriptor, _SHUT_RDWR)

    def end(self) -> None:
        """Lets the process open files and connections again."""
        assert self._limits
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)
        self._limits, self._cut = None, ()
