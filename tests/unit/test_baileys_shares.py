"""A session for which processes crash is alone in one after a few crashes."""

import asyncio
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.providers.baileys import children as children_module
from gateway.providers.baileys.children import NodeChildren
from gateway.providers.baileys.shares import ProcessShares


class HourClock(Clock):
    """Stands still until the test moves it."""

    seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


class FakeChild:
    """A process that ends on request, or crashes."""

    def __init__(self) -> None:
        self.subscribers: dict[str, object] = {}
        self.gone, self.life = asyncio.Event(), asyncio.get_running_loop().create_future()
        self.has_crashed = False

    @classmethod
    async def start(cls, *_given: object, **_named: object) -> "FakeChild":
        return cls()

    def crash(self) -> None:
        self.has_crashed = True
        self.gone.set()

    async def call(self, *_given: object) -> None:
        pass

    async def end(self) -> None:
        self.gone.set()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> NodeChildren:
    monkeypatch.setattr(children_module, "NodeChild", FakeChild)
    return NodeChildren(
        lambda: cast("Any", None),
        {},
        HourClock(),
        sessions_per_process=8,
        check_seconds=1,
        answer_seconds=1,
    )


async def place_all(children: NodeChildren, names: list[str]) -> dict[str, FakeChild]:
    return {
        name: cast("FakeChild", await children.place(name, cast("Any", None), deadline=1.0))
        for name in names
    }


async def crash(children: NodeChildren, placed: dict[str, FakeChild], name: str) -> None:
    """Crashes the process of a session; its sessions leave it and are placed again."""
    child = placed[name]
    child.crash()
    affected = [each for each, its in placed.items() if its is child]
    for each in affected:
        await children.leave(cast("Any", child), each)
    placed |= await place_all(children, affected)


async def test_session_that_crashes_processes_is_soon_alone(children: NodeChildren) -> None:
    names = [f"session {number}" for number in range(8)]
    placed = await place_all(children, names)
    assert len(set(placed.values())) == 1
    for _ in range(3):
        await crash(children, placed, "session 5")
    alone = placed["session 5"]
    assert [name for name in names if placed[name] is alone] == ["session 5"]
    new = (await place_all(children, ["another"]))["another"]
    assert new not in placed.values()


async def test_sessions_that_were_closed_share_a_process_again(children: NodeChildren) -> None:
    placed = await place_all(children, ["one", "two"])
    for name in ("one", "two"):
        await children.leave(cast("Any", placed[name]), name)
    placed = await place_all(children, ["one", "two"])
    assert placed["one"] is placed["two"]


async def test_crashes_of_every_process_begin_few_further_ones(children: NodeChildren) -> None:
    names = [f"session {number}" for number in range(64)]
    placed = await place_all(children, names)
    for _ in range(5):
        for child in set(placed.values()):
            await crash(children, placed, next(n for n in names if placed[n] is child))
    assert len(set(placed.values())) <= 8 + 8


def test_crashes_are_forgotten_after_an_hour() -> None:
    clock = HourClock()
    shares = ProcessShares(8, clock)
    shares.note_crash("one")
    assert (shares.of("one"), shares.of("two")) == (4, 8)
    clock.seconds += 3_601
    assert shares.of("one") == 8
