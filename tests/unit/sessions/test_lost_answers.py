"""A keeper follows what Postgres did late; an opener is not slowed by an outage of Postgres."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Lease
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.opening import Opener, OwnedLease
from gateway.sessions.provider import SessionSpec
from gateway.sessions.subscribers import EventSubscribers
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.unit.sessions.test_reopening import (
    EndlessClock,
    Engine,
    FakeNotifications,
    FakeSession,
    Inbound,
    Instances,
    OneLease,
)

AWAY = DatabaseUnavailable("Postgres did not answer")


class LateLeases(OneLease):
    """The first round gets no answer; the test sets the epoch that a late statement gives."""

    epoch = 1
    failures = 1

    async def renew(self) -> bool:
        if self.failures:
            self.failures -= 1
            raise AWAY
        return True

    async def owned(self) -> dict[str, int]:
        return {"one": self.epoch}


def opener_of(engine: Any, leases: OneLease, clock: Clock) -> Opener:
    parts: dict[str, Any] = {
        "leases": leases,
        "instances": Instances(),
        "inbound": Inbound(),
        "subscribers": EventSubscribers(),
        "providers": {"fake": SimpleNamespace(can_repeat_send=True)},
        "engines": {"fake": engine},
        "proxy_of": lambda instance: instance.sealed_proxy,
        "settings_of": lambda instance: {"opened": instance.provider_settings},
    }
    return Opener(**parts, clock=clock)


class NumberedEngine(Engine):
    """Notes the epoch of each opening."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = asyncio.Queue[int]()

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[FakeSession]:
        self.epochs.put_nowait(spec.epoch)
        async with super().open_session(spec) as session:
            yield session


async def test_keeper_opens_a_session_again_whose_epoch_was_raised_late(tmp_path: Path) -> None:
    leases, engine, clock = LateLeases(), NumberedEngine(), EndlessClock()
    notifications, stopping = FakeNotifications(), asyncio.Event()
    fakes: dict[str, Any] = {"leases": leases, "instances": Instances()}
    keeper = Keeper(
        **fakes,
        opener=opener_of(engine, leases, clock),
        clock=clock,
        lock=NodeLock(tmp_path, "one"),
        renew_seconds=1,
        release_seconds=1,
    )
    keeper.listen(notifications)  # type: ignore[arg-type]
    running = asyncio.create_task(keeper.run_until(stopping))

    async def next_opening() -> int:
        while engine.epochs.empty():
            notifications.notify["leases"]("")
            await asyncio.sleep(0)
        return engine.epochs.get_nowait()

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await next_opening() == 1
        leases.epoch = 2
        assert await next_opening() == 2
    stopping.set()
    with suppress(asyncio.CancelledError):
        await running


class PausesNoted(Clock):
    """Pauses at once, and cancels the opener after some pauses."""

    def __init__(self, count: int) -> None:
        self.count, self.pauses = count, list[float | None]()

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        self.pauses.append(timeout_seconds)
        if len(self.pauses) == self.count:
            raise asyncio.CancelledError
        return False


class FailingEngine:
    """Opens no session."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    @asynccontextmanager
    async def open_session(self, _spec: SessionSpec) -> AsyncIterator[FakeSession]:
        raise self.failure
        yield


@pytest.mark.parametrize(
    ("failure", "pauses"),
    [(AWAY, [1.0, 2.0, 4.0, 4.0]), (ConnectionError("refused"), [1.0, 2.0, 4.0, 8.0])],
)
async def test_opener_waits_a_few_seconds_at_most_while_postgres_is_away(
    failure: Exception, pauses: list[float]
) -> None:
    clock = PausesNoted(len(pauses))
    opener = opener_of(FailingEngine(failure), OneLease(), clock)

    with pytest.raises(asyncio.CancelledError):
        await opener.keep_open(OwnedLease(Lease("one", 1)), on_opened=lambda _id: None)

    assert clock.pauses == pauses
