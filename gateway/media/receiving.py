"""Keeps files that came with messages, and makes links to them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.contract.media import MediaField
from gateway.media.fetching import Fetcher
from gateway.media.intake import decoded, is_url
from gateway.media.links import Links
from gateway.media.sniffing import extension_of
from gateway.media.spooling import Spool, Spooled, SpoolFile
from gateway.media.storing import MediaStore

_MAX_BYTES = MediaField("document").max_bytes


@dataclass(frozen=True, slots=True)
class Received:
    """A stored file, as a callback tells of it."""

    link: str
    mime_type: str


class Receiver:
    """What inbound works with."""

    def __init__(
        self,
        store: MediaStore,
        fetcher: Fetcher,
        links: Links,
        base_url_of: Callable[[str], Awaitable[str]],
        spool: Spool,
    ) -> None:
        self._store, self._fetcher, self._spool = store, fetcher, spool
        self._links, self._base_url_of = links, base_url_of

    async def keep(
        self,
        instance_id: str,
        source: str | Callable[[], AsyncIterator[bytes]],
        *,
        file_name: str | None = None,
    ) -> Received:
        """Stores what *source* is: a URL, a `data:` URI, base64, or what downloads it.

        Raises:
            BadFile: there is no such file, or it is too large.
            TryAgainLater: its server is in trouble.
            Unavailable: the storage or the database is.
        """
        async with self._spool.folder() as folder:
            file = await self._read(source, folder / "received")
            kept = await self._store.keep(instance_id, file, file_name=file_name)
        name = file_name or f"{kept.id[:16]}{extension_of(kept.mime_type)}"
        base_url = await self._base_url_of(instance_id)
        link = self._links.to(instance_id, kept.id, name, base_url=base_url)
        return Received(link, kept.mime_type)

    async def _read(self, source: str | Callable[[], AsyncIterator[bytes]], path: Path) -> Spooled:
        if isinstance(source, str):
            if is_url(source):
                return (await self._fetcher.fetch(source, path, max_bytes=_MAX_BYTES)).file
            return decoded(source, path, _MAX_BYTES)
        with SpoolFile(path, max_bytes=_MAX_BYTES) as file:
            async for piece in source():
                file.write(piece)
            return file.finish()
