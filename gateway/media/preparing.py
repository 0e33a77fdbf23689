"""Gets the files of a message ready while its pause lasts, before its attempt begins."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from gateway.contract.media import MediaField, MediaFile, Preview, files_in
from gateway.contract.send import OutgoingMessage
from gateway.errors import Refused, TryAgainLater, Unavailable
from gateway.media.converting import Converter
from gateway.media.fetching import Fetcher
from gateway.media.previewing import read_page
from gateway.media.sniffing import extension_of, type_of
from gateway.media.spooling import BadFile, Spool, Spooled
from gateway.media.storing import REFERENCE, MediaStore
from gateway.observability.error_reports import report_error

_IMAGE_SECONDS = 5.0
_PREVIEW_IMAGE = MediaField("thumbnail")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The files of a message by the text that names them, and the page its link leads to."""

    media: Mapping[str, MediaFile] = field(default_factory=dict)
    preview: Preview | None = None


NOTHING = Prepared()


class Preparing:
    """A preparation under way."""

    def __init__(self, task: "asyncio.Task[Prepared] | None") -> None:
        self._task = task

    async def ended(self, leaving: asyncio.Event) -> bool:
        """Waits for the end, good or bad; False when we must leave before."""
        if self._task is None or self._task.done():
            return True
        left = asyncio.ensure_future(leaving.wait())
        try:
            await asyncio.wait((self._task, left), return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
        return self._task.done()

    async def result(self) -> Prepared:
        """What was prepared.

        Raises:
            Refused: a file is not what it must be, or will never be there.
            TryAgainLater: one cannot be had for now.
        """
        return await self._task if self._task else NOTHING


class Preparer:
    """What all workers of this process share."""

    def __init__(
        self, store: MediaStore, fetcher: Fetcher, converter: Converter, spool: Spool
    ) -> None:
        self._store, self._fetcher, self._converter = store, fetcher, converter
        self._spool = spool

    @asynccontextmanager
    async def preparing(self, message: OutgoingMessage) -> AsyncIterator[Preparing]:
        """Begins at once; files live as long as the block."""
        link = message.link_to_preview()
        if not type(message).carries_media and link is None:
            yield Preparing(None)
            return
        async with self._spool.folder() as folder:
            task = asyncio.create_task(self._prepare(message, link, folder), name="media")
            try:
                yield Preparing(task)
            finally:
                task.cancel()
                await asyncio.wait((task,))
                _ = task.cancelled() or task.exception()  # whoever did not ask did not want it

    async def _prepare(self, message: OutgoingMessage, link: str | None, folder: Path) -> Prepared:
        media: dict[str, MediaFile] = {}
        for named in files_in(message):
            if named.text not in media:
                with _failures_named(named.place):
                    media[named.text] = await self._ready(
                        named.text, named.mark, _new_folder(folder), message.document_name()
                    )
        return Prepared(media, await self._preview(link, folder) if link else None)

    async def _ready(
        self, text: str, mark: MediaField, folder: Path, given_name: str | None
    ) -> MediaFile:
        file = await self._read(text, mark, folder / "original")
        name = given_name or _name_in(text)
        mime_type = await asyncio.to_thread(type_of, file.path, name)
        ready = await self._converter.convert(
            MediaFile(file.path, mime_type, file.size_bytes, file.sha256), mark.kind, folder
        )
        return replace(ready, file_name=name or f"{mark.kind}{extension_of(ready.mime_type)}")

    async def _read(self, text: str, mark: MediaField, path: Path) -> Spooled:
        if not text.startswith(REFERENCE):
            return (await self._fetcher.fetch(text, path, max_bytes=mark.max_bytes)).file
        kept = await self._store.copy_to(text.removeprefix(REFERENCE), path)
        if kept is None:
            raise BadFile("is no longer stored")
        return kept

    async def _preview(self, link: str, folder: Path) -> Preview | None:
        """A courtesy: without it the link goes alone."""
        try:
            preview, image = await read_page(self._fetcher, link, _new_folder(folder))
        except (BadFile, TryAgainLater):
            return None
        if image is None:
            return preview
        try:
            async with asyncio.timeout(_IMAGE_SECONDS):
                file = await self._ready(image, _PREVIEW_IMAGE, _new_folder(folder), None)
        except (BadFile, TryAgainLater, TimeoutError):
            return preview
        return replace(preview, image=file)


@contextmanager
def _failures_named(place: str) -> Iterator[None]:
    """Failures as those of an attempt: nothing has left, so none of them is in doubt."""
    try:
        yield
    except BadFile as error:
        raise Refused(f"{place}: {error}") from None
    except TryAgainLater as error:
        raise TryAgainLater(f"{place}: {error}", after_seconds=error.after_seconds) from None
    except Unavailable as error:
        raise TryAgainLater(str(error)) from None
    except Exception as error:
        report_error(error, component="media")
        raise TryAgainLater(f"{place}: unexpected {type(error).__name__}") from error


def _new_folder(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _name_in(text: str) -> str | None:
    """The name that a URL ends with."""
    if text.startswith(REFERENCE):
        return None
    name = unquote(urlsplit(text).path.rpartition("/")[2])
    return name if PurePath(name).suffix else None
