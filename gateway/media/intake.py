"""Stores the files that a request carries; URLs stay for the worker to fetch."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from gateway.contract.media import NamedFile, files_in, with_texts
from gateway.contract.send import OutgoingMessage
from gateway.errors import InvalidRequest
from gateway.media.allowance import StorageAllowance
from gateway.media.disk_reserve import DiskReserve
from gateway.media.fetching import Fetcher
from gateway.media.known_types import extension_of, named_type
from gateway.media.sniffing import GENERIC_TYPE, type_of
from gateway.media.spooling import BadFile, Base64File, Spool, Spooled, SpoolFile, too_large
from gateway.media.storing import REFERENCE, MediaStore


class MediaIntake:
    """Replaces the bytes in a message by references to stored files."""

    def __init__(
        self, store: MediaStore, fetcher: Fetcher, spool: Spool, allowance: StorageAllowance
    ) -> None:
        self._store, self._fetcher, self.spool = store, fetcher, spool
        self._allowance = allowance

    async def store_files(
        self,
        account_id: str,
        instance_id: str,
        message: OutgoingMessage,
        spooled: Mapping[str, Spooled | BadFile],
        folder: Path,
    ) -> OutgoingMessage:
        """Stores the files of *message* and returns it with references in their places.

        Args:
            account_id: the account of the instance, whose stored bytes are limited.
            instance_id: the instance that sends.
            message: the message as the caller wrote it.
            spooled: the strings that were spooled to disk, by the names left in the body.
            folder: where decoded files are written.

        Raises:
            InvalidRequest: a field holds neither a URL nor a file.
            StorageLimitReached: the account has stored as much as it may.
            Unavailable: the storage cannot be reached.
        """
        given: dict[str, Spooled] = {}
        named_files = list(files_in(message))
        if named_files:
            await self._allowance.check(account_id)
        for n, named in enumerate(named_files):
            try:
                if is_url(named.text):
                    self._fetcher.check(named.text)
                elif named.text not in given:
                    file = given[named.text] = _bytes_of(
                        named, spooled, folder / f"given{n}", self.spool.reserve
                    )
                    if named.mark.kind == "document":
                        message = await _with_own_name(message, file)
            except BadFile as error:
                raise InvalidRequest(f"{named.place}: {error}") from None
        name = message.document_name()
        stored = await asyncio.gather(
            *(self._store.put(instance_id, file, file_name=name) for file in given.values())
        )
        self._allowance.add(account_id, sum(file.size_bytes for file in given.values()))
        return with_texts(
            message, {text: REFERENCE + file.id for text, file in zip(given, stored, strict=True)}
        )


async def _with_own_name(message: OutgoingMessage, file: Spooled) -> OutgoingMessage:
    """Returns the message with the name that a `data:` URI gives, or that follows from its type."""
    if file.declared_name:
        return message.with_document_name(file.declared_name)
    if not file.declared_type or message.document_name():
        return message
    name = f"document{extension_of(file.declared_type)}"
    found = await asyncio.to_thread(type_of, file.path, None, file.declared_type)
    is_so = found == named_type(name) and found != GENERIC_TYPE
    return message.with_document_name(name) if is_so else message


def is_url(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def _bytes_of(
    named: NamedFile,
    spooled: Mapping[str, Spooled | BadFile],
    path: Path,
    reserve: DiskReserve | None,
) -> Spooled:
    file = spooled.get(named.text)
    if file is None:
        file = decoded(named.text, path, named.mark.max_bytes, reserve)
    if isinstance(file, BadFile):
        raise file
    if file.size_bytes > named.mark.max_bytes:
        raise too_large(named.mark.max_bytes)
    return file


def decoded(text: str, path: Path, max_bytes: int, reserve: DiskReserve | None) -> Spooled:
    """Decodes base64 or a `data:` URI to *path*; raises BadFile if the text is neither."""
    content = text.encode(errors="replace")
    with SpoolFile(path, max_bytes=max_bytes, reserve=reserve) as file:
        base64 = Base64File(file)
        try:
            base64.feed(content)
            return base64.finish()
        except BadFile as error:
            if text[:5].lower() == "data:" or "base64" not in str(error):
                raise
            raise BadFile("must be a URL or base64") from None
