"""The time, handed to whatever needs it, so that tests do not wait."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def epoch_ms(at: datetime) -> int:
    """Returns the whole milliseconds between 1970 and *at*, which names its offset."""
    return (at - _EPOCH) // _MILLISECOND


class Clock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_ms(self) -> int:
        return epoch_ms(self.now())

    def monotonic_seconds(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        """Waits for *event* at most *timeout_seconds*; returns whether it was set."""
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
