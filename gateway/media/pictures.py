"""Reads the picture that a caller sets for a profile, group or channel; nothing is stored."""

import asyncio

from gateway.contract.media import MediaField, MediaFile
from gateway.errors import InvalidRequest, SessionUnavailable, TryAgainLater, Unavailable
from gateway.media.converting import Converter
from gateway.media.fetching import Fetcher
from gateway.media.intake import decoded, is_url
from gateway.media.spooling import BadFile, Spool

_MARK = MediaField("thumbnail")  # a JPEG of the largest size that WhatsApp shows


class Pictures:
    """Reads pictures for providers."""

    def __init__(self, fetcher: Fetcher, converter: Converter, spool: Spool) -> None:
        self._fetcher, self._converter, self._spool = fetcher, converter, spool

    async def jpeg(self, instance_id: str, source: str) -> bytes:
        """Returns the picture of a URL, `data:` URI or base64 as a JPEG of at most 640 pixels.

        A download counts for *instance_id*.

        Raises:
            InvalidRequest: the source is not a picture.
            SessionUnavailable: the server of the URL failed or did not answer in time, or too many
                files wait to be read.
        """
        try:
            return await self._read(instance_id, source)
        except BadFile as error:
            raise InvalidRequest(f"The picture {error}") from None
        except (TryAgainLater, Unavailable) as error:
            raise SessionUnavailable(f"The picture cannot be fetched now: {error}") from None

    async def _read(self, instance_id: str, source: str) -> bytes:
        async with self._spool.folder() as folder:
            path = folder / "original"
            if is_url(source):
                fetched = await self._fetcher.fetch(
                    source, path, owner=instance_id, max_bytes=_MARK.max_bytes
                )
                file = fetched.file
            else:
                file = await asyncio.to_thread(
                    decoded, source, path, _MARK.max_bytes, self._spool.reserve
                )
            mime_type = await self._converter.type_of(file.path, None, instance_id=instance_id)
            picture = MediaFile(file.path, mime_type, file.size_bytes, file.sha256)
            ready = await self._converter.convert(
                picture, _MARK.kind, folder, instance_id=instance_id, patient=False
            )
            return await asyncio.to_thread(ready.path.read_bytes)
