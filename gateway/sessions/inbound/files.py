"""Stores the files of received messages, within limits of number and time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.clock import Clock
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.errors import CallerError, NotConnected, Refused, Unavailable
from gateway.instances.store import Instance
from gateway.media.receiving import InboundMedia, MediaLink
from gateway.media.spooling import BadFile
from gateway.media.turns import Turns, WaitingLimits
from gateway.observability.error_reports import report_error
from gateway.sessions.events import ReceivedFile
from gateway.sessions.inbound.event_context import FetchedFile
from gateway.sessions.provider import Session

_MAX_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The seconds that one file may take, and how many files are fetched at once.

    Who writes to an account decides how long its files take: an account has places of its own.
    """

    seconds: float = 120.0
    at_once: int = 12
    per_account: int = 3


class Files:
    """Fetches and stores files, for all sessions of the process."""

    def __init__(self, receiver: InboundMedia, clock: Clock, limits: FileLimits) -> None:
        self._receiver, self._clock, self._limits = receiver, clock, limits
        self._turns = Turns(places=limits.at_once, share=limits.per_account, limits=WaitingLimits())

    async def fetch(
        self, session: Session, instance: Instance, files: tuple[ReceivedFile, ...]
    ) -> dict[str, FetchedFile]:
        """Returns each stored file by its field, or why it could not be stored.

        Raises:
            NotConnected: try again when the session is connected.
            Unavailable: Postgres or the storage is unavailable; try again later.
        """
        return {file.field: await self._fetch(session, instance, file) for file in files}

    async def _fetch(self, session: Session, instance: Instance, file: ReceivedFile) -> FetchedFile:
        for attempt in range(_MAX_ATTEMPTS):
            if attempt:
                await self._clock.sleep(_PAUSE_SECONDS)
            try:
                async with (
                    self._turns.turn(instance.account_id, patient=True),
                    asyncio.timeout(self._limits.seconds),
                ):
                    stored = await self._store(session, instance.id, file)
            except (NotConnected, Unavailable):
                raise
            except (BadFile, CallerError, Refused) as error:
                return FetchedFile(error=str(error))
            except Exception as error:  # noqa: BLE001 - a file must not block its chat
                report_error(error, component="received media", instance_id=instance.id)
            else:
                return FetchedFile(url=stored.link, mime_type=stored.mime_type)
        return FetchedFile(error="The file could not be fetched.")

    async def _store(self, session: Session, instance_id: str, file: ReceivedFile) -> MediaLink:
        if file.source is not None:
            return await self._receiver.store(instance_id, file.source, file_name=file.file_name)
        with TemporaryDirectory(prefix="gateway-received-") as folder:
            path = Path(folder, "file")
            await session.execute(ReadReceivedFile(reference=file.reference, path=path))
            return await self._receiver.store(
                instance_id, partial(_chunks_of, path), file_name=file.file_name
            )


async def _chunks_of(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
