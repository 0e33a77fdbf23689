"""The folder in which a node keeps files until the bucket takes them.

Each file is written beside its place, flushed to disk and moved there, so that a file in its place
is whole, also after a power cut. The workers of one machine share the folder.
"""

import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from gateway.media.disk import full_disk_translated, make_private_folder
from gateway.media.disk_reserve import DiskReserve
from gateway.media.spooling import Spooled

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_ID_FILE: Final = "folder-id"
_NEW: Final = "new-"
_STALE_SECONDS: Final = 3_600.0


class DeferredFolder:
    """Files by the SHA-256 of their content; every method blocks, so it runs in a thread."""

    def __init__(
        self, folder: Path, reserve: DiskReserve, new_uuid: Callable[[], uuid.UUID] = uuid.uuid4
    ) -> None:
        """Makes the folder, and its id where it is new."""
        self._folder, self._reserve = folder, reserve
        make_private_folder(folder)
        self.id = _id_of(folder, new_uuid)

    def write(self, file: Spooled) -> Path:
        """Copies *file* beside its place, flushed to disk; `place` moves it there.

        Raises:
            Unavailable: the disk is full, or its reserve is reached.
        """
        self._reserve.check(file.size_bytes)
        with full_disk_translated():
            descriptor, name = tempfile.mkstemp(prefix=_NEW, dir=self._folder)
            try:
                with os.fdopen(descriptor, "wb") as copy, file.path.open("rb") as original:
                    shutil.copyfileobj(original, copy)
                    copy.flush()
                    os.fsync(copy.fileno())
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        return Path(name)

    def place(self, written: Path, file_id: str) -> None:
        """Moves a written file to its place; one that is there has the same content."""
        written.replace(self.path(file_id))
        _flush(self._folder)

    def path(self, file_id: str) -> Path:
        return self._folder / file_id

    def open(self, file_id: str) -> IO[bytes] | None:
        """Opens a file; None if it is not here."""
        if not _NAME.fullmatch(file_id):  # other names are not of files
            return None
        try:
            return self.path(file_id).open("rb")
        except FileNotFoundError:
            return None

    def delete(self, file_id: str) -> None:
        self.path(file_id).unlink(missing_ok=True)

    def delete_stale(self) -> None:
        """Deletes what a process that died had not moved to its place."""
        for file in self._stale(lambda name: name.startswith(_NEW)):
            file.unlink(missing_ok=True)

    def stale_ids(self) -> list[str]:
        """Returns the files in their places that are older than an hour."""
        return [f.name for f in self._stale(lambda name: _NAME.fullmatch(name) is not None)]

    def _stale(self, is_meant: Callable[[str], bool]) -> Iterator[Path]:
        oldest = time.time() - _STALE_SECONDS
        for file in list(self._folder.iterdir()):
            try:
                is_stale = file.stat().st_mtime < oldest
            except FileNotFoundError:  # another worker of this machine deleted it
                continue
            if is_stale and is_meant(file.name):
                yield file


def _id_of(folder: Path, new_uuid: Callable[[], uuid.UUID]) -> uuid.UUID:
    """Returns the id in the folder; of two workers that make one, both return that of the first."""
    file = folder / _ID_FILE
    if not file.exists():
        descriptor, name = tempfile.mkstemp(prefix=_NEW, dir=folder)
        with os.fdopen(descriptor, "w") as written:
            written.write(str(new_uuid()))
            written.flush()
            os.fsync(written.fileno())
        try:
            os.link(name, file)
        except FileExistsError:
            pass
        finally:
            Path(name).unlink()
        _flush(folder)
    return uuid.UUID(file.read_text())


def _flush(folder: Path) -> None:
    """Flushes the names in a folder: a power cut loses no file that was moved there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
