"""Stores files under the hash of their content, in a folder or a bucket, so each is stored once.

A row of `media` says which instance uses a content and until when. `put` holds a shared lock on the
content while it writes the row; the deletion of content holds the exclusive lock while it looks for
rows. So content that has a row is never deleted.
"""

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Count, Database, fetch_all
from gateway.database.queries import query
from gateway.errors import Unavailable
from gateway.media.converting import Converter
from gateway.media.deferred_files import DeferredFiles, Span
from gateway.media.disk import PRIVATE_FILE, disk_full, is_disk_full
from gateway.media.spooling import Spool, Spooled, SpoolFile
from gateway.observability.logging import logger

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

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
_BUCKET_PAUSE_SECONDS = 30.0


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
        deferred: DeferredFiles | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares the store.

        Args:
            database: has the rows.
            objects: the folder or the bucket.
            spool: holds the files that come, and the reserve of its disk.
            converter: recognises types.
            retention_days: of each file.
            deferred: keeps what the bucket does not take; None for a folder.
            seconds: a monotonic clock.
        """
        self._database, self._objects, self._spool = database, objects, spool
        self._converter, self._retention_days = converter, retention_days
        self._deferred, self._seconds = deferred, seconds
        self._bucket_failed_at = -math.inf
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

    async def open(self, file_id: str, span: Span | None = None) -> AsyncIterator[bytes]:
        """Returns the bytes of a file in pieces: all of them, or those of *span*.

        Raises:
            FileNotFoundError: it is no longer stored.
        """
        if self._deferred and (pieces := await self._deferred.open_here(file_id, span)):
            return pieces
        try:
            return await self._open_object(file_id, span)
        except (FileNotFoundError, Unavailable):
            pieces = await self._deferred.open_elsewhere(file_id, span) if self._deferred else None
            if pieces is None:
                raise
            return pieces

    async def copy_to(self, file_id: str, path: Path) -> Spooled | None:
        """Writes the file to *path*; returns None if it is no longer stored."""
        try:
            pieces = await self.open(file_id)
        except FileNotFoundError:
            return None
        with _translated(), SpoolFile(path) as file:
            async for piece in pieces:
                file.write(piece)
            return file.finish()

    async def problem(self) -> str | None:
        """Returns why this node cannot take files, for /ready; None if it can."""
        if self._deferred is None and (problem := await self.bucket_problem()):
            return problem
        return await self._spool.reserve.problem() if self._spool.reserve else None

    async def bucket_problem(self) -> str | None:
        """Returns why the folder or the bucket cannot be used; None if it can."""
        try:
            await self.has("0" * 64)
        except Unavailable as error:
            if self._deferred is None:
                return str(error)
            deferred = await self._deferred.count()
            return f"{error}; this node keeps new files until it can, {deferred.files} now"
        return None

    async def has(self, file_id: str) -> bool:
        """Says whether the folder or the bucket has the content."""
        with _translated():
            try:
                await self._objects.head_async(place_of(file_id))
            except FileNotFoundError:
                return False
        return True

    async def upload(self, file_id: str, path: Path) -> None:
        """Stores the content of *path*, if it is not stored yet."""
        if not await self.has(file_id):
            with _translated():
                await self._put(file_id, path)
        self._bucket_failed_at = -math.inf

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

    async def _put_content(self, file: Spooled) -> None:
        """Stores the content where it belongs; this node keeps it while the bucket fails."""
        if self._deferred is None:
            await self.upload(file.sha256, file.path)
            return
        # After a failure it is left alone for a while, so that callers need not wait for the next.
        if self._seconds() >= self._bucket_failed_at + _BUCKET_PAUSE_SECONDS:
            try:
                await self.upload(file.sha256, file.path)
            except Unavailable as error:
                self._bucket_failed_at = self._seconds()
                logger.warning("bucket_unavailable", error=str(error))
            else:
                return
        await self._deferred.defer(file)

    async def _open_object(self, file_id: str, span: Span | None) -> AsyncIterator[bytes]:
        options: GetOptions = {"range": span} if span else {}
        with _translated():
            found = await self._objects.get_async(place_of(file_id), options=options)
        return _pieces_of(found)

    async def _put(self, file_id: str, path: Path) -> None:
        place, folder = place_of(file_id), _folder(self._objects)
        if folder and self._spool.reserve:
            self._spool.reserve.check((await asyncio.to_thread(path.stat)).st_size)
        async with self._puts:
            await self._objects.put_async(
                place,
                path,
                chunk_size=_LOCAL_PART_BYTES if folder else _PART_BYTES,
                max_concurrency=1,
            )
            if folder:
                await asyncio.to_thread(_secure, folder / place)


async def _pieces_of(found: "GetResult") -> AsyncIterator[bytes]:
    with _translated():
        async for piece in found.stream(min_chunk_size=_READ_BYTES):
            yield bytes(piece)


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
