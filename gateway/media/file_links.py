"""Makes links to the stored files that sent messages name."""

from collections.abc import Awaitable, Callable, Mapping

from gateway.contract.media import MediaFile, files_in
from gateway.contract.send import OutgoingMessage
from gateway.media.file_names import safe_file_name
from gateway.media.links import LinkSigner
from gateway.media.storing import REFERENCE

LinkTo = Callable[[str], str | None]
"""Returns the link to the file that a text of a stored message names; None if it names none."""


def no_link(_source: str) -> str | None:
    return None


class FileLinks:
    """Signs the links for the echoes of sent messages."""

    def __init__(self, signer: LinkSigner, base_url_of: Callable[[str], Awaitable[str]]) -> None:
        """Prepares the links; *base_url_of* returns the base URL for an instance's id."""
        self._signer, self._base_url_of = signer, base_url_of

    async def of_message(
        self, instance_id: str, message: OutgoingMessage, files: Mapping[str, MediaFile]
    ) -> LinkTo:
        """Returns what makes the links for one message.

        A link leads to the file as the caller gave it: erasing a person finds that file by the
        message. *files* are those that were sent, by the texts that name them.

        Raises:
            DatabaseUnavailable: the base URL of the instance is not known.
        """
        names_stored = any(named.text.startswith(REFERENCE) for named in files_in(message))
        if not (names_stored or message.is_forwarded):
            return no_link
        base_url = await self._base_url_of(instance_id)

        def link_to(source: str) -> str | None:
            if not source.startswith(REFERENCE):
                return None
            file_id = source.removeprefix(REFERENCE)
            name = _file_name(file_id, files.get(source))
            return self._signer.link_to(instance_id, file_id, name, base_url=base_url)

        return link_to


def _file_name(file_id: str, sent: MediaFile | None) -> str:
    """Returns the name of a download; without an extension where another file was sent."""
    name = sent.file_name if sent and sent.sha256 == file_id else None
    return safe_file_name(name) or file_id[:16]
