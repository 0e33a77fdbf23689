"""Stores files under the hash of their content, in a folder or a bucket, so each is stored once.

A row of `media` says which instance uses a content and until when. `put` holds a shared lock on the
content while it writes the row; the deletion of content holds the exclusive lock while it looks for
rows. So content that has a row is never deleted.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Count, Database, fetch_all
from gateway.database.queries import query
from gateway.errors import Unavailable
from gateway.media.converting import Converter
from gateway.media.disk import PRIVATE_FILE, disk_full, is_disk_full
from gateway.media.spooling import Spool, Spooled, SpoolFile

_SHARE_CONTENT = query("media", "share_content")
_PUT_FILE = query("media", "put_file")
_FIND_FILE = query("media", "find_file")
_DELETE_EXPIRED_FILES = query("media", "delete_expired_files")
_LIST_LEFTOVERS = query("media", "list_leftovers")
_LOCK_CONTENT = query("media", "lock_content")
_FIND_USE = query("media", "find_use")
_DELETE_LEFTOVER = query("media", "delete_leftover")

REFERENCE = "media:"
_MAX_PUTS = 4
_PART_BYTES = 5 * 1024 * 1024  # the minimum of S3
_LOCAL_PART_BYTES = 1024 * 1024
_READ_BYTES = 256 * 1024
_ROWS_AT_ONCE = 500
_MIN_FREE_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The row of a file: its type, name and size."""

    mime_type: str
    file_name: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredContent:
    """The id of stored content, which is its SHA-256 in hex, and its type."""

    id: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


class MediaStore:
    """Stores, reads and deletes files.

    Every method may raise Unavailable: the storage or the database cannot be reached.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        spool: Spool,
        converter: Converter,
        *,
        retention_days: int,
    ) -> None:
        self._database, self._objects, self._spool = database, objects, spool
        self._converter, self._retention_days = converter, retention_days
        # Each upload holds one part in memory.
        self._puts = asyncio.Semaphore(_MAX_PUTS)

    async def put(
        self, instance_id: str, file: Spooled, *, file_name: str | None = None
    ) -> StoredContent:
        """Stores the file, or only its row if the same bytes are stored already."""
        mime_type = await self._converter.type_of(file.path, file_name, instance_id=instance_id)
        async with self._database.within(DatabaseDeadline.UPLOAD).transaction() as connection:
            await connection.execute(_SHARE_CONTENT, {"id": file.sha256})
            await connection.execute(
                _PUT_FILE,
                {
                    "instance_id": instance_id,
                    "id": file.sha256,
                    "mime_type": mime_type,
                    "file_name": file_name,
                    "size_bytes": file.size_bytes,
                    "days": self._retention_days,
                },
            )
        await self._put_content(file)
        return StoredContent(file.sha256, mime_type)

    async def find(self, instance_id: str, file_id: str) -> StoredFile | None:
        return await self._database.fetch_one(
            StoredFile, _FIND_FILE, instance_id=instance_id, id=file_id
        )

    async def read(self, file_id: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yields the bytes from *start* up to *end*, in pieces."""
        with _translated():
            found = await self._objects.get_async(
                place_of(file_id), options={"range": (start, end)}
            )
            async for piece in found.stream(min_chunk_size=_READ_BYTES):
                yield bytes(piece)

    async def copy_to(self, file_id: str, path: Path) -> Spooled | None:
        """Writes the file to *path*; returns None if it is no longer stored."""
        try:
            with _translated():
                found = await self._objects.get_async(place_of(file_id))
        except FileNotFoundError:
            return None
        with _translated(), SpoolFile(path) as file:
            async for piece in found.stream(min_chunk_size=_READ_BYTES):
                file.write(bytes(piece))
            return file.finish()

    async def problem(self) -> str | None:
        """Returns what is wrong with the storage, for /ready; None if it works."""
        try:
            with _translated():
                await self._has("0" * 64)
        except Unavailable as error:
            return str(error)
        if folder := _folder(self._objects):
            usage = await asyncio.to_thread(shutil.disk_usage, folder)
            if usage.free < _MIN_FREE_BYTES:
                return "less than 100 MiB are free"
        return None

    async def delete_expired(self) -> None:
        """Deletes rows past their retention, then content that no row uses."""
        await asyncio.to_thread(self._spool.delete_stale)
        while True:
            expired = await self._database.within(DatabaseDeadline.PRUNING).fetch_one(
                Count, _DELETE_EXPIRED_FILES, max_count=_ROWS_AT_ONCE
            )
            if expired is None or expired.count < _ROWS_AT_ONCE:
                break
        while leftovers := await self._database.within(DatabaseDeadline.PRUNING).fetch_all(
            _Id, _LIST_LEFTOVERS, max_count=_ROWS_AT_ONCE
        ):
            for leftover in leftovers:
                await self._delete(leftover.id)

    async def _delete(self, file_id: str) -> None:
        named = {"id": file_id}
        async with self._database.within(DatabaseDeadline.PRUNING).transaction() as connection:
            await connection.execute(_LOCK_CONTENT, named)
            if not await fetch_all(connection, _Id, _FIND_USE, id=file_id):
                # It is gone already where the connection was lost before the commit.
                with suppress(FileNotFoundError), _translated():
                    await self._objects.delete_async(place_of(file_id))
            await connection.execute(_DELETE_LEFTOVER, named)

    async def _has(self, file_id: str) -> bool:
        try:
            await self._objects.head_async(place_of(file_id))
        except FileNotFoundError:
            return False
        return True

    async def _put_content(self, file: Spooled) -> None:
        with _translated():
            if not await self._has(file.sha256):
                await self._put(file)

    async def _put(self, file: Spooled) -> None:
        place, folder = place_of(file.sha256), _folder(self._objects)
        async with self._puts:
            await self._objects.put_async(
                place,
                file.path,
                chunk_size=_LOCAL_PART_BYTES if folder else _PART_BYTES,
                max_concurrency=1,
            )
            if folder:
                await asyncio.to_thread(_secure, folder / place)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        if is_disk_full(error):
            raise disk_full() from None
        raise Unavailable(f"The media storage cannot be reached: {type(error).__name__}") from error


def place_of(file_id: str) -> str:
    """Returns where the store has the content of a file."""
    return f"{file_id[:2]}/{file_id}"


def _folder(objects: ObjectStore) -> Path | None:
    """Returns the folder of the files; None for a bucket."""
    prefix = objects.prefix if isinstance(objects, LocalStore) else None
    return Path(prefix) if prefix else None


def _secure(path: Path) -> None:
    """Makes the file private, and flushes it and its folder: a power cut loses neither."""
    path.chmod(PRIVATE_FILE)
    for flushed in (path, path.parent):
        descriptor = os.open(flushed, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
