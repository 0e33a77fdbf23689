"""Keeps files by their content, in a folder or a bucket; the same bytes are stored once.

A row says who keeps a content and for how long. It is written before the content is looked for,
and content is deleted only under a lock that every keeper takes: what has a row has its bytes.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from gateway.database.pool import Count, Database, fetch_all
from gateway.database.queries import query
from gateway.errors import Unavailable
from gateway.media.sniffing import type_of
from gateway.media.spooling import Spool, Spooled, SpoolFile

_HOLD_CONTENT = query("media", "hold_content")
_KEEP = query("media", "keep")
_FIND = query("media", "find")
_EXPIRE = query("media", "expire")
_LEFTOVERS = query("media", "leftovers")
_LOCK_CONTENT = query("media", "lock_content")
_STILL_KEPT = query("media", "still_kept")
_FORGET_LEFTOVER = query("media", "forget_leftover")

REFERENCE = "media:"
_MAX_PUTS = 4
_PART_BYTES = 5 * 1024 * 1024  # the smallest that S3 takes
_LOCAL_PART_BYTES = 1024 * 1024
_READ_BYTES = 256 * 1024
_ROWS_AT_ONCE = 500
_MIN_FREE_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file without reading it."""

    mime_type: str
    file_name: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is stored now."""

    id: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


class MediaStore:
    """Every method may raise Unavailable: the storage or the database is out of reach."""

    def __init__(
        self, database: Database, objects: ObjectStore, spool: Spool, *, retention_days: int
    ) -> None:
        self._database, self._objects, self._spool = database, objects, spool
        self._retention_days = retention_days
        # One part of each is in memory.
        self._puts = asyncio.Semaphore(_MAX_PUTS)

    async def keep(self, instance_id: str, file: Spooled, *, file_name: str | None = None) -> Kept:
        """Stores the file, or only its row where the bytes are there already."""
        mime_type = await asyncio.to_thread(type_of, file.path, file_name)
        async with self._database.transaction() as connection:
            await connection.execute(_HOLD_CONTENT, {"id": file.sha256})
            await connection.execute(
                _KEEP,
                {
                    "instance_id": instance_id,
                    "id": file.sha256,
                    "mime_type": mime_type,
                    "file_name": file_name,
                    "size_bytes": file.size_bytes,
                    "days": self._retention_days,
                },
            )
        with _translated():
            if not await self._has(file.sha256):
                await self._put(file)
        return Kept(file.sha256, mime_type)

    async def find(self, instance_id: str, file_id: str) -> StoredFile | None:
        return await self._database.fetch_one(
            StoredFile, _FIND, instance_id=instance_id, id=file_id
        )

    async def read(self, file_id: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from *start* up to *end*, in pieces; ends early where the file is gone."""
        with _translated():
            found = await self._objects.get_async(_place(file_id), options={"range": (start, end)})
            async for piece in found.stream(min_chunk_size=_READ_BYTES):
                yield bytes(piece)

    async def copy_to(self, file_id: str, path: Path) -> Spooled | None:
        """Writes the file to *path*; None where it is gone."""
        try:
            with _translated():
                found = await self._objects.get_async(_place(file_id))
        except FileNotFoundError:
            return None
        with _translated(), SpoolFile(path) as file:
            async for piece in found.stream(min_chunk_size=_READ_BYTES):
                file.write(bytes(piece))
            return file.finish()

    async def complaint(self) -> str | None:
        """What /ready says of the storage."""
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

    async def sweep(self) -> None:
        """Forgets what is past its time, and deletes what nobody keeps."""
        await asyncio.to_thread(self._spool.clear_stale)
        while True:
            looked_at = await self._database.fetch_one(Count, _EXPIRE, max_count=_ROWS_AT_ONCE)
            if looked_at is None or looked_at.count < _ROWS_AT_ONCE:
                break
        while leftovers := await self._database.fetch_all(_Id, _LEFTOVERS, max_count=_ROWS_AT_ONCE):
            for leftover in leftovers:
                await self._delete(leftover.id)

    async def _delete(self, file_id: str) -> None:
        named = {"id": file_id}
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK_CONTENT, named)
            if not await fetch_all(connection, _Id, _STILL_KEPT, id=file_id):
                with _translated():
                    await self._objects.delete_async(_place(file_id))
            await connection.execute(_FORGET_LEFTOVER, named)

    async def _has(self, file_id: str) -> bool:
        try:
            await self._objects.head_async(_place(file_id))
        except FileNotFoundError:
            return False
        return True

    async def _put(self, file: Spooled) -> None:
        place, folder = _place(file.sha256), _folder(self._objects)
        async with self._puts:
            await self._objects.put_async(
                place,
                file.path,
                chunk_size=_LOCAL_PART_BYTES if folder else _PART_BYTES,
                max_concurrency=1,
            )
            if folder:
                await asyncio.to_thread(_flush, folder / place)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise Unavailable(f"The media storage did not answer: {type(error).__name__}") from error


def _place(file_id: str) -> str:
    return f"{file_id[:2]}/{file_id}"


def _folder(objects: ObjectStore) -> Path | None:
    """Where the files are, when that is this machine."""
    prefix = objects.prefix if isinstance(objects, LocalStore) else None
    return Path(prefix) if prefix else None


def _flush(path: Path) -> None:
    """What was accepted survives a power cut."""
    for flushed in (path, path.parent):
        descriptor = os.open(flushed, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
