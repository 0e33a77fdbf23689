"""Files that the bucket did not take: a node keeps them, serves them, and moves them later.

    defer   flush the file  ->  with the content locked: move it to its place, note it in the
            database  ->  the caller is answered
    move    upload  ->  with the content locked: see it in the bucket, delete the note  ->  with
            the content locked: delete the file if no note names it

A process that dies between any two of these leaves the file where a note names it, or a file that
no note names and that was not accepted, or that is in the bucket; the next pass deletes such files.
The lock is the one of `MediaStore`: the deletion of content waits for it.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import Unavailable
from gateway.media.deferred_folder import DeferredFolder
from gateway.media.spooling import Spooled
from gateway.observability.logging import logger

_SHARE_CONTENT = query("media", "share_content")
_LOCK_CONTENT = query("media", "lock_content")
_FIND_USE = query("media", "find_use")
_NOTE_FOLDER = query("media", "note_folder")
_NOTE_DEFERRED = query("media", "note_deferred")
_FIND_DEFERRED = query("media", "find_deferred")
_FIND_DEFERRED_HERE = query("media", "find_deferred_here")
_LIST_DEFERRED = query("media", "list_deferred")
_COUNT_DEFERRED = query("media", "count_deferred")
_DELETE_DEFERRED = query("media", "delete_deferred")
_DELETE_ORPHANED_NOTES = query("media", "delete_orphaned_notes")

_READ_BYTES: Final = 256 * 1024
_BATCH: Final = 100

Span = tuple[int, int]
"""The first byte, and the byte after the last."""


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Which node serves a folder, and the URL of its internal listener."""

    node_id: str
    internal_address: str


@dataclass(frozen=True, slots=True)
class DeferredPlace:
    """Where a node keeps a file; *database_seconds* is the time of the database."""

    folder_id: uuid.UUID
    node_id: str
    internal_address: str
    database_seconds: float


@dataclass(frozen=True, slots=True)
class DeferredFile:
    """A file in this folder, and whether an instance still uses it."""

    id: str
    size_bytes: int
    is_used: bool


@dataclass(frozen=True, slots=True)
class DeferredCount:
    """The files that wait for the bucket in one folder."""

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


class RemoteFolders(Protocol):
    """Reads files from the folders of other nodes."""

    async def open(
        self, place: DeferredPlace, file_id: str, span: Span | None
    ) -> AsyncIterator[bytes]:
        """Returns the bytes of a file.

        Raises:
            Unavailable: the node does not answer, or no longer has the file.
        """
        ...


class BucketUploads(Protocol):
    """The bucket, as the move of files needs it; each method may raise Unavailable."""

    async def upload(self, file_id: str, path: Path) -> None: ...

    async def has(self, file_id: str) -> bool: ...


class DeferredFiles:
    """The files that nodes keep; every method may raise DatabaseUnavailable."""

    def __init__(
        self,
        database: Database,
        folder: DeferredFolder,
        remote: RemoteFolders,
        address: NodeAddress,
    ) -> None:
        self._database, self._folder = database, folder
        self._remote, self._address = remote, address

    @property
    def folder_id(self) -> uuid.UUID:
        return self._folder.id

    async def defer(self, file: Spooled) -> None:
        """Returns when the file and its note are stored for good.

        Raises:
            Unavailable: the disk is full, or its reserve is reached.
        """
        written = await asyncio.to_thread(self._folder.write, file)
        try:
            await self._place(written, file)
        finally:
            await asyncio.to_thread(written.unlink, missing_ok=True)

    async def open_here(self, file_id: str, span: Span | None) -> AsyncIterator[bytes] | None:
        """Returns the bytes of a file in this node's folder; None if it is not there."""
        opened = await asyncio.to_thread(self._folder.open, file_id)
        return _pieces(opened, span) if opened else None

    async def open_elsewhere(self, file_id: str, span: Span | None) -> AsyncIterator[bytes] | None:
        """Returns the bytes of a file that another node keeps; None if none does.

        Raises:
            Unavailable: that node does not answer.
        """
        places = await self._database.fetch_all(
            DeferredPlace, _FIND_DEFERRED, id=file_id, folder_id=self._folder.id
        )
        failure: Unavailable | None = None
        for place in places:
            try:
                return await self._remote.open(place, file_id, span)
            except Unavailable as error:
                failure = error
        if failure is not None:
            raise failure
        return None

    async def count(self) -> DeferredCount:
        counted = await self._database.fetch_one(
            DeferredCount, _COUNT_DEFERRED, folder_id=self._folder.id
        )
        assert counted is not None
        return counted

    async def move_to(self, bucket: BucketUploads) -> None:
        """Moves every file of this folder to the bucket, and deletes what nothing needs.

        Raises:
            Unavailable: the bucket does not take files; they stay here.
        """
        await self._note_address()
        await self._delete_leftovers()
        after = ""
        while batch := await self._database.fetch_all(
            DeferredFile, _LIST_DEFERRED, folder_id=self._folder.id, after=after, max_count=_BATCH
        ):
            for deferred in batch:
                await self._move(deferred, bucket)
            after = batch[-1].id

    async def _place(self, written: Path, file: Spooled) -> None:
        async with self._database.within(DatabaseDeadline.UPLOAD).transaction() as connection:
            await connection.execute(_SHARE_CONTENT, {"id": file.sha256})
            await asyncio.to_thread(self._folder.place, written, file.sha256)
            await connection.execute(_NOTE_FOLDER, self._named())
            await connection.execute(
                _NOTE_DEFERRED,
                {
                    "id": file.sha256,
                    "folder_id": self._folder.id,
                    "size_bytes": file.size_bytes,
                },
            )
        logger.info("file_deferred", size_bytes=file.size_bytes)

    async def _note_address(self) -> None:
        """Lets other nodes find this folder after its node got another name or address."""
        if (await self.count()).files:
            await self._database.execute(_NOTE_FOLDER, **self._named())

    def _named(self) -> dict[str, object]:
        return {
            "folder_id": self._folder.id,
            "node_id": self._address.node_id,
            "internal_address": self._address.internal_address,
        }

    async def _move(self, deferred: DeferredFile, bucket: BucketUploads) -> None:
        path = self._folder.path(deferred.id)
        is_here = await asyncio.to_thread(path.exists)
        if deferred.is_used and is_here:
            with suppress(FileNotFoundError):  # another worker of this machine moved it
                await bucket.upload(deferred.id, path)
        async with self._database.within(DatabaseDeadline.UPLOAD).transaction() as connection:
            await connection.execute(_LOCK_CONTENT, {"id": deferred.id})
            is_used = bool(await fetch_all(connection, _Id, _FIND_USE, id=deferred.id))
            if is_used and not await bucket.has(deferred.id):
                if is_here:
                    return  # it came into use, or was deleted from the bucket, meanwhile
                logger.error("deferred_file_missing", file_id=deferred.id)
            await connection.execute(
                _DELETE_DEFERRED, {"id": deferred.id, "folder_id": self._folder.id}
            )
        await self._delete_unnoted(deferred.id)
        if deferred.is_used and is_here:
            logger.info("deferred_file_moved", size_bytes=deferred.size_bytes)

    async def _delete_unnoted(self, file_id: str) -> None:
        """Deletes a file that no note names; `defer` has the lock until it has written the note."""
        async with self._database.within(DatabaseDeadline.PRUNING).transaction() as connection:
            await connection.execute(_LOCK_CONTENT, {"id": file_id})
            noted = await fetch_all(
                connection, _Id, _FIND_DEFERRED_HERE, id=file_id, folder_id=self._folder.id
            )
            if not noted:
                await asyncio.to_thread(self._folder.delete, file_id)

    async def _delete_leftovers(self) -> None:
        """Deletes what a dead process left, and the notes of folders that are gone for good."""
        await asyncio.to_thread(self._folder.delete_stale)
        for file_id in await asyncio.to_thread(self._folder.stale_ids):
            await self._delete_unnoted(file_id)
        await self._database.execute(_DELETE_ORPHANED_NOTES, max_count=_BATCH)


async def _pieces(opened: IO[bytes], span: Span | None) -> AsyncIterator[bytes]:
    with closing(opened) as file:
        start, end = span or (0, None)
        await asyncio.to_thread(file.seek, start)
        left = None if end is None else end - start
        while left is None or left > 0:
            size = _READ_BYTES if left is None else min(_READ_BYTES, left)
            piece = await asyncio.to_thread(file.read, size)
            if not piece:
                return
            left = None if left is None else left - len(piece)
            yield piece
