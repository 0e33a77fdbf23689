"""An operation that may wait for a session does so until it is open, and no longer."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.contract.zapi.instances import QrCode, ReadDevice, ReadPhoneCode, ReadQrCode
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Lease
from gateway.sessions.opening import Held
from gateway.sessions.relay import NotOpen, Relay
from gateway.sessions.router import SessionRouter

SHOWN = QrCode(value="code", qr_code="code")


class Relayed:
    """Other nodes: one has the session as soon as it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.has_session = False

    async def execute(self, _instance_id: str, _operation: Operation[Any]) -> QrCode:
        self.asked.set()
        if not self.has_session:
            raise NotOpen
        return SHOWN


class Session:
    async def execute(self, _operation: Operation[Any]) -> QrCode:
        return SHOWN


class Patience(Clock):
    """Time passes only where something waits for it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


class RunsOut(Patience):
    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        self.seconds += timeout_seconds or 0.0
        await asyncio.sleep(0)
        return event.is_set()


class Node:
    def __init__(self, clock: Clock) -> None:
        opener = SimpleNamespace(connected=None, listeners=[], after_opening=None)
        self.keeper = Keeper(
            leases=cast("Any", None),
            instances=cast("Any", None),
            opener=cast("Any", opener),
            clock=clock,
            lock=cast("Any", None),
            renew_seconds=1.0,
            give_seconds=1.0,
        )
        self.announce = cast("Callable[[str], None]", opener.after_opening)
        self.relay = Relayed()
        self.router = SessionRouter(self.keeper, cast("Relay", self.relay), clock)

    def hold(self) -> Held:
        held = self.keeper._held["one"] = Held(Lease("one", 1))
        return held

    def open(self, held: Held) -> None:
        held.live = cast("Any", SimpleNamespace(session=Session()))
        self.announce("one")

    async def execute(self, operation: Operation[Any], *, wanted: bool = True) -> Any:
        instance = SimpleNamespace(id="one", wanted=wanted, provider="fake")
        return await self.router.execute(cast("Any", instance), operation)


@pytest.mark.parametrize("operation", [ReadQrCode(), ReadPhoneCode(phone="5511999999999")])
async def test_a_code_is_given_once_the_session_opens(operation: Operation[Any]) -> None:
    node = Node(Clock())
    async with asyncio.timeout(10):
        held = node.hold()
        asking = [asyncio.create_task(node.execute(operation)) for _ in range(2)]
        await asyncio.sleep(0)
        node.open(held)
        assert await asyncio.gather(*asking) == [SHOWN, SHOWN]


async def test_a_code_is_given_once_the_lease_is_taken_here() -> None:
    node = Node(Clock())
    async with asyncio.timeout(10):
        asking = asyncio.create_task(node.execute(ReadQrCode()))
        await node.relay.asked.wait()
        node.open(node.hold())
        assert await asking == SHOWN


async def test_a_code_is_given_once_another_node_has_the_session() -> None:
    node = Node(RunsOut())
    asking = asyncio.create_task(node.execute(ReadQrCode()))
    await node.relay.asked.wait()
    node.relay.has_session = True
    assert await asking == SHOWN


@pytest.mark.parametrize("held", [True, False])
async def test_a_session_that_does_not_open_is_not_waited_for_forever(*, held: bool) -> None:
    node = Node(RunsOut())
    if held:
        node.hold()
    with pytest.raises(NotOpen):
        await node.execute(ReadQrCode())


async def test_other_operations_and_unwanted_instances_are_refused_at_once() -> None:
    node = Node(clock := RunsOut())
    with pytest.raises(NotOpen):
        await node.execute(ReadDevice())
    with pytest.raises(NotOpen):
        await node.execute(ReadQrCode(), wanted=False)
    assert clock.seconds == 0
