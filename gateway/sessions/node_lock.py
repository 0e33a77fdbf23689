"""Proof that an earlier process of this node has ended, with all its child processes.

A node locks a file in its data directory, and each child process that speaks to WhatsApp inherits
the open file. The kernel frees the lock when the last of these processes has ended, however it
ended. The file names the process that had the lock, by its `life`. A free lock proves the end of
that process only: a process with another data directory does not touch this file.
"""

import os
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from gateway.observability.logging import logger

_LIFE_BYTES = 64


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False
    import fcntl  # noqa: PLC0415 - exists on POSIX only

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has the lock, or the file system has no locks
        return False
    return True


class NodeLock:
    """The lock of one node. If its file cannot be used, it proves nothing."""

    def __init__(self, folder: Path, node_id: str) -> None:
        self._is_locked = False
        self._descriptor = _open(folder / f"{quote(node_id, safe='')}.lock")

    @property
    def inherited(self) -> tuple[int, ...]:
        """The open files that a child process must inherit, so that it has the lock too."""
        return () if self._descriptor is None else (self._descriptor,)

    def proves_end_of(self, life: uuid.UUID | None) -> bool:
        """Whether that process and its children have ended. Locks the file if it is free."""
        if self._descriptor is None:
            return False
        self._is_locked = self._is_locked or _try_lock(self._descriptor)
        return self._is_locked and life is not None and self._recorded_life() == str(life)

    def record_owner(self, life: uuid.UUID) -> None:
        """Writes the life of this process into the file. Call it before a child starts.

        Writes nothing if this process does not have the lock: another process still has it.
        """
        self.proves_end_of(None)
        if self._is_locked and self._descriptor is not None:
            with suppress(
                OSError
            ):  # such as a full disk: the next start then waits for the leases to lapse
                os.pwrite(self._descriptor, str(life).encode(), 0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _recorded_life(self) -> str:
        assert self._descriptor is not None
        return os.pread(self._descriptor, _LIFE_BYTES, 0).decode(errors="replace")


def _open(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        logger.warning("node_lock_unavailable", path=str(path), error=str(error))
        return None
