"""Proof that an earlier process of this node is gone, with all the children it had.

A node locks a file in its data directory, and every child that speaks to WhatsApp inherits the
open file. The kernel frees the lock when the last of them has ended, however it ended. The file
says which life of the node had the lock: only for that life is a free lock a proof. A node of the
same name with another data directory proves nothing.
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
    except OSError:  # held by others, or a file system without locks
        return False
    return True


class NodeLock:
    """The lock of one node; where its file cannot be used, nothing is ever proven."""

    def __init__(self, folder: Path, node_id: str) -> None:
        self._is_ours = False
        self._descriptor = _open(folder / f"{quote(node_id, safe='')}.lock")

    @property
    def inherited(self) -> tuple[int, ...]:
        """What a child process must be given, so that it holds the lock, too."""
        return () if self._descriptor is None else (self._descriptor,)

    def proves_end_of(self, life: uuid.UUID | None) -> bool:
        """Whether that life is over, and so are its children. Takes the lock where it is free."""
        if self._descriptor is None:
            return False
        self._is_ours = self._is_ours or _try_lock(self._descriptor)
        return self._is_ours and life is not None and self._holder() == str(life)

    def claim(self, life: uuid.UUID) -> None:
        """Writes down whose lock it is; to be called before this life starts a child.

        A life that could not take the lock is written nowhere: others hold it still.
        """
        self.proves_end_of(None)
        if self._is_ours and self._descriptor is not None:
            with suppress(OSError):  # a full disk: the next start waits for the lease
                os.pwrite(self._descriptor, str(life).encode(), 0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _holder(self) -> str:
        assert self._descriptor is not None
        return os.pread(self._descriptor, _LIFE_BYTES, 0).decode(errors="replace")


def _open(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        logger.warning("node_lock_unavailable", path=str(path), error=str(error))
        return None
