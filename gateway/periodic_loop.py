"""A loop that runs one step again and again, survives its failures, and can be woken."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.wakeups import waking

Step = Callable[[], Awaitable[float | None]]
"""Returns the seconds until the next run; None waits until the loop is woken."""

_RETRY_SECONDS = 1.0


class PeriodicLoop:
    """Repeats *step* until it is stopped.

    A step that fails never ends the loop. While Postgres cannot be reached the step runs again
    every *retry_seconds*; the loop logs `database_unavailable` once and `database_available` when
    a step succeeds again. Any other error is reported, and the step runs again after the same
    pause.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        clock: Clock,
        *,
        wakeup: asyncio.Event | None = None,
        retry_seconds: float = _RETRY_SECONDS,
        min_pause_seconds: float = 0.0,
        fatal: tuple[type[Exception], ...] = (),
    ) -> None:
        """Prepares the loop.

        Args:
            name: the component in logs and error reports.
            step: does one run.
            clock: time.
            wakeup: ends a pause early when it is set; the loop clears it before each run.
            retry_seconds: the pause after a failure.
            min_pause_seconds: the shortest pause between two runs, which no wake-up ends early.
            fatal: errors that end the loop; `run_until` raises them.
        """
        self._name, self._step, self._clock = name, step, clock
        self._wakeup = wakeup or asyncio.Event()
        self._retry_seconds, self._min_pause_seconds = retry_seconds, min_pause_seconds
        self._database_is_unavailable = False
        self._fatal = fatal

    def wake(self) -> None:
        """Ends the pause: there may be work."""
        self._wakeup.set()

    @property
    def is_woken(self) -> bool:
        """Whether the next pause ends at once: a run need not find out how long it may be."""
        return self._wakeup.is_set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                self._wakeup.clear()
                pause = await self._run_step()
                await self._clock.wait(stopping, self._min_pause_seconds)
                if not stopping.is_set():
                    await self._clock.wait(self._wakeup, pause)

    async def _run_step(self) -> float | None:
        try:
            pause = await self._step()
        except DatabaseUnavailable as error:
            if not self._database_is_unavailable:
                logger.warning("database_unavailable", component=self._name, error=str(error))
            self._database_is_unavailable = True
            return self._retry_seconds
        except self._fatal:
            raise
        except Exception as error:  # noqa: BLE001 - one failed run must not end the loop
            report_error(error, component=self._name)
            return self._retry_seconds
        if self._database_is_unavailable:
            logger.info("database_available", component=self._name)
        self._database_is_unavailable = False
        return pause
