"""An account has a few pieces of work at once, and others do not wait for it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.account_turns import AccountTurns, Share


class Seconds:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


async def queued(turns: AccountTurns, account_id: str, done: list[str], name: str) -> None:
    async with turns.turn(account_id):
        done.append(name)


async def started(*tasks: asyncio.Task[None]) -> None:
    """Returns when each task is done or waits."""
    for _ in range(2 + len(tasks)):
        await asyncio.sleep(0)


async def test_turns_of_one_account_wait_in_order_and_others_do_not() -> None:
    turns, done = AccountTurns(Share(2, 2)), list[str]()
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(turns.turn("a"))
        waiting = [tasks.create_task(queued(turns, "a", done, str(n))) for n in range(5)]
        await started(*waiting)
        assert done == []

        await queued(turns, "b", done, "other")
        assert done == ["other"]

    assert done == ["other", "0", "1", "2", "3", "4"]
    assert turns._accounts == {}


@pytest.mark.parametrize("place", [0, 1])
async def test_turn_of_a_caller_that_left_goes_to_the_next(place: int) -> None:
    turns, done = AccountTurns(Share(1, 1)), list[str]()
    async with turns.turn("a"):
        waiting = [asyncio.create_task(queued(turns, "a", done, str(n))) for n in range(2)]
        await started(*waiting)
        waiting[place].cancel()
        await asyncio.wait([waiting[place]])
    await asyncio.wait(waiting)

    assert done == [str(1 - place)]
    assert turns._accounts == {}


async def test_turn_that_comes_together_with_a_cancellation_is_passed_on() -> None:
    turns, done = AccountTurns(Share(1, 1)), list[str]()
    async with AsyncExitStack() as held:
        await held.enter_async_context(turns.turn("a"))
        first, second = (asyncio.create_task(queued(turns, "a", done, n)) for n in "12")
        await started(first, second)
        await held.aclose()
        first.cancel()
    await asyncio.wait([first, second])

    assert done == ["2"]
    assert turns._accounts == {}


async def test_no_limit_lets_all_work_at_once() -> None:
    turns = AccountTurns(Share(0, 0))
    async with AsyncExitStack() as held:
        for _ in range(100):
            await held.enter_async_context(turns.turn("a"))


async def at_once(turns: AccountTurns, account_id: str, count: int, held: AsyncExitStack) -> int:
    """Begins *count* turns that end with *held*; returns how many did not wait."""
    begun = list[str]()

    async def work() -> None:
        async with turns.turn(account_id):
            begun.append(account_id)
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(work()) for _ in range(count)]

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    held.push_async_callback(end)
    await started(*tasks)
    return len(begun)


async def test_account_that_works_alone_has_no_limit() -> None:
    turns = AccountTurns(Share(0, 2))
    async with AsyncExitStack() as held:
        assert await at_once(turns, "a", 50, held) == 50
    assert turns._accounts == {}


async def test_account_beside_others_has_its_share_whichever_came_first() -> None:
    turns = AccountTurns(Share(0, 2))
    async with AsyncExitStack() as held:
        assert await at_once(turns, "a", 50, held) == 50
        assert await at_once(turns, "b", 50, held) == 2
        assert await at_once(turns, "c", 50, held) == 2
    assert turns._accounts == {}


async def test_many_accounts_with_little_work_do_not_wait() -> None:
    turns = AccountTurns(Share(0, 2))
    async with AsyncExitStack() as held:
        for n in range(100):
            assert await at_once(turns, str(n), 2, held) == 2


async def test_share_stays_small_for_a_second_after_the_work_of_others() -> None:
    clock = Seconds()
    turns = AccountTurns(Share(0, 2), clock)
    async with turns.turn("other"):
        clock.advance(5.0)
    async with AsyncExitStack() as held:
        assert await at_once(turns, "a", 10, held) == 2
    clock.advance(1.1)
    async with AsyncExitStack() as held:
        assert await at_once(turns, "a", 10, held) == 10


async def test_node_is_shared_while_several_accounts_have_work() -> None:
    clock = Seconds()
    turns = AccountTurns(Share(0, 2), clock)
    turns.note("a")
    assert not turns.is_shared()
    turns.note("b")
    assert turns.is_shared()
    clock.advance(1.1)
    turns.note("a")
    assert not turns.is_shared()


async def test_waiters_begin_together_once_the_account_is_alone() -> None:
    clock, done = Seconds(), list[str]()
    turns = AccountTurns(Share(0, 1), clock)
    async with turns.turn("other"):
        pass
    async with AsyncExitStack() as held:
        await held.enter_async_context(turns.turn("a"))
        waiting = [asyncio.create_task(queued(turns, "a", done, str(n))) for n in range(5)]
        await started(*waiting)
        assert done == []
        clock.advance(1.1)
    await asyncio.wait(waiting)

    assert done == ["0", "1", "2", "3", "4"]
    assert turns._accounts == {}


async def test_one_account_cannot_overtake_its_own_waiters() -> None:
    clock, done = Seconds(), list[str]()
    turns = AccountTurns(Share(0, 1), clock)
    async with turns.turn("other"):
        pass
    async with AsyncExitStack() as held:
        await held.enter_async_context(turns.turn("a"))
        first = asyncio.create_task(queued(turns, "a", done, "first"))
        await started(first)
        clock.advance(1.1)  # the account is alone: it has no limit
        second = asyncio.create_task(queued(turns, "a", done, "second"))
        await started(second)
    await asyncio.wait([first, second])

    assert done == ["first", "second"]


async def test_work_of_another_kind_is_company_and_takes_no_turn_of_this_kind() -> None:
    seconds, done = Seconds(), list[str]()
    steps = AccountTurns(Share(2, 1), seconds)
    files = steps.of_other_kind()
    async with asyncio.TaskGroup() as tasks:
        await queued(steps, "b", done, "step of b")
        async with files.turn("a"):
            await queued(steps, "a", done, "step of a")
            waiting = tasks.create_task(queued(files, "a", done, "second file of a"))
            await started(waiting)
            assert done == ["step of b", "step of a"]
    assert done[-1] == "second file of a"

    seconds.advance(1.5)
    assert not files.has_company("a")
