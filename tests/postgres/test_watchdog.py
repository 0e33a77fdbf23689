"""The watchdog finds queues that stand still, says why, and makes them go on."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from psycopg import AsyncConnection
from structlog.testing import capture_logs

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable
from gateway.instances.store import Instance
from gateway.observability.metrics import Metrics
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.send_queue.coordinator import Coordinator
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.start import Starter
from gateway.send_queue.watchdog import QueueWatchdog
from gateway.sessions.live import ConnectedSessions
from tests.fixtures.queue import Node, add_instances, at_once, rows, running_node
from tests.fixtures.service import until
from tests.postgres.test_queue_races import Phone, fill

STALLED_SECONDS = 30.0
CLAIM = """update message_queue set status = 'processing', claimed_epoch = %s, claimed_at = now(),
               claim_id = %s, attempt_started_at = case when %s then now() end"""


@dataclass
class SteppedClock(Clock):
    """The watchdog's clock: it moves only when a test says so."""

    seconds: float = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


@dataclass
class HangingStarter:
    """Never answers the first start."""

    starter: Starter
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def due(self) -> None:
        await self.starter.due()

    async def start(self, row: ClaimedMessage, *arguments: Any, **options: Any) -> bool:
        if not self.asked.is_set():
            self.asked.set()
            await asyncio.Event().wait()
        return await self.starter.start(row, *arguments, **options)


@dataclass
class Watched:
    """One instance with a running coordinator and a watchdog that looks when the test says so."""

    node: Node
    instance: Instance
    coordinator: Coordinator
    connected: ConnectedSessions
    watchdog: QueueWatchdog
    clock: SteppedClock
    metrics: Metrics
    revived: list[str]
    schedule_wakes: list[str]
    phone: Phone = field(default_factory=Phone)

    def connect(self) -> None:
        self.connected.add(self.node.live(self.instance, self.phone))

    async def asleep(self) -> None:
        """Waits until the worker sleeps."""

        async def is_asleep() -> bool:
            activity = self.coordinator.activity(self.instance.id)
            return bool(activity and activity.is_asleep)

        await until(is_asleep, bool)

    async def stalls(self) -> list[str]:
        """Looks twice, with just enough time in between; returns the reasons in the log."""
        with capture_logs() as logs:
            await self.watchdog.look()
            self.clock.seconds += STALLED_SECONDS
            await self.watchdog.look()
        return [entry["reason"] for entry in logs if entry["event"] == "queue_stalled"]

    def alarms(self, reason: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "message_queue_stalls_total", {"reason": reason}
        )


@asynccontextmanager
async def watched(
    url: str, operator: AsyncConnection, *, hanging: bool = False, connected: bool = True
) -> AsyncIterator[Watched]:
    (instance,) = await add_instances(operator, 1)
    sessions, clock, metrics, revived = ConnectedSessions(), SteppedClock(), Metrics(), list[str]()
    stopping = asyncio.Event()
    async with running_node(url) as node:
        deps = replace(node.worker_dependencies(), clock=clock)
        if hanging:
            deps = replace(deps, starter=cast("Any", HangingStarter(node.starter)))
        rescue = Rescue(node.database, node.recorder, at_once())
        wakes = list[str]()
        coordinator = Coordinator(
            sessions, deps, rescue, wake_schedule=lambda: wakes.append("woken")
        )
        watchdog = QueueWatchdog(
            node.database,
            clock,
            metrics,
            node_id=node.name,
            connected=sessions,
            workers=coordinator,
            revive=revived.append,
            stalled_seconds=STALLED_SECONDS,
        )
        both = Watched(
            node, instance, coordinator, sessions, watchdog, clock, metrics, revived, wakes
        )
        tasks = [asyncio.create_task(part.run_until(stopping)) for part in (rescue, coordinator)]
        if connected:
            both.connect()
            await both.asleep()
        yield both
        stopping.set()
        await asyncio.gather(*tasks)


async def test_queue_whose_wake_up_was_lost_goes_on(
    database_url: str, operator: AsyncConnection
) -> None:
    async with watched(database_url, operator) as it:
        await fill(it.node, it.instance, "1", "2")

        assert await it.stalls() == ["wake_up_lost"]
        assert it.watchdog.warnings() == {
            "stalled queues": "1 queues stand still now; alarms of the last 15 minutes: "
            "wake_up_lost (1)"
        }
        assert [await it.phone.sent.get(), await it.phone.sent.get()] == ["1", "2"]
        await it.asleep()
        with capture_logs() as logs:
            await it.watchdog.look()

        assert [entry["event"] for entry in logs] == ["queue_moves_again"]
        assert "0 queues stand still now" in it.watchdog.warnings()["stalled queues"]
        it.clock.seconds += 901
        assert it.watchdog.warnings() == {}
        assert it.alarms("wake_up_lost") == 1
        assert it.alarms("row_abandoned") == 0


@pytest.mark.parametrize(
    ("epoch", "claim_id", "is_started"),
    [(1, uuid.UUID(int=1), False), (1, None, True), (0, uuid.UUID(int=1), True), (0, None, False)],
)
async def test_row_that_no_worker_has_is_rescued(
    database_url: str,
    operator: AsyncConnection,
    epoch: int,
    claim_id: uuid.UUID | None,
    *,
    is_started: bool,
) -> None:
    async with watched(database_url, operator) as it:
        await fill(it.node, it.instance, "1")
        await operator.execute(CLAIM, [epoch, claim_id, is_started])
        await fill(it.node, it.instance, "2")

        assert await it.stalls() == ["row_abandoned"]
        assert [await it.phone.sent.get(), await it.phone.sent.get()] == ["1", "2"]

    assert await rows(operator, "select count(*) from message_queue") == [0]


async def test_canceled_worker_is_replaced_at_once(
    database_url: str, operator: AsyncConnection
) -> None:
    async with watched(database_url, operator) as it:
        task = it.coordinator._slots[it.instance.id].task
        assert task is not None
        await fill(it.node, it.instance, "1")
        task.cancel()

        assert await it.phone.sent.get() == "1"


async def test_schedule_learns_of_queues_that_come_to_the_node(
    database_url: str, operator: AsyncConnection
) -> None:
    """It looks at the next time only when it is woken, or each half minute."""
    async with watched(database_url, operator) as it:
        assert it.schedule_wakes == ["woken"]


async def test_session_without_a_worker_gets_one(
    database_url: str, operator: AsyncConnection
) -> None:
    """The coordinator did not learn that the session connected."""
    async with watched(database_url, operator, connected=False) as it:
        await fill(it.node, it.instance, "1")
        it.connected._sessions[it.instance.id] = it.node.live(it.instance, it.phone)

        assert await it.stalls() == ["worker_missing"]
        assert await it.phone.sent.get() == "1"


async def test_worker_that_does_not_answer_is_replaced(
    database_url: str, operator: AsyncConnection
) -> None:
    async with watched(database_url, operator, hanging=True) as it:
        await fill(it.node, it.instance, "1")
        it.coordinator.wake([it.instance.id])
        await cast("HangingStarter", it.coordinator._deps.starter).asked.wait()

        assert await it.stalls() == []  # it has been late for no longer than the grace
        assert await it.stalls() == ["worker_silent"]
        assert await it.phone.sent.get() == "1"

    assert await rows(operator, "select attempts from messages") == [1]


async def test_connected_queue_without_a_session_is_revived(
    database_url: str, operator: AsyncConnection
) -> None:
    async with watched(database_url, operator, connected=False) as it:
        await fill(it.node, it.instance, "1")

        assert await it.stalls() == ["session_missing"]
        assert it.revived == [it.instance.id]


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_connected_queue_without_a_lease_makes_nodes_look(
    database_url: str, operator: AsyncConnection, *, is_wanted: bool
) -> None:
    async with watched(database_url, operator, connected=False) as it:
        await fill(it.node, it.instance, "1")
        await operator.execute("update instance_leases set node_id = null")
        await operator.execute("update instances set wanted = %s", [is_wanted])
        await operator.execute("listen leases")

        assert await it.stalls() == ["lease_missing"]
        async for notification in operator.notifies():
            assert notification.channel == "leases"
            break

    assert await rows(operator, "select connected from instance_lines") == [is_wanted]


@pytest.mark.parametrize(
    "change",
    [
        "update instance_lines set paused = true",
        "update instance_lines set connected = false",
        "update instance_lines set hold_until = now() + interval '1 hour'",
        "update message_queue set due_at = now() + interval '1 hour'",
        "update instance_leases set node_id = 'b'",
        "delete from message_queue",
    ],
)
async def test_queue_that_waits_with_a_reason_is_no_alarm(
    database_url: str, operator: AsyncConnection, change: str
) -> None:
    async with watched(database_url, operator) as it:
        await operator.execute("insert into nodes (id, expires_at) values ('b', 'infinity')")
        await fill(it.node, it.instance, "1")
        await operator.execute(change.encode())

        assert await it.stalls() == []


async def test_queue_that_moves_between_two_looks_is_no_alarm(
    database_url: str, operator: AsyncConnection
) -> None:
    async with watched(database_url, operator) as it:
        await fill(it.node, it.instance, "1", "2")
        await it.watchdog.look()
        it.clock.seconds += STALLED_SECONDS
        await operator.execute("delete from message_queue where sequence_number = 1")
        await it.watchdog.look()

        assert it.alarms("wake_up_lost") == 0


async def test_time_without_a_database_does_not_count(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched(database_url, operator) as it:
        await fill(it.node, it.instance, "1")
        await it.watchdog.look()
        it.clock.seconds += STALLED_SECONDS

        async def unavailable(*_args: object, **_parameters: object) -> object:
            raise DatabaseUnavailable("away")

        with monkeypatch.context() as patched:
            patched.setattr(Database, "fetch_all", unavailable)
            with pytest.raises(DatabaseUnavailable):
                await it.watchdog.look()
        await it.watchdog.look()

        assert it.alarms("wake_up_lost") == 0
