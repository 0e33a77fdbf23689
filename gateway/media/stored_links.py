"""Makes new links to stored files, for messages of the history."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.media.file_names import safe_file_name
from gateway.media.known_types import extension_of
from gateway.media.links import LinkSigner
from gateway.media.storing import REFERENCE

_FIND_FILES = query("media", "find_files")
_REFERENCE = re.compile(f"{REFERENCE}([0-9a-f]{{64}})")
_LINK = re.compile(
    r"https?://[^/\s]+/(?:[^\s?]+/)?media/([^/\s?]+)/([0-9a-f]{64})/([^/\s?]+)\?\S*signature=\S+"
)


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """A file of this gateway that a link names; `path` is the link without scheme and host."""

    instance_id: str
    id: str
    path: str


def linked_file(link: str) -> LinkedFile | None:
    """Returns the file that a link names; None for a link that this gateway did not make."""
    if not (found := _LINK.fullmatch(link)):
        return None
    instance_id, file_id, rest = found[1], found[2], link[found.start(3) :]
    return LinkedFile(instance_id, file_id, f"/media/{instance_id}/{file_id}/{rest}")


@dataclass(frozen=True, slots=True)
class _File:
    id: str
    mime_type: str
    file_name: str | None


@dataclass(frozen=True, slots=True)
class StoredLinks:
    """The links to files of an instance that are still stored; `link_to` signs one."""

    instance_id: str
    names: Mapping[str, str]
    link_to: Callable[[str, str], str]

    def of_text(self, text: str) -> str | None:
        """Returns the link to the file that a text of a sent message names, if it is stored."""
        file_id = text.removeprefix(REFERENCE)
        return self.link_to(file_id, self.names[file_id]) if file_id in self.names else None

    def renewed(self, content: Any) -> Any:  # noqa: ANN401 - any JSON
        """Returns the content of a received message with a new link for each of its links."""
        match content:
            case str():
                return self._renewed_link(content)
            case Mapping():
                return {key: self.renewed(item) for key, item in content.items()}
            case list() | tuple():
                return [self.renewed(item) for item in content]
            case _:
                return content

    def _renewed_link(self, text: str) -> str:
        found = _LINK.fullmatch(text)
        if not found or found[1] != self.instance_id or found[2] not in self.names:
            return text
        return self.link_to(found[2], unquote(found[3]))


class StoredFiles:
    """Finds which files of messages are still stored."""

    def __init__(
        self,
        database: Database,
        signer: LinkSigner,
        base_url_of: Callable[[str], Awaitable[str]],
    ) -> None:
        """Prepares it; *base_url_of* returns the base URL for an instance's id."""
        self._database, self._signer, self._base_url_of = database, signer, base_url_of

    async def types(self, instance_id: str, ids: Iterable[str]) -> Mapping[str, str]:
        """Returns the MIME types that the bytes of files have, of those that are still stored."""
        if not (wanted := sorted(set(ids))):
            return {}
        rows = await self._database.fetch_all(
            _File, _FIND_FILES, instance_id=instance_id, ids=wanted
        )
        return {row.id: row.mime_type for row in rows}

    async def links(self, instance_id: str, *payloads: object) -> StoredLinks:
        """Returns the links to the files that stored messages name; raises DatabaseUnavailable."""
        ids = sorted({file_id for payload in payloads for file_id in _ids_in(payload)})
        if not ids:
            return StoredLinks(instance_id, {}, lambda _id, _name: "")
        rows = await self._database.fetch_all(_File, _FIND_FILES, instance_id=instance_id, ids=ids)
        base_url = await self._base_url_of(instance_id)
        return StoredLinks(
            instance_id,
            {row.id: _name_of(row) for row in rows},
            lambda file_id, name: self._signer.link_to(
                instance_id, file_id, name, base_url=base_url
            ),
        )


def _name_of(file: _File) -> str:
    return safe_file_name(file.file_name) or f"{file.id[:16]}{extension_of(file.mime_type)}"


def _ids_in(value: object) -> Iterator[str]:
    """Yields the ids of files in the stored form of a message, sent or received."""
    match value:
        case str():
            if found := _REFERENCE.fullmatch(value):
                yield found[1]
            elif link := _LINK.fullmatch(value):
                yield link[2]
        case Mapping():
            for item in value.values():
                yield from _ids_in(item)
        case list() | tuple():
            for item in value:
                yield from _ids_in(item)
        case _:
            return
