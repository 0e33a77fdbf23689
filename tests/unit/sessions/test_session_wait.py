"""An operation that may wait for a session waits until a node has it open, and no longer."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.contract.zapi.instances import QrCode, ReadDevice, ReadPhoneCode, ReadQrCode
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Lease
from gateway.sessions.opening import OnOpened, OwnedLease
from gateway.sessions.relay import NotOpen, Relay
from gateway.sessions.router import SessionRouter
from tests.fixtures.patience import PATIENCE_SECONDS

CODE = QrCode(value="code", qr_code="code")


class OtherNodes:
    """One of the other nodes has the session once the test says so."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.has_session = False

    async def execute(self, _instance_id: str, _operation: Operation[Any]) -> QrCode:
        self.called.set()
        if not self.has_session:
            raise NotOpen
        return CODE


class Session:
    async def execute(self, _operation: Operation[Any]) -> QrCode:
        return CODE


class StoppedClock(Clock):
    """Shows `seconds`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


class ElapsingClock(StoppedClock):
    """Time passes only in `wait`, which ends at once."""

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        self.seconds += timeout_seconds or 0.0
        await asyncio.sleep(0)
        return event.is_set()


class Node:
    def __init__(self, clock: Clock) -> None:
        opener = SimpleNamespace(connected=None, keep_open=self._keep_open)
        self.keeper = Keeper(
            leases=cast("Any", None),
            instances=cast("Any", None),
            opener=cast("Any", opener),
            clock=clock,
            lock=cast("Any", None),
            renew_seconds=1.0,
            release_seconds=1.0,
        )
        self.relay = OtherNodes()
        self.router = SessionRouter(self.keeper, cast("Relay", self.relay), clock)
        self.may_open = asyncio.Event()

    async def _keep_open(self, owned: OwnedLease, *, on_opened: OnOpened) -> None:
        await self.may_open.wait()
        owned.live = cast("Any", SimpleNamespace(session=Session()))
        on_opened("one")

    def own_lease(self, tasks: asyncio.TaskGroup) -> None:
        self.keeper._open(Lease("one", 1), tasks)

    async def execute(self, operation: Operation[Any], *, wanted: bool = True) -> Any:
        instance = SimpleNamespace(id="one", wanted=wanted, provider="fake")
        return await self.router.execute(cast("Any", instance), operation)


@pytest.mark.parametrize("operation", [ReadQrCode(), ReadPhoneCode(phone="5511999999999")])
async def test_router_returns_a_code_once_the_session_opens(operation: Operation[Any]) -> None:
    node = Node(Clock())
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        node.own_lease(tasks)
        calls = [tasks.create_task(node.execute(operation)) for _ in range(2)]
        await asyncio.sleep(0)
        node.may_open.set()
        assert await asyncio.gather(*calls) == [CODE, CODE]


async def test_router_returns_a_code_once_this_node_owns_the_lease() -> None:
    node = Node(Clock())
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        call = tasks.create_task(node.execute(ReadQrCode()))
        await node.relay.called.wait()
        node.own_lease(tasks)
        node.may_open.set()
        assert await call == CODE


async def test_router_returns_a_code_once_another_node_has_it() -> None:
    node = Node(ElapsingClock())
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        call = tasks.create_task(node.execute(ReadQrCode()))
        await node.relay.called.wait()
        node.relay.has_session = True
        assert await call == CODE


@pytest.mark.parametrize("owned", [True, False])
async def test_router_waits_for_a_session_a_limited_time(*, owned: bool) -> None:
    node = Node(ElapsingClock())
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        if owned:
            node.own_lease(tasks)
        with pytest.raises(NotOpen):
            await node.execute(ReadQrCode())
        node.may_open.set()


async def test_router_does_not_wait_for_other_operations() -> None:
    node = Node(clock := ElapsingClock())
    with pytest.raises(NotOpen):
        await node.execute(ReadDevice())
    with pytest.raises(NotOpen):
        await node.execute(ReadQrCode(), wanted=False)
    assert clock.seconds == 0
