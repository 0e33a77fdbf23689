"""Files and folders of chats on the local disk: private to this user, and a full disk is named."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gateway.errors import Unavailable
from gateway.observability.logging import logger

PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
_DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# obstore has the number only in its text.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def make_private_folder(folder: Path) -> None:
    """Creates the folder, or changes an existing one, so that only this user can enter it."""
    folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) == _PRIVATE_FOLDER:
        return
    try:
        folder.chmod(_PRIVATE_FOLDER)
    except PermissionError:  # it belongs to another user, as some mounted volumes do
        logger.warning("folder_not_private", folder=str(folder))


def open_private(path: Path) -> IO[bytes]:
    """Opens a file for writing that only this user can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb")


def is_disk_full(error: BaseException) -> bool:
    """Says whether *error*, of Python or of obstore, means that the disk or the quota is full."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _DISK_IS_FULL
    found = _OS_ERROR.search(str(error))
    return found is not None and int(found[1]) in _DISK_IS_FULL


def disk_full() -> Unavailable:
    """Logs that the disk is full, and returns the error for the caller."""
    logger.warning("disk_full")
    return Unavailable("The disk of the data directory is full")


@contextmanager
def full_disk_translated() -> Iterator[None]:
    """Raises Unavailable in place of an OSError that means a full disk."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise disk_full() from None
