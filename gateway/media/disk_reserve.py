"""Stops taking files before the disk is full, while Postgres and the logs still have space."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import Unavailable
from gateway.observability.logging import logger

_MIB = 1024 * 1024


@dataclass(slots=True)
class DiskReserve:
    """The bytes that stay free on the disk of a folder; 0 stops only at a full disk.

    Attributes:
        folder: any folder on that disk; it exists.
        min_free_bytes: what must stay free.
        on_refused: is called for each file that is refused.
    """

    folder: Path
    min_free_bytes: int
    on_refused: Callable[[], None] = lambda: None
    _is_short: bool = field(default=False, init=False)

    def check(self, further_bytes: int = 0) -> None:
        """Returns if the disk still has *further_bytes* above the reserve.

        Raises:
            Unavailable: it has not; the text says what the operator can do.
        """
        if self.free_bytes() - further_bytes >= self.min_free_bytes:
            self._note(is_short=False)
            return
        self._note(is_short=True)
        self.on_refused()
        raise Unavailable(
            f"The disk of this node is almost full: no file is taken while less than "
            f"{_mib(self.min_free_bytes)} MiB are free (GATEWAY_MEDIA_MIN_FREE_BYTES)"
        )

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free

    async def problem(self) -> str | None:
        """Says for /ready that files are refused; None while they are taken."""
        free = await asyncio.to_thread(self.free_bytes)
        if free >= self.min_free_bytes:
            self._note(is_short=False)
            return None
        return (
            f"files are refused: {_mib(free)} MiB are free on the disk of the data directory, less "
            f"than the {_mib(self.min_free_bytes)} MiB of GATEWAY_MEDIA_MIN_FREE_BYTES"
        )

    def _note(self, *, is_short: bool) -> None:
        if is_short == self._is_short:
            return
        self._is_short = is_short
        if is_short:
            logger.warning("disk_reserve_reached", min_free_bytes=self.min_free_bytes)
        else:
            logger.info("disk_reserve_restored", min_free_bytes=self.min_free_bytes)


def _mib(size_bytes: int) -> int:
    return size_bytes // _MIB
