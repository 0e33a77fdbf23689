"""Connections are checked, opened again while they fail, and what was found is stored."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import orjson
import pytest
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gateway.clock import Clock
from gateway.contract.extensions.connections import ReceiptAlarm
from gateway.errors import NotConnected, Refused
from gateway.instances.store import Instance
from gateway.observability.metrics import Metrics
from gateway.sessions.connection import ConnectionState
from gateway.sessions.connection_callbacks import ConnectionCallbacks
from gateway.sessions.health_monitor import HealthMonitor
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Lease
from gateway.sessions.live import LiveSession
from gateway.sessions.provider import Session
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.outbox import Outbox
from tests.fixtures.queue import Node, add_instances, rows, running_node

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
ALARM = ReceiptAlarm(missing_receipts=2, of_messages=3, wait_seconds=600)


@dataclass
class SteppedClock(Clock):
    passed: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def monotonic_seconds(self) -> float:
        return 1_000.0 + self.passed


@dataclass
class CheckedSession:
    """A session whose checks fail as the test says."""

    failure: Exception | None = None
    checks: int = 0

    async def check_health(self) -> None:
        self.checks += 1
        if self.failure:
            raise self.failure


@dataclass
class OneLease:
    """Stands for the keeper of a node that owns one lease."""

    instance: Instance
    live: LiveSession | None = None
    epoch: int = 1
    revived: int = 0
    forced: set[str] = field(default_factory=set)

    def owned(self) -> Iterator[tuple[Lease, LiveSession | None]]:
        yield Lease(self.instance.id, self.epoch), self.live

    def revive(self, instance_id: str) -> None:
        assert instance_id == self.instance.id
        self.revived += 1

    def take_forced(self) -> set[str]:
        forced, self.forced = self.forced, set()
        return forced


@dataclass
class Bench:
    node: Node
    operator: AsyncConnection
    instance: Instance
    keeper: OneLease
    session: CheckedSession
    monitor: HealthMonitor
    clock: SteppedClock
    metrics: Metrics
    callbacks: ConnectionCallbacks

    async def after(self, seconds: float) -> dict[str, Any]:
        """Runs a round so much later; returns what is stored."""
        self.clock.passed += seconds
        await self.monitor.run_once()
        return await self.stored()

    async def stored(self) -> dict[str, Any]:
        (row,) = await rows(
            self.operator,
            "select to_jsonb(c) from instance_connections c where c.instance_id is not null",
        )
        return cast("dict[str, Any]", row)

    def report(self, state: ConnectionState) -> None:
        assert self.keeper.live
        self.keeper.live.state = state


@pytest.fixture
async def bench(database_url: str, operator: AsyncConnection) -> AsyncIterator[Bench]:
    async with running_node(database_url) as node:
        (instance,) = await add_instances(operator, 1)
        session, keeper = CheckedSession(), OneLease(instance)
        keeper.live = LiveSession(
            instance,
            1,
            cast("Session", session),
            can_repeat_send=False,
            leases=node.leases,
            clock=Clock(),
            connection_id=instance.connection_id,
            state=ConnectionState.CONNECTED,
        )
        clock, metrics = SteppedClock(), Metrics()
        outbox = Outbox(node.database, uuid.uuid4, CallbackNotifier())
        callbacks = ConnectionCallbacks(node.database, outbox, clock)
        monitor = HealthMonitor(
            cast("Keeper", keeper),
            node.database,
            clock,
            metrics,
            lambda low, _high: low,
            callbacks=callbacks,
            health_seconds=30.0,
            receipt_alarm=ALARM,
        )
        yield Bench(node, operator, instance, keeper, session, monitor, clock, metrics, callbacks)


async def test_good_check_is_stored(bench: Bench) -> None:
    stored = await bench.after(0)

    assert (stored["health"], stored["health_reason"], stored["latency_ms"]) == ("healthy", None, 0)
    assert (stored["error_rate"], stored["repairs"], stored["last_error"]) == (0, 0, None)
    assert bench.monitor.summary()["sandbox"]["status"] == "healthy"


async def test_connection_that_fails_three_checks_is_opened_again(bench: Bench) -> None:
    await bench.after(0)
    bench.session.failure = NotConnected("WhatsApp is out of reach.")
    seen = [(await bench.after(30))["health"] for _ in range(3)]
    stored = await bench.stored()
    assert bench.keeper.revived == 1

    repaired = [bench.keeper.revived for _ in range(6) if await bench.after(60)]

    assert seen == ["healthy", "healthy", "unhealthy"]
    assert stored["health_reason"] == stored["last_error"] == "WhatsApp is out of reach."
    assert (stored["repairs"], stored["latency_ms"], stored["error_rate"]) == (1, None, 0.75)
    assert stored["next_repair_at"]
    assert repaired == [2, 2, 3, 3, 3, 3]
    assert bench.monitor.summary()["sandbox"]["reason"] == "WhatsApp is out of reach."


async def test_open_circuit_is_checked_after_a_minute_and_closes_after_ten(bench: Bench) -> None:
    bench.session.failure = NotConnected("WhatsApp is out of reach.")
    for _ in range(3):
        await bench.after(30)
    bench.session.failure, before = None, bench.session.checks
    await bench.after(30)
    assert bench.session.checks == before

    seen = [(await bench.after(30))["health"] for _ in range(21)]

    assert seen == ["recovering"] * 20 + ["healthy"]
    assert (await bench.stored())["repairs"] == 0


async def test_refusals_of_whatsapp_are_capped_to_one_repair_an_hour(bench: Bench) -> None:
    bench.session.failure = Refused("WhatsApp refuses this version.")
    times = []
    for second in range(0, 4 * 3_600, 30):
        before = bench.keeper.revived
        await bench.after(30)
        if bench.keeper.revived > before:
            times.append(second)

    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) < 10
    assert min(pauses[5:]) >= 3_600
    assert bench.keeper.revived >= 7


async def posted(bench: Bench) -> list[dict[str, Any]]:
    bodies = await rows(bench.operator, "select body from webhook_outbox order by position, chat")
    return [orjson.loads(body) for body in bodies]


async def with_settings(bench: Bench, **columns: object) -> None:
    await bench.operator.execute(
        "update instances set disconnected_callback_url = 'https://receiver.example/',"
        " message_status_callback_url = 'https://receiver.example/'"
    )
    names = ", ".join(columns)
    await bench.operator.execute(
        f"insert into connection_settings (instance_id, {names})"
        f" values (%s, {', '.join(['%s'] * len(columns))})".encode(),
        [bench.instance.id, *columns.values()],
    )


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_cap_of_refusals_is_told_once_if_the_instance_asks_for_it(
    bench: Bench, *, is_wanted: bool
) -> None:
    await with_settings(bench, notify_refused=is_wanted)
    bench.session.failure = Refused("WhatsApp refuses this version.")
    while bench.keeper.revived < 5:
        assert await posted(bench) == []
        await bench.after(30)

    for _ in range(2 * 120):
        await bench.after(30)

    assert bench.keeper.revived >= 6
    posted_callbacks = await posted(bench)
    assert [(c["type"], c["error"], c["attempts"], c["provider"]) for c in posted_callbacks] == [
        ("ConnectionRefusedCallback", "WhatsApp refuses this version.", 5, "sandbox")
    ] * is_wanted


async def test_caller_who_opens_it_again_ends_the_cap(bench: Bench) -> None:
    bench.session.failure = Refused("WhatsApp refuses this version.")
    for _ in range(60):
        await bench.after(30)
    before = bench.keeper.revived
    bench.keeper.forced.add(bench.instance.id)

    await bench.after(60)

    assert bench.keeper.revived == before + 1


async def test_connection_that_a_caller_opened_again_is_checked_soon(bench: Bench) -> None:
    bench.session.failure = NotConnected("WhatsApp is out of reach.")
    for _ in range(3):
        await bench.after(30)
    bench.session.failure = None
    bench.keeper.forced.add(bench.instance.id)
    await bench.after(1)

    assert (await bench.after(29))["health"] == "unhealthy"
    assert (await bench.after(1))["health"] == "recovering"


@pytest.mark.parametrize(
    "state",
    [
        ConnectionState.UNPAIRED,
        ConnectionState.LOGGED_OUT,
        ConnectionState.REPLACED,
        ConnectionState.BANNED,
    ],
)
async def test_connection_that_only_a_person_can_mend_is_left_alone(
    bench: Bench, state: ConnectionState
) -> None:
    bench.report(state)

    for _ in range(20):
        stored = await bench.after(60)

    assert (stored["health"], stored["health_reason"]) == ("unknown", state.sentence)
    assert (bench.session.checks, bench.keeper.revived) == (0, 0)


@pytest.mark.parametrize("is_open", [True, False])
async def test_session_that_does_not_connect_is_opened_again(
    bench: Bench, *, is_open: bool
) -> None:
    bench.report(ConnectionState.DISCONNECTED)
    if not is_open:
        bench.keeper.live = None

    for _ in range(3):
        stored = await bench.after(30)

    assert stored["health"] == "unhealthy"
    assert (bench.session.checks, bench.keeper.revived) == (0, 1)


async def test_events_are_counted_over_sessions_and_leases(bench: Bench) -> None:
    live = bench.keeper.live
    assert live
    live.events.reported, live.events.stored, live.events.processed = 3, 3, 2
    stored = await bench.after(0)
    assert (stored["reported"], stored["stored"], stored["processed"]) == (3, 3, 2)
    bench.keeper.live = None
    await bench.after(30)
    bench.keeper.live = live
    live.events.reported = live.events.stored = live.events.processed = 1

    stored = await bench.after(60)

    assert (stored["reported"], stored["stored"], stored["processed"]) == (4, 4, 3)
    await bench.operator.execute("update instance_leases set epoch = 2")
    bench.keeper.epoch = 2
    stored = await bench.after(60)
    assert stored["reported"] == 5


async def test_events_that_stay_unprocessed_are_bad_health_without_a_repair(bench: Bench) -> None:
    live = bench.keeper.live
    assert live
    await bench.after(0)
    live.events.reported, live.events.stored = 5, 5

    for _ in range(14):
        stored = await bench.after(30)

    assert stored["health"] == "unhealthy"
    assert stored["health_reason"].startswith("Of 5 events 5 are stored and 0 processed")
    assert bench.keeper.revived == 0
    assert b'connection_alarms{reason="events_waiting"} 1.0' in await bench.metrics.render()


async def accepted(bench: Bench, number: int, **columns: object) -> None:
    values = {"phone": "5511999999999", "delivered_at": None, "minutes": 20, **columns}
    await bench.operator.execute(
        """insert into messages (instance_id, message_id, recorded_at, created_at, version, from_me,
               status, phone, type, payload, connection_id, delivered_at)
           values (%s, %s, now() - make_interval(mins => %s), now(), 1, true,
               'sent', %s, 'send-text', %s, %s, %s)""",
        [
            bench.instance.id,
            f"M{number}",
            values["minutes"],
            values["phone"],
            Jsonb({"track_id": f"ref {number}"}),
            bench.instance.connection_id,
            values["delivered_at"],
        ],
    )


async def test_accepted_messages_without_receipts_are_bad_health(bench: Bench) -> None:
    await accepted(bench, 1, delivered_at=datetime.now(UTC))
    await accepted(bench, 2)
    await accepted(bench, 3)

    for _ in range(3):
        stored = await bench.after(30)

    assert stored["health"] == "unhealthy"
    assert stored["health_reason"] == (
        "WhatsApp accepted messages, and 2 of the last 3 have no receipt after 600 seconds."
    )
    assert bench.keeper.revived == 0
    assert await rows(bench.operator, "select 1 from message_queue") == []


@pytest.mark.parametrize(
    "columns", [{"minutes": 5}, {"phone": "123456-group"}, {"delivered_at": datetime.now(UTC)}]
)
async def test_messages_that_may_lack_a_receipt_are_no_alarm(
    bench: Bench, columns: dict[str, object]
) -> None:
    await accepted(bench, 1)
    await accepted(bench, 2, **columns)
    await accepted(bench, 3, **columns)

    for _ in range(3):
        stored = await bench.after(30)

    assert stored["health"] == "healthy"


async def test_instance_switches_the_receipt_alarm_off(bench: Bench) -> None:
    for number in range(3):
        await accepted(bench, number)
    await bench.operator.execute(
        "insert into connection_settings (instance_id, missing_receipts) values (%s, 0)",
        [bench.instance.id],
    )

    for _ in range(3):
        stored = await bench.after(30)

    assert stored["health"] == "healthy"


@pytest.fixture
async def awaiting(bench: Bench) -> Bench:
    """The instance asks for a callback after ten minutes, for an hour, and is connected."""
    hour = datetime.now(UTC) - timedelta(hours=1)
    await with_settings(bench, receipt_missing_minutes=10, receipts_seen_until=hour)
    await connected_since(bench, 5)
    return bench


async def connected_since(bench: Bench, minutes: int) -> None:
    await bench.operator.execute(
        "update instance_connections set state = 'connected',"
        " changed_at = now() - make_interval(mins => %s)",
        [minutes],
    )


async def test_message_without_receipt_is_told_once_after_its_minutes(awaiting: Bench) -> None:
    await accepted(awaiting, 1, minutes=90)
    await accepted(awaiting, 2)
    await accepted(awaiting, 3, delivered_at=datetime.now(UTC))
    await accepted(awaiting, 4, minutes=9)
    await accepted(awaiting, 5, phone="123456-group")

    for _ in range(2):
        await awaiting.callbacks.missing_receipts()

    (callback,) = await posted(awaiting)
    assert (callback["type"], callback["messageId"], callback["phone"], callback["minutes"]) == (
        "ReceiptMissingCallback",
        "M2",
        "5511999999999",
        10,
    )
    assert callback["trackId"] == "ref 2"
    assert callback["momment"] == int(START.timestamp() * 1000)
    await two_minutes_pass(awaiting)
    await awaiting.callbacks.missing_receipts()
    assert [callback["messageId"] for callback in await posted(awaiting)] == ["M2", "M4"]


async def two_minutes_pass(bench: Bench) -> None:
    for column in ("messages set recorded_at", "connection_settings set receipts_seen_until"):
        name = column.rpartition(" ")[2]
        await bench.operator.execute(f"update {column} = {name} - interval '2 minutes'".encode())


async def test_messages_without_receipts_are_all_told_however_many(awaiting: Bench) -> None:
    for number in range(250):
        await accepted(awaiting, number, minutes=12 if number < 120 else 11)

    for _ in range(4):
        await awaiting.callbacks.missing_receipts()

    named = [callback["messageId"] for callback in await posted(awaiting)]
    assert sorted(named) == sorted(f"M{number}" for number in range(250))


async def test_receipts_are_awaited_again_when_the_instance_is_connected(awaiting: Bench) -> None:
    await accepted(awaiting, 1)
    await connected_since(awaiting, 0)
    await awaiting.callbacks.missing_receipts()
    assert await posted(awaiting) == []

    await connected_since(awaiting, 2)
    await awaiting.callbacks.missing_receipts()

    assert len(await posted(awaiting)) == 1


async def test_node_that_lost_the_lease_stores_nothing(bench: Bench) -> None:
    await bench.operator.execute("update instance_leases set epoch = 2")

    stored = await bench.after(0)

    assert (stored["health"], stored["checked_at"]) == ("unknown", None)
