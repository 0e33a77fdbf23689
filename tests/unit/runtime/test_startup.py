"""A start waits for Postgres, and for nothing else."""

import pytest

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable, StartRefused
from gateway.runtime.startup import retry_while_unavailable


class RecordedSleeps(Clock):
    """Never sleeps; notes for how long it should have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Attempts:
    """Fails with each error in turn, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def __call__(self) -> str:
        if self._errors:
            raise self._errors.pop(0)
        return "migrated"


async def test_retry_database_away_tries_again_each_second() -> None:
    clock, failures = RecordedSleeps(), list[str]()
    step = Attempts(DatabaseUnavailable("away"), DatabaseUnavailable("still away"))

    result = await retry_while_unavailable(
        step, clock, on_failure=lambda error: failures.append(str(error))
    )

    assert result == "migrated"
    assert failures == ["away", "still away"]
    assert clock.slept == [1.0, 1.0]


async def test_retry_other_error_is_raised_at_once() -> None:
    clock, failures = RecordedSleeps(), list[DatabaseUnavailable]()

    with pytest.raises(StartRefused, match="no permission"):
        await retry_while_unavailable(
            Attempts(StartRefused("no permission")), clock, on_failure=failures.append
        )

    assert (failures, clock.slept) == ([], [])
