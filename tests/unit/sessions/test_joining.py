"""A node that starts acquires nothing while an earlier process of it may still act."""

import asyncio
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable, NodeReplaced
from gateway.sessions.joining import Joining
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Leases, Predecessor
from gateway.sessions.live import ConnectedSessions
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.opening import Opener
from tests.fixtures.patience import PATIENCE_SECONDS

AWAY = DatabaseUnavailable("Postgres did not answer")


class SettableClock(Clock):
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


@dataclass
class FakeLeases:
    """Finds an earlier process at the first join only, as the database does."""

    predecessor: Predecessor | None = None
    failure: Exception | None = None
    life: uuid.UUID = field(default_factory=uuid.uuid4)
    calls: list[str] = field(default_factory=list)
    renewing: asyncio.Event = field(default_factory=asyncio.Event)

    async def rejoin(self) -> None:
        raise NodeReplaced("one")

    async def join(self) -> Predecessor | None:
        await self._called("join")
        predecessor, self.predecessor = self.predecessor, None
        return predecessor

    async def renew(self) -> bool:
        self.renewing.set()
        await self._called("renew")
        return False

    async def reacquire(self) -> None:
        await self._called("reacquire")

    async def leave(self) -> None:
        await self._called("leave")

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        failure, self.failure = self.failure, None
        if failure:
            raise failure


def joining_of(leases: FakeLeases, clock: Clock, folder: Path) -> Joining:
    lock = NodeLock(folder, "one")
    return Joining(cast("Leases", leases), lock, clock, renew_seconds=1.0)


async def test_joining_without_a_predecessor_is_done_at_once(tmp_path: Path) -> None:
    leases = FakeLeases()
    joining = joining_of(leases, SettableClock(), tmp_path)

    await joining.run_step()

    assert (joining.is_done, leases.calls) == (True, ["join"])


async def test_joining_waits_until_the_leases_have_lapsed(tmp_path: Path) -> None:
    leases, clock = FakeLeases(Predecessor(uuid.uuid4(), 3.0)), SettableClock()
    joining = joining_of(leases, clock, tmp_path)
    for clock.seconds in (0.0, 1.5, 2.0, 2.9):
        await joining.run_step()
        assert not joining.is_done
    clock.seconds = 3.0
    await joining.run_step()

    assert (joining.is_done, leases.calls) == (True, ["join", "renew", "renew", "reacquire"])


async def test_joining_ends_early_when_the_lock_is_free(tmp_path: Path) -> None:
    earlier, life = NodeLock(tmp_path, "one"), uuid.uuid4()
    earlier.record_owner(life)
    leases = FakeLeases(Predecessor(life, 900.0))
    joining = joining_of(leases, SettableClock(), tmp_path)
    await joining.run_step()
    assert not joining.is_done
    earlier.close()
    await joining.run_step()

    assert (joining.is_done, leases.calls) == (True, ["join", "reacquire"])


async def test_joining_resumes_its_wait_after_an_outage(tmp_path: Path) -> None:
    """A second join would find no earlier process, and acquire its leases too early."""
    leases, clock = FakeLeases(Predecessor(uuid.uuid4(), 900.0)), SettableClock()
    joining = joining_of(leases, clock, tmp_path)
    await joining.run_step()
    leases.failure, clock.seconds = AWAY, 2.0
    with pytest.raises(DatabaseUnavailable):
        await joining.run_step()
    await joining.run_step()

    assert (joining.is_done, leases.calls) == (False, ["join", "renew", "renew"])


def keeper_of(leases: FakeLeases, folder: Path) -> Keeper:
    clock = Clock()
    parts: dict[str, Any] = {"leases": leases, "instances": None, "clock": clock}
    opener = cast("Opener", type("FakeOpener", (), {"connected": ConnectedSessions()})())
    lock = NodeLock(folder, "one")
    return Keeper(**parts, opener=opener, lock=lock, renew_seconds=0.01, release_seconds=1.0)


async def test_keeper_replaced_by_another_process_ends(tmp_path: Path) -> None:
    """`renew` says that the leases have lapsed, and `rejoin` that another process has the name."""
    keeper = keeper_of(FakeLeases(), tmp_path)

    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await keeper.run_until(asyncio.Event())

    assert ended.group_contains(NodeReplaced)


async def test_keeper_stopped_while_joining_frees_no_leases(tmp_path: Path) -> None:
    """They are the earlier process's until they lapse."""
    leases, stopping = FakeLeases(Predecessor(uuid.uuid4(), 900.0)), asyncio.Event()
    keeper = keeper_of(leases, tmp_path)

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(keeper.run_until(stopping))
        await leases.renewing.wait()
        stopping.set()

    assert "leave" not in leases.calls
