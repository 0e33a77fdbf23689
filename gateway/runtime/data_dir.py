"""Explains why the data directory cannot be used."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import StartRefused

_DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def data_dir_errors_named(data_dir: Path) -> Iterator[None]:
    """Turns errors of the file system below *data_dir* into StartRefused, with the cure."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_IS_FULL:
            cure = "free some space, or set GATEWAY_DATA_DIR to a folder on another disk"
        else:
            cure = "set GATEWAY_DATA_DIR to a folder that this user can write to"
        raise StartRefused(
            f"The data directory cannot be used: {error.filename or data_dir}: "
            f"{error.strerror}; {cure}"
        ) from None
