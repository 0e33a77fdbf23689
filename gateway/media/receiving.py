"""Stores the files of received messages, and makes the links for callbacks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.contract.media import MediaField
from gateway.media.fetching import Fetcher
from gateway.media.file_names import safe_file_name
from gateway.media.intake import decoded, is_url
from gateway.media.known_types import extension_of
from gateway.media.links import LinkSigner
from gateway.media.spooling import Spool, Spooled, SpoolFile
from gateway.media.storing import MediaStore

_MAX_BYTES = MediaField("document").max_bytes


@dataclass(frozen=True, slots=True)
class MediaLink:
    """The link to a stored file, and its type, as callbacks hold them."""

    link: str
    mime_type: str


class InboundMedia:
    """Stores the files of received messages."""

    def __init__(
        self,
        store: MediaStore,
        fetcher: Fetcher,
        links: LinkSigner,
        base_url_of: Callable[[str], Awaitable[str]],
        spool: Spool,
    ) -> None:
        self._store, self._fetcher, self._spool = store, fetcher, spool
        self._links, self._base_url_of = links, base_url_of

    async def store(
        self,
        instance_id: str,
        source: str | Callable[[], AsyncIterator[bytes]],
        *,
        file_name: str | None = None,
    ) -> MediaLink:
        """Stores a file and returns its link.

        Args:
            instance_id: the instance that received it.
            source: a URL, a `data:` URI, base64, or a function that downloads the file.
            file_name: the name that the sender gave it; the link has a safe form of it.

        Raises:
            BadFile: the file does not exist, or is too large.
            TryAgainLater: its server failed or did not answer in time.
            Unavailable: the storage or the database cannot be reached.
        """
        file_name = safe_file_name(file_name)
        async with self._spool.folder() as folder:
            file = await self._read(source, folder / "received", instance_id)
            stored = await self._store.put(instance_id, file, file_name=file_name)
        name = file_name or f"{stored.id[:16]}{extension_of(stored.mime_type)}"
        base_url = await self._base_url_of(instance_id)
        link = self._links.link_to(instance_id, stored.id, name, base_url=base_url)
        return MediaLink(link, stored.mime_type)

    async def _read(
        self, source: str | Callable[[], AsyncIterator[bytes]], path: Path, instance_id: str
    ) -> Spooled:
        reserve = self._spool.reserve
        if isinstance(source, str):
            if reserve:
                reserve.check()
            if is_url(source):
                fetched = await self._fetcher.fetch(
                    source, path, owner=instance_id, max_bytes=_MAX_BYTES
                )
                return fetched.file
            return decoded(source, path, _MAX_BYTES, reserve)
        with SpoolFile(path, max_bytes=_MAX_BYTES, reserve=reserve) as file:
            async for piece in source():
                file.write(piece)
            return file.finish()
