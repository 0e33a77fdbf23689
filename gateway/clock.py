"""Time as something handed in, so that tests need not wait for it."""

import asyncio
import time
from datetime import UTC, datetime


def epoch_ms(at: datetime) -> int:
    """Returns the whole milliseconds from 1970-01-01T00:00Z to a time with a zone."""
    return int(at.timestamp() * 1000)


class Clock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_seconds(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        """Waits for *event* at most *timeout_seconds*; says whether it came."""
        if event.is_set():
            return True
        if timeout_seconds is not None and timeout_seconds <= 0:
            return False
        try:
            async with asyncio.timeout(timeout_seconds):
                await event.wait()
        except TimeoutError:
            return False
        return True
