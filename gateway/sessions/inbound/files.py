"""Keeps the files of a received message, within limits of number and time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.clock import Clock
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.errors import CallerError, NotConnected, Refused, Unavailable
from gateway.media.receiving import InboundMedia, MediaLink
from gateway.media.spooling import BadFile
from gateway.observability.error_reports import report_error
from gateway.sessions.events import ReceivedFile
from gateway.sessions.inbound.event_context import FetchedFile
from gateway.sessions.provider import Session

_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileLimits:
    """How long one file may take, and how many are fetched at once."""

    seconds: float = 120.0
    at_once: int = 4


class Files:
    """Shared by all sessions of the process."""

    def __init__(self, receiver: InboundMedia, clock: Clock, limits: FileLimits) -> None:
        self._receiver, self._clock, self._limits = receiver, clock, limits
        self._free = asyncio.Semaphore(limits.at_once)

    async def fetch(
        self, session: Session, instance_id: str, files: tuple[ReceivedFile, ...]
    ) -> dict[str, FetchedFile]:
        """Each by its field; one that cannot be had says why.

        Raises:
            NotConnected: it is to be tried again when the session is back.
            Unavailable: likewise, when Postgres or the storage is.
        """
        return {file.field: await self._fetched(session, instance_id, file) for file in files}

    async def _fetched(self, session: Session, instance_id: str, file: ReceivedFile) -> FetchedFile:
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._clock.sleep(_PAUSE_SECONDS)
            try:
                async with self._free, asyncio.timeout(self._limits.seconds):
                    kept = await self._kept(session, instance_id, file)
            except (NotConnected, Unavailable):
                raise
            except (BadFile, CallerError, Refused) as refused:
                return FetchedFile(error=str(refused))
            except Exception as unexpected:  # noqa: BLE001 - a file must not hold up its chat
                report_error(unexpected, component="received media", instance_id=instance_id)
            else:
                return FetchedFile(url=kept.link, mime_type=kept.mime_type)
        return FetchedFile(error="The file could not be fetched.")

    async def _kept(self, session: Session, instance_id: str, file: ReceivedFile) -> MediaLink:
        if file.source is not None:
            return await self._receiver.store(instance_id, file.source, file_name=file.file_name)
        with TemporaryDirectory(prefix="gateway-received-") as folder:
            path = Path(folder, "file")
            await session.execute(ReadReceivedFile(reference=file.reference, path=path))
            return await self._receiver.store(
                instance_id, partial(_pieces_of, path), file_name=file.file_name
            )


async def _pieces_of(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield piece
