"""Slots bound the requests per account and host; accounts take turns."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.outbound.slots import SlotLimits, Slots


class Holder:
    """Requests that occupy slots until the test ends them."""

    def __init__(self, limits: SlotLimits) -> None:
        self.busy = set[str]()
        self.slots = Slots(limits, lambda account: bool(self.busy - {account}))
        self.admitted: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.endings: dict[str, asyncio.Event] = {}

    async def start(self, name: str, *, host: str = "h") -> None:
        """Starts a request of the account that the first letter of *name* names."""
        self.endings[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, host))
        await settle()

    async def end(self, name: str) -> None:
        self.endings[name].set()
        await self.tasks.pop(name)
        await settle()

    async def _hold(self, name: str, host: str) -> None:
        async with self.slots.slot(name[0], host):
            self.admitted.append(name)
            await self.endings[name].wait()

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert self.slots.in_flight == 0


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def holder(stack: AsyncExitStack, *, total: int, per_account: int, per_host: int) -> Holder:
    made = Holder(SlotLimits(total=total, per_account=per_account, per_host=per_host))
    stack.push_async_callback(made.close)
    return made


async def test_account_at_its_limit_waits_and_another_does_not() -> None:
    async with AsyncExitStack() as stack:
        held = await holder(stack, total=10, per_account=2, per_host=10)
        for name in ("a1", "a2", "a3", "b1"):
            await held.start(name)
        assert held.admitted == ["a1", "a2", "b1"]
        await held.end("b1")
        assert held.admitted == ["a1", "a2", "b1"]
        await held.end("a1")
        assert held.admitted[-1] == "a3"


async def test_account_has_fewer_slots_while_another_has_work_of_any_kind() -> None:
    held = Holder(SlotLimits(total=10, per_account=3, per_account_beside_others=1))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(held.close)
        held.busy = {"a", "b"}
        for name in ("a1", "a2", "a3", "b1"):
            await held.start(name)
        assert held.admitted == ["a1", "b1"]

        held.busy = {"a"}
        await held.end("b1")
        assert held.admitted == ["a1", "b1", "a2", "a3"]


async def test_hanging_host_delays_no_other_host_of_the_account() -> None:
    async with AsyncExitStack() as stack:
        held = await holder(stack, total=10, per_account=10, per_host=1)
        await held.start("a1", host="slow")
        await held.start("a2", host="slow")
        await held.start("a3", host="fast")
        assert held.admitted == ["a1", "a3"]
        await held.end("a1")
        assert held.admitted == ["a1", "a3", "a2"]


async def test_waiting_request_to_a_free_host_passes_one_to_a_full_host() -> None:
    async with AsyncExitStack() as stack:
        held = await holder(stack, total=2, per_account=10, per_host=1)
        await held.start("a1", host="slow")
        await held.start("b1", host="other")
        await held.start("a2", host="slow")
        await held.start("a3", host="fast")
        await held.end("b1")
        assert held.admitted == ["a1", "b1", "a3"]


async def test_accounts_take_turns() -> None:
    async with AsyncExitStack() as stack:
        held = await holder(stack, total=1, per_account=10, per_host=10)
        for name in ("x1", "a1", "a2", "a3", "b1", "c1"):
            await held.start(name)
        for name in ("x1", "a1", "b1", "c1", "a2"):
            await held.end(name)
        assert held.admitted == ["x1", "a1", "b1", "c1", "a2", "a3"]


@pytest.mark.parametrize("canceled", ["a1", "a2", "b1"])
async def test_canceled_request_leaves_its_place(canceled: str) -> None:
    async with AsyncExitStack() as stack:
        held = await holder(stack, total=1, per_account=10, per_host=10)
        for name in ("a1", "a2", "b1"):
            await held.start(name)
        held.tasks.pop(canceled).cancel()
        await settle()
        for name in [name for name in ("a1", "a2", "b1") if name != canceled]:
            await held.end(name)
        assert set(held.admitted) >= {"a1", "a2", "b1"} - {canceled}
        assert held.slots.in_flight == 0


async def test_request_canceled_when_admitted_gives_its_slot_back() -> None:
    async with AsyncExitStack() as stack:
        held = await holder(stack, total=1, per_account=10, per_host=10)
        for name in ("a1", "a2", "b1"):
            await held.start(name)
        ending = held.tasks.pop("a1")
        ending.add_done_callback(lambda _task: held.tasks["a2"].cancel())  # before a2 runs
        held.endings["a1"].set()
        await settle()
        assert "b1" in held.admitted
        assert held.slots.in_flight == 1
        held.tasks.pop("a2")
