"""Fetches and converts the files of a message during its pause, before its attempt."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.contract.media import MediaField, MediaFile, Preview, files_in
from gateway.contract.send import OutgoingMessage
from gateway.errors import Refused, TryAgainLater, Unavailable
from gateway.media.converting import Converter
from gateway.media.fetching import Fetcher
from gateway.media.file_names import safe_file_name
from gateway.media.known_types import extension_of
from gateway.media.previewing import read_page
from gateway.media.spooling import BadFile, Spool, Spooled
from gateway.media.storing import REFERENCE, MediaStore
from gateway.observability.error_reports import report_error
from gateway.observability.media_metrics import MediaMetrics

_PAGE_SECONDS = 15.0
_IMAGE_SECONDS = 10.0
_PREVIEW_IMAGE = MediaField("thumbnail")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The files of a message by the text that names them, and the preview of its link."""

    media: Mapping[str, MediaFile] = field(default_factory=dict)
    preview: Preview | None = None


NOTHING = Prepared()


class Preparing:
    """A preparation that runs; the block of `Preparer.preparing` ends it."""

    def __init__(self, task: "asyncio.Task[Prepared] | None") -> None:
        self._task = task

    @property
    def has_ended(self) -> bool:
        return self._task is None or self._task.done()

    @property
    def has_failed(self) -> bool:
        task = self._task
        return bool(task and task.done() and (task.cancelled() or task.exception()))

    def on_end(self, notify: Callable[[], None]) -> None:
        """Calls *notify* when the preparation ends by itself, whether it succeeds or fails."""
        if self._task is not None:
            self._task.add_done_callback(lambda task: None if task.cancelled() else notify())

    async def ended(self, leaving: asyncio.Event, *, within_seconds: float | None = None) -> bool:
        """Waits until the preparation ends, *leaving* is set or the time is over.

        Returns whether it ended.
        """
        if self._task is None or self._task.done():
            return True
        left = asyncio.create_task(leaving.wait(), name="leaving")
        try:
            await asyncio.wait(
                (self._task, left),
                timeout=within_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            left.cancel()
            await asyncio.wait((left,))
        return self._task.done()

    async def result(self) -> Prepared:
        """Waits for the preparation and returns the files.

        Raises:
            Refused: a file is not of the right kind, or does not exist.
            TryAgainLater: a file cannot be fetched now.
        """
        return await self._task if self._task else NOTHING


NOT_NEEDED: Final = Preparing(None)
"""The preparation of a message without files."""


@dataclass(frozen=True, slots=True)
class FileServices:
    """What fetches, converts and counts the files of all messages.

    `turns` are taken to copy a stored file, which waits for no other server.
    """

    store: MediaStore
    fetcher: Fetcher
    converter: Converter
    metrics: MediaMetrics
    clock: Clock
    turns: AccountTurns = field(default_factory=AccountTurns)


class Preparer:
    """Prepares messages for all workers of this process."""

    def __init__(self, services: FileServices, spool: Spool) -> None:
        self._services, self._spool = services, spool

    def needs_files(self, message: OutgoingMessage) -> bool:
        """Returns whether a message has files to fetch, or a link whose page is to be read.

        An edit needs no file: it replaces a text or a caption.
        """
        has_files = message.carries_media and message.edited_id() is None
        return has_files or message.link_to_preview() is not None

    @asynccontextmanager
    async def preparing(
        self, instance_id: str, message: OutgoingMessage, *, account_id: str
    ) -> AsyncIterator[Preparing]:
        """Starts to prepare *message*; its files are deleted when the block ends.

        The end of the block withdraws what was not ready, also from the converting processes.
        """
        if not self.needs_files(message):
            yield NOT_NEEDED
            return
        async with self._spool.folder() as folder:
            preparation = _Preparation(self._services, instance_id, account_id, folder)
            task = asyncio.create_task(
                preparation.run(message, message.link_to_preview()), name="media"
            )
            try:
                yield Preparing(task)
            finally:
                task.cancel()
                await asyncio.wait((task,))
                _ = task.cancelled() or task.exception()  # read, so that asyncio does not log it


@dataclass(slots=True)
class _Counted:
    """What the metrics learn of a file once it is ready."""

    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Preparation:
    """Prepares one message; it creates a folder for each file."""

    services: FileServices
    instance_id: str
    account_id: str
    folder: Path

    async def run(self, message: OutgoingMessage, link: str | None) -> Prepared:
        media: dict[str, MediaFile] = {}
        for named in files_in(message):
            if named.text in media:
                continue
            if named.mark.kind == "thumbnail":
                if picture := await self._picture_of_card(named.text, named.mark):
                    media[named.text] = picture
                continue
            with self._failures_named(named.place, message.kind()):
                media[named.text] = await self._ready(
                    named.text, named.mark, _new_folder(self.folder), message.document_name
                )
        return Prepared(media, await self._preview(link) if link else None)

    async def _ready(
        self,
        text: str,
        mark: MediaField,
        folder: Path,
        name_of: Callable[[str | None], str | None],
    ) -> MediaFile:
        with self._counted(mark.kind) as counted:
            ready = await self._converted(text, mark, folder, name_of)
            counted.size_bytes = ready.size_bytes
        return ready

    @contextmanager
    def _counted(self, kind: str) -> Iterator[_Counted]:
        counted, clock = _Counted(), self.services.clock
        began = clock.monotonic_seconds()
        outcome = "failed"
        try:
            yield counted
            outcome = "ready"
        except BadFile:
            outcome = "refused"
            raise
        except asyncio.CancelledError:
            outcome = "withdrawn"
            raise
        finally:
            self.services.metrics.prepared(
                kind,
                outcome,
                seconds=clock.monotonic_seconds() - began,
                size_bytes=counted.size_bytes,
            )

    async def _converted(
        self,
        text: str,
        mark: MediaField,
        folder: Path,
        name_of: Callable[[str | None], str | None],
    ) -> MediaFile:
        file = await self._read(text, mark, folder / "original")
        name = name_of(file.declared_name) or _name_in(text)
        converter = self.services.converter
        mime_type = await converter.type_of(
            file.path, name, instance_id=self.instance_id, declared_type=file.declared_type
        )
        ready = await converter.convert(
            MediaFile(file.path, mime_type, file.size_bytes, file.sha256),
            mark.kind,
            folder,
            instance_id=self.instance_id,
        )
        return replace(ready, file_name=_complete_name(name or mark.kind, ready.mime_type))

    async def _read(self, text: str, mark: MediaField, path: Path) -> Spooled:
        if not text.startswith(REFERENCE):
            fetched = await self.services.fetcher.fetch(
                text, path, owner=self.account_id, max_bytes=mark.max_bytes
            )
            return replace(
                fetched.file,
                declared_type=fetched.declared_type,
                declared_name=fetched.declared_name,
            )
        async with self.services.turns.turn(self.account_id):
            file = await self.services.store.copy_to(text.removeprefix(REFERENCE), path)
        if file is None:
            raise BadFile("is no longer stored")
        return file

    async def _preview(self, link: str) -> Preview | None:
        """Returns the preview of a link; None if its page cannot be read.

        The preview decorates a text: no failure of it may fail the send.
        """
        try:
            return await self._read_preview(link)
        except Exception as error:  # noqa: BLE001 - the text is sent without its preview
            report_error(error, component="media", instance_id=self.instance_id)
            return None

    async def _read_preview(self, link: str) -> Preview | None:
        try:
            async with asyncio.timeout(_PAGE_SECONDS):
                preview, image = await read_page(
                    self.services.fetcher,
                    self.services.converter,
                    link,
                    _new_folder(self.folder),
                    instance_id=self.instance_id,
                    owner=self.account_id,
                )
        except (BadFile, TryAgainLater, Unavailable, TimeoutError):
            return None
        if image is None:
            return preview
        return replace(preview, image=await self._picture_of_card(image, _PREVIEW_IMAGE))

    async def _picture_of_card(self, text: str, mark: MediaField) -> MediaFile | None:
        """Returns the picture of a link's card; a card without its picture is sent all the same."""
        try:
            async with asyncio.timeout(_IMAGE_SECONDS):
                return await self._ready(text, mark, _new_folder(self.folder), _same)
        except (BadFile, TryAgainLater, Unavailable, TimeoutError):
            return None

    @contextmanager
    def _failures_named(self, place: str, message_type: str) -> Iterator[None]:
        """Turns failures into those of an attempt: nothing was sent, so none is in doubt."""
        try:
            yield
        except BadFile as error:
            raise Refused(f"{place}: {error}") from None
        except TryAgainLater as error:
            raise TryAgainLater(f"{place}: {error}", after_seconds=error.after_seconds) from None
        except Unavailable as error:
            raise TryAgainLater(str(error)) from None
        except Exception as error:
            report_error(
                error,
                component="media",
                instance_id=self.instance_id,
                message_type=message_type,
            )
            raise TryAgainLater(f"{place}: unexpected {type(error).__name__}") from error


def _new_folder(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _same(own_name: str | None) -> str | None:
    return own_name


def _complete_name(name: str, mime_type: str) -> str:
    """Returns the name with an extension: phones open a document by it."""
    has_extension = re.search(r"\.(?=[^.]*[A-Za-z])[^.\s]{1,8}$", name)
    return name if has_extension else name + extension_of(mime_type)


def _name_in(text: str) -> str | None:
    """Returns the file name at the end of a URL, if it has a suffix."""
    if text.startswith(REFERENCE):
        return None
    try:
        name = safe_file_name(unquote(urlsplit(text).path.rpartition("/")[2]))
    except ValueError:  # such as an unclosed bracket
        return None
    return name if name and PurePath(name).suffix else None
