"""Fetches the files of a received message, within limits of size, number and time."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.clock import Clock
from gateway.contract.received_media import ReadReceivedFile
from gateway.errors import CallerError, DatabaseUnavailable, NotConnected, Refused
from gateway.observability.error_reports import report_error
from gateway.sessions.events import ReceivedFile
from gateway.sessions.inbound.about import FetchedFile
from gateway.sessions.provider import Session

Keep = Callable[[str, ReceivedFile, Path], Awaitable[str]]
"""Keeps a file of an instance for 30 days, and returns the URL it is had at."""

NOT_KEPT: Final = "This gateway keeps no media."
_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What one file may take, and how many are fetched at once."""

    most_bytes: int = 128 * 1024 * 1024
    seconds: float = 120.0
    at_once: int = 4


class Files:
    """Shared by all sessions of the process."""

    def __init__(self, keep: Keep | None, clock: Clock, limits: FileLimits) -> None:
        self._keep, self._clock, self._limits = keep, clock, limits
        self._free = asyncio.Semaphore(limits.at_once)

    async def fetch(
        self, session: Session, instance_id: str, files: tuple[ReceivedFile, ...]
    ) -> dict[str, FetchedFile]:
        """Each by its field; one that cannot be had says why.

        Raises:
            NotConnected: it is to be tried again when the session is back.
            DatabaseUnavailable: likewise, when Postgres is.
        """
        return {file.field: await self._fetched(session, instance_id, file) for file in files}

    async def _fetched(self, session: Session, instance_id: str, file: ReceivedFile) -> FetchedFile:
        if self._keep is None:
            return FetchedFile(error=NOT_KEPT)
        if (file.size_bytes or 0) > self._limits.most_bytes:
            return FetchedFile(error="The file is too large.")
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._clock.sleep(_PAUSE_SECONDS)
            try:
                async with self._free, asyncio.timeout(self._limits.seconds):
                    return FetchedFile(url=await self._once(self._keep, session, instance_id, file))
            except (NotConnected, DatabaseUnavailable):
                raise
            except (CallerError, Refused) as refused:
                return FetchedFile(error=str(refused))
            except Exception as unexpected:  # noqa: BLE001 - a file must not hold up its chat
                report_error(unexpected, component="received media", instance_id=instance_id)
        return FetchedFile(error="The file could not be fetched.")

    async def _once(
        self, keep: Keep, session: Session, instance_id: str, file: ReceivedFile
    ) -> str:
        with tempfile.TemporaryDirectory(prefix="gateway-received-") as folder:
            path = Path(folder) / "file"
            await session.ask(
                ReadReceivedFile(
                    reference=file.reference, path=path, most_bytes=self._limits.most_bytes
                )
            )
            return await keep(instance_id, file, path)
