"""Accounts take turns at a number of places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import Unavailable
from gateway.media.turns import Turns, WaitingLimits


class Users:
    """Tasks that each occupy a place until they are let go; `order` is that of their turns."""

    def __init__(self, turns: Turns, group: asyncio.TaskGroup) -> None:
        self.turns, self._group = turns, group
        self.order: list[str] = []
        self._free: dict[str, asyncio.Event] = {}

    def add(self, name: str) -> asyncio.Task[None]:
        """Adds a user; the first letter of its name is its account."""
        self._free[name] = asyncio.Event()
        return self._group.create_task(self._use(name))

    async def let_go(self, name: str) -> None:
        self._free[name].set()
        await settled()

    async def _use(self, name: str) -> None:
        async with self.turns.turn(name[0], patient=True):
            self.order.append(name)
            await self._free[name].wait()


async def settled() -> None:
    """Lets every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def users_of(*, places: int, share: int) -> AsyncIterator[Users]:
    turns = Turns(places=places, share=share, limits=WaitingLimits())
    async with asyncio.TaskGroup() as group:
        users = Users(turns, group)
        yield users
        for free in users._free.values():
            free.set()


async def test_accounts_alternate_however_many_files_one_has() -> None:
    async with users_of(places=1, share=1) as users:
        for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
            users.add(name)
        await settled()
        for name in ("a1", "a2", "b1", "c1", "a3"):
            await users.let_go(name)

    assert users.order == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_account_occupies_no_more_than_its_share() -> None:
    async with users_of(places=3, share=2) as users:
        for name in ("a1", "a2", "a3", "b1"):
            users.add(name)
        await settled()

        assert users.order == ["a1", "a2", "b1"]
        assert users.turns.counts() == {"waiting": 1, "running": 3}


async def test_canceled_user_leaves_the_list_and_its_place() -> None:
    async with users_of(places=1, share=1) as users:
        running, waiting = users.add("a1"), users.add("a2")
        users.add("b1")
        await settled()
        waiting.cancel()
        await settled()
        assert users.turns.counts() == {"waiting": 1, "running": 1}
        running.cancel()
        await settled()

        assert users.order == ["a1", "b1"]


async def test_user_canceled_as_its_turn_comes_gives_the_place_back() -> None:
    async with users_of(places=1, share=1) as users:
        users.add("a1")
        second = users.add("b1")
        users.add("c1")
        await settled()
        users._free["a1"].set()
        await asyncio.sleep(0)  # a1 ends and gives its place to b1, which has not run yet
        second.cancel()
        await settled()

        assert users.order[-1] == "c1"


@pytest.mark.parametrize(
    ("limits", "account_id", "sentence"),
    [
        (WaitingLimits(per_account=1, total=9), "a", "files of this account wait"),
        (WaitingLimits(per_account=9, total=1), "b", "Too many files wait"),
    ],
)
async def test_list_that_is_too_long_refuses_the_impatient_only(
    limits: WaitingLimits, account_id: str, sentence: str
) -> None:
    turns = Turns(places=1, share=1, limits=limits)

    async def wait_as(account_id: str) -> None:
        async with turns.turn(account_id, patient=True):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(wait_as("a")) for _ in range(3)]
    await settled()

    with pytest.raises(Unavailable, match=sentence):
        async with turns.turn(account_id, patient=False):
            pass

    assert turns.counts() == {"waiting": 2, "running": 1}
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert turns.counts() == {"waiting": 0, "running": 0}
