"""An account has a few pieces of work at once, and others do not wait for it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.operations.account_turns import AccountTurns


async def queued(turns: AccountTurns, account_id: str, done: list[str], name: str) -> None:
    async with turns.turn(account_id):
        done.append(name)


async def started(*tasks: asyncio.Task[None]) -> None:
    """Returns when each task is done or waits."""
    for _ in range(2 + len(tasks)):
        await asyncio.sleep(0)


async def test_turns_of_one_account_wait_in_order_and_others_do_not() -> None:
    turns, done = AccountTurns(2), list[str]()
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
    turns, done = AccountTurns(1), list[str]()
    async with turns.turn("a"):
        waiting = [asyncio.create_task(queued(turns, "a", done, str(n))) for n in range(2)]
        await started(*waiting)
        waiting[place].cancel()
        await asyncio.wait([waiting[place]])
    await asyncio.wait(waiting)

    assert done == [str(1 - place)]
    assert turns._accounts == {}


async def test_turn_that_comes_together_with_a_cancellation_is_passed_on() -> None:
    turns, done = AccountTurns(1), list[str]()
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
    turns = AccountTurns(0)
    async with AsyncExitStack() as held:
        for _ in range(100):
            await held.enter_async_context(turns.turn("a"))
