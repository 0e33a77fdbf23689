"""Open tabs share an answer for a time that grows with what it cost."""

import asyncio
from typing import Any

from gateway.clock import Clock
from gateway.panel.recent_answers import RecentAnswers


class SetClock(Clock):
    """Shows the time that a test sets."""

    seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


class Read:
    """Counts how often it was called; each call takes *seconds* of the clock."""

    def __init__(self, clock: SetClock, seconds: float) -> None:
        self.clock, self.seconds, self.count = clock, seconds, 0

    async def __call__(self) -> int:
        await asyncio.sleep(0)
        self.clock.seconds += self.seconds
        self.count += 1
        return self.count


async def test_a_slow_answer_is_shared_for_twenty_times_as_long_as_it_took() -> None:
    clock = SetClock()
    recent, read = RecentAnswers(clock), Read(clock, 0.1)

    together = await asyncio.gather(*(recent.get("a", read) for _ in range(5)))
    clock.seconds += 1.9
    within = await recent.get("a", read)
    other = await recent.get("b", read)
    clock.seconds += 0.2
    after = await recent.get("a", read)

    assert together == [1] * 5
    assert (within, other, after) == (1, 2, 3)


async def test_a_quick_answer_is_always_new_and_a_slow_one_ten_seconds_old_at_most() -> None:
    clock = SetClock()
    recent, quick, slow = RecentAnswers(clock), Read(clock, 0.0), Read(clock, 60.0)

    assert [await recent.get("quick", quick) for _ in range(3)] == [1, 2, 3]
    assert await recent.get("slow", slow) == 1
    clock.seconds += 10.1
    assert await recent.get("slow", slow) == 2


async def test_an_error_is_not_shared() -> None:
    clock = SetClock()
    recent, read = RecentAnswers(clock), Read(clock, 1.0)

    async def fail() -> Any:
        raise LookupError

    results = await asyncio.gather(
        recent.get("a", fail), recent.get("a", read), return_exceptions=True
    )

    assert isinstance(results[0], LookupError)
    assert results[1] == 1


async def test_old_answers_are_dropped() -> None:
    clock = SetClock()
    recent = RecentAnswers(clock)
    for number in range(1_500):
        await recent.get(str(number), Read(clock, 0.01))

    assert len(recent._recent) <= 1_001
