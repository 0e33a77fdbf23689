"""Repeats a write whose answer was lost, so that its caller learns what became of it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import tenacity

from gateway.errors import DatabaseUnavailable

Result = TypeVar("Result")

_MAX_SECONDS = 5.0  # long enough for a restart of Postgres


async def until_answered(write: Callable[[bool], Awaitable[Result]]) -> Result:
    """Runs *write* until Postgres answers.

    Args:
        write: makes its change once, however often it runs. Its argument says whether an earlier
            run may have made the change.

    Raises:
        DatabaseUnavailable: Postgres did not answer for 5 seconds; the change may have been made.
    """
    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
        stop=tenacity.stop_after_delay(_MAX_SECONDS),
        wait=tenacity.wait_exponential(0.05, max=1.0),
        reraise=True,
    ):
        with attempt:
            return await write(attempt.retry_state.attempt_number > 1)
    raise AssertionError("tenacity returns or raises")
