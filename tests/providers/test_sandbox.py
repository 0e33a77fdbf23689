"""The sandbox accepts, journals and delivers as its documentation promises, on a real Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.contract.internal.presence import MarkRead, ShowTyping
from gateway.contract.known import KnownMessage
from gateway.contract.operation import Operation, Value
from gateway.contract.zapi.instances import (
    AlreadyConnected,
    Disconnect,
    PhoneCode,
    QrCode,
    ReadDevice,
    ReadPhoneCode,
    ReadQrCode,
    RestoreSession,
)
from gateway.contract.zapi.messages.message_actions import Revoke
from gateway.contract.zapi.messages.polls_and_events import PollOption, SendPoll
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import (
    InvalidSettings,
    NotConnected,
    NotSupported,
    Refused,
    Restricted,
    TryAgainLater,
    Unconfirmed,
)
from gateway.providers.loading import load_provider
from gateway.providers.sandbox import pairing
from gateway.providers.sandbox.messages import plan_receipts
from gateway.providers.sandbox.provider import SandboxProvider
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.settings import SandboxSettings, read_settings
from gateway.providers.sandbox.simulated_events import Moment, ReceiveBody
from gateway.providers.sandbox.stored_events import event_body
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    Attempt,
    ConnectionChanged,
    MessageAcknowledged,
    MessageReceived,
    ProviderContext,
    ReportedEvent,
    SessionSpec,
)
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.sandbox_node import (
    IMMEDIATE_RECEIPTS,
    NO_RECEIPTS,
    Node,
    node_at,
)

FRIEND = "5511988887777"


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    async with node_at(database_url) as node, node.delivering():
        yield node


def spec(instance_id: str = "one", *, epoch: int = 1, paired: bool = True) -> SessionSpec:
    return SessionSpec(instance_id, epoch, {"paired": True} if paired else {}, lambda: float("inf"))


@dataclass
class Listening:
    """A session and its events."""

    session: SandboxSession
    _events: AsyncIterator[ReportedEvent]

    async def delivery(self) -> ReportedEvent:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anext(self._events)

    async def next(self) -> Any:
        delivery = await self.delivery()
        await delivery.acknowledge()
        return delivery.event


@asynccontextmanager
async def opened(node: Node, where: SessionSpec | None = None) -> AsyncIterator[Listening]:
    async with node.engine.open_session(where or spec()) as session:
        assert isinstance(session, SandboxSession)
        events = session.events()
        async with aclosing(events):  # type: ignore[type-var]
            yield Listening(session, events)


@asynccontextmanager
async def connected(node: Node, where: SessionSpec | None = None) -> AsyncIterator[Listening]:
    async with opened(node, where) as listening:
        assert (await listening.next()).state is ConnectionState.CONNECTED
        yield listening


def attempt(message_id: str = "M1", *, epoch: int = 1) -> Attempt:
    return Attempt(message_id, epoch, PATIENCE_SECONDS)


def text(message: str = "hi", **more: Any) -> SendText:
    return SendText(phone=FRIEND, message=message, **more)


async def sent(node: Node, instance_id: str = "one") -> list[dict[str, Any]]:
    return await node.people.sent(instance_id, after=0, max_count=1000)


async def plan(node: Node, *faults: object, instance_id: str = "one") -> None:
    async with node.http() as http:
        answer = await http.post(f"/sandbox/{instance_id}/faults", json={"next": faults})
        assert answer.json() == {"faults": len(faults)}


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


# --- the port and the settings ---


def test_provider_unknown_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"no provider 'telegram': choose one of .*sandbox"):
        load_provider("telegram")


def test_settings_are_read_with_their_prefix() -> None:
    settings = read_settings(
        {
            "GATEWAY_SANDBOX_LATENCY_MIN_SECONDS": "0.5",
            "GATEWAY_SANDBOX_LATENCY_MAX_SECONDS": "1",
            "GATEWAY_SANDBOX_JOURNAL": "false",
            "GATEWAY_SANDBOX_RECEIPTS": "off",
            "GATEWAY_PORT": "8080",
        }
    )
    assert settings == SandboxSettings(
        latency_min_seconds=0.5, latency_max_seconds=1, journal=False, receipts=None
    )
    assert read_settings({}) == SandboxSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LATENCY_MAX_SECONDS", "0.01"),
        ("LATENCY_MIN_SECONDS", "-1"),
        ("RECEIPTS", "x"),
        ("LATENCY", "1"),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"GATEWAY_SANDBOX_{name}"):
        read_settings({f"GATEWAY_SANDBOX_{name}": value})


def test_receipts_are_planned_at_the_pace_of_people() -> None:
    def low(least: float, max_count: float) -> float:
        del max_count
        return least

    def high(least: float, max_count: float) -> float:
        del least
        return max_count

    assert [(r.status, r.after_seconds) for r in plan_receipts(SandboxSettings(), low)] == [
        ("delivered", 0.3),
        ("read", 1.8),
    ]
    assert [r.status for r in plan_receipts(SandboxSettings(), high)] == ["delivered"]
    assert [r.after_seconds for r in plan_receipts(SandboxSettings(receipts=0), low)] == [0, 0]
    assert plan_receipts(SandboxSettings(receipts=None), low) == []


def test_voice_note_is_played_after_it_is_read() -> None:
    planned = plan_receipts(SandboxSettings(), lambda least, _max_count: least, is_audio=True)
    assert [receipt.status for receipt in planned] == ["delivered", "read", "played"]
    assert planned[2].after_seconds > planned[1].after_seconds
    assert len(plan_receipts(SandboxSettings(), lambda least, _max_count: least)) == 2


def test_codes_rotate() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    first = pairing.qr_text("secret", at)
    assert first.startswith("2@")
    assert first == pairing.qr_text("secret", at + timedelta(seconds=19))
    assert first != pairing.qr_text("secret", at + timedelta(seconds=20))
    assert first.split(",")[1:] == pairing.qr_text("secret", at + timedelta(1)).split(",")[1:]
    code = pairing.pairing_code("secret", FRIEND, at)
    assert len(code) == 9
    assert code[4] == "-"
    assert code == pairing.pairing_code("secret", FRIEND, at + timedelta(seconds=179))
    assert code != pairing.pairing_code("secret", FRIEND, at + timedelta(seconds=180))
    assert pairing.phone_number("one") == pairing.phone_number("one") != pairing.phone_number("two")


# --- states ---


async def test_new_phone_is_unpaired_until_it_is_scanned(node: Node) -> None:
    async with opened(node, spec(paired=False)) as listening, node.http() as http:
        assert (await listening.next()).state is ConnectionState.UNPAIRED
        assert listening.session.qr_text().startswith("2@")
        assert listening.session.pairing_code(FRIEND)[4] == "-"
        with pytest.raises(NotConnected):
            await listening.session.send(text(), attempt())
        answer = await http.post("/sandbox/one/scan", json={"phone": "+55 11 91234-5678"})
        assert answer.json()["state"] == "connected"
        event = await listening.next()
        assert isinstance(event, ConnectionChanged)
        assert (event.state, event.phone) == (ConnectionState.CONNECTED, "5511912345678")
        await listening.session.send(text(), attempt())


async def test_paired_instance_is_connected_from_the_start(node: Node) -> None:
    async with opened(node) as listening:
        event = await listening.next()
        assert (event.state, event.phone) == (
            ConnectionState.CONNECTED,
            pairing.phone_number("one"),
        )


async def test_paired_setting_holds_for_a_phone_that_control_created(node: Node) -> None:
    await node.people.plan_faults("one", [])
    async with connected(node):
        pass


async def test_connection_changes_are_delivered_once_in_order(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        for state in ("down", "down", "up", "logged_out", "logged_out"):
            await http.post("/sandbox/one/connection", json={"state": state})
        assert [(await listening.next()).state for _ in range(3)] == [
            ConnectionState.DISCONNECTED,
            ConnectionState.CONNECTED,
            ConnectionState.LOGGED_OUT,
        ]
        await http.post("/sandbox/one/scan")
        assert (await listening.next()).state is ConnectionState.CONNECTED


@pytest.mark.parametrize(
    ("command", "state"),
    [("down", ConnectionState.DISCONNECTED), ("logged_out", ConnectionState.LOGGED_OUT)],
)
async def test_change_while_closed_is_reported_by_the_opening(
    node: Node, command: str, state: ConnectionState
) -> None:
    async with connected(node):
        pass
    async with node.http() as http:
        await http.post("/sandbox/one/connection", json={"state": command})
    async with opened(node) as listening:
        assert (await listening.next()).state is state
        await node.people.scan("one", None)
        assert (await listening.next()).state is ConnectionState.CONNECTED
    assert await stored_events(node) == 0


async def test_session_with_an_older_lease_gets_no_events(node: Node) -> None:
    async with connected(node) as older, connected(node, spec(epoch=2)) as newer:
        with pytest.raises(NotConnected, match="an older lease"):
            await older.session.send(text(), attempt(epoch=1))
        await newer.session.send(text(), attempt(epoch=2))
        async with opened(node, spec(epoch=1)) as late:
            assert (await late.next()).state is ConnectionState.REPLACED
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        assert (await newer.next()).state is ConnectionState.DISCONNECTED
    assert [row["seen"] for row in await sent(node)] == [1]


# --- sending ---


async def test_repeated_message_keeps_its_place_in_the_journal(node: Node) -> None:
    async with connected(node) as listening:
        receipt = await listening.session.send(text("first"), attempt("A"))
        assert receipt.provider_message_id == "A"
        before = await sent(node)
        await listening.session.send(text("second"), attempt("B"))
        await listening.session.send(text("first"), attempt("A"))
    rows = await sent(node)
    assert [(row["message_id"], row["seen"]) for row in rows] == [("A", 2), ("B", 1)]
    assert rows[0]["at"] == before[0]["at"]
    assert (rows[0]["type"], rows[0]["phone"]) == ("send-text", FRIEND)
    assert rows[0]["payload"]["message"] == "first"


async def test_send_runs_one_statement(node: Node) -> None:
    async with connected(node) as listening:
        node.store.statements.clear()
        await listening.session.send(text(), attempt())
        assert [name for name in node.store.statements if name != "due_events"] == [
            "accept_message"
        ]


async def test_reply_to_an_unknown_message_is_refused(node: Node) -> None:
    async with connected(node) as listening:
        with pytest.raises(Refused, match="message X is not known on this instance"):
            await listening.session.send(text(message_id="X"), attempt())
        known = KnownMessage("X", "X", FRIEND, FRIEND, from_me=False, type="text", payload={})
        await listening.session.send(
            text(message_id="X"), replace(attempt(), referred={"X": known})
        )
    assert len(await sent(node)) == 1


async def test_marks_are_stored_while_the_phone_is_connected(
    node: Node,
) -> None:
    target = KnownMessage("M1", "M1", FRIEND, FRIEND, from_me=False, type="text", payload={})
    async with connected(node) as listening:
        await listening.session.send(text(), attempt())
        assert (
            await listening.session.execute(
                MarkRead(
                    phone=target.chat,
                    message_ids=(target.provider_message_id,),
                    sender=target.sender,
                )
            )
            == Value()
        )
        assert await listening.session.execute(Revoke(target=target)) == Value()
        assert (await sent(node))[0]["marks"] == {"read": True, "deleted": True}
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        with pytest.raises(NotConnected):
            await listening.session.execute(Revoke(target=target))


async def test_reader_of_a_poll_votes_once(database_url: str) -> None:
    poll = SendPoll(phone=FRIEND, message="?", poll=(PollOption(name="A"), PollOption(name="B")))
    async with node_at(database_url, IMMEDIATE_RECEIPTS) as node, connected(node) as listening:
        kept = 0
        for number in range(20):
            await listening.session.send(poll, attempt(f"M{number}"))
            before, kept = kept, await stored_events(node)
            assert kept - before in (1, 3)  # delivered, and perhaps read and answered
        await listening.session.send(poll, attempt("M1"))
        assert await stored_events(node) == kept
        assert kept > 20


async def test_answers_off_plans_no_answer(database_url: str) -> None:
    poll = SendPoll(phone=FRIEND, message="?", poll=(PollOption(name="A"), PollOption(name="B")))
    environment = {**IMMEDIATE_RECEIPTS, "GATEWAY_SANDBOX_ANSWERS": "false"}
    async with node_at(database_url, environment) as node, connected(node) as listening:
        for number in range(20):
            await listening.session.send(poll, attempt(f"M{number}"))
        assert await stored_events(node) <= 40


async def test_journal_off_writes_nothing(database_url: str) -> None:
    environment = {"GATEWAY_SANDBOX_JOURNAL": "false"}
    async with (
        node_at(database_url, environment) as node,
        node.delivering(),
        connected(node) as listening,
    ):
        node.store.statements.clear()
        await listening.session.send(text(), attempt())
        assert set(node.store.statements) <= {"due_events"}
        assert await sent(node) == []


async def test_typing_is_shown_while_connected(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        assert await listening.session.execute(ShowTyping(phone=FRIEND, seconds=5)) == Value()
        seen = (await http.get("/sandbox/one")).json()
        assert seen["typing"]["phone"] == FRIEND
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        with pytest.raises(NotConnected):
            await listening.session.execute(ShowTyping(phone=FRIEND, seconds=5))
        with pytest.raises(NotSupported):
            await listening.session.execute(Value())  # type: ignore[arg-type]


# --- faults ---


@pytest.mark.parametrize(
    ("fault", "failure", "arrived"),
    [
        ("disconnect_before_send", NotConnected, 0),
        ("crash_after_accept", ConnectionResetError, 1),
        ("transient", TryAgainLater, 0),
        ("permanent", Refused, 0),
        ("restricted_until", Restricted, 0),
    ],
)
async def test_fault_affects_one_send(
    node: Node, fault: str, failure: type[Exception], arrived: int
) -> None:
    async with connected(node) as listening:
        await plan(node, fault)
        with pytest.raises(failure):
            await listening.session.send(text(), attempt("A"))
        assert len(await sent(node)) == arrived
        if fault == "disconnect_before_send":
            assert (await listening.next()).state is ConnectionState.DISCONNECTED
            await node.people.change_state("one", ConnectionState.CONNECTED)
            assert (await listening.next()).state is ConnectionState.CONNECTED
        await listening.session.send(text(), attempt("A"))
    assert [row["seen"] for row in await sent(node)] == [arrived + 1]


async def test_faults_with_times_apply_in_order(node: Node) -> None:
    until = datetime(2030, 1, 1, tzinfo=UTC)
    async with connected(node) as listening:
        await plan(
            node,
            {"fault": "transient", "afterSeconds": 7},
            {"fault": "restricted_until", "until": until.isoformat()},
            {"fault": "restricted_until", "seconds": 3600},
            {"fault": "slow", "seconds": 0},
        )
        with pytest.raises(TryAgainLater) as later:
            await listening.session.send(text(), attempt())
        assert later.value.after_seconds == 7
        with pytest.raises(Restricted) as restricted:
            await listening.session.send(text(), attempt())
        assert restricted.value.until == until
        with pytest.raises(Restricted) as restricted:
            await listening.session.send(text(), attempt())
        assert timedelta(minutes=59) < restricted.value.until - datetime.now(UTC)
        await listening.session.send(text(), attempt())
    assert [row["seen"] for row in await sent(node)] == [1]


async def test_slow_fault_is_accepted_and_timeout_is_not(node: Node) -> None:
    async with connected(node) as listening:
        await plan(node, {"fault": "slow", "seconds": 60}, "timeout")
        for _ in range(2):
            with pytest.raises(Unconfirmed):
                await listening.session.send(text(), replace(attempt(), time_limit_seconds=0.1))
        assert (await node.people.look("one")).faults == 0
        assert await sent(node) == []


async def test_fault_plan_replaces_the_earlier_one(node: Node) -> None:
    async with connected(node) as listening:
        await plan(node, "permanent", "permanent")
        await plan(node, "transient")
        assert (await node.people.look("one")).faults == 1
        await plan(node)
        await listening.session.send(text(), attempt())


async def test_concurrent_sends_consume_each_fault_once(node: Node) -> None:
    async with connected(node) as listening:
        await plan(node, *["permanent"] * 20)
        results = await asyncio.gather(
            *(listening.session.send(text(), attempt(f"M{number}")) for number in range(30)),
            return_exceptions=True,
        )
    assert sum(isinstance(result, Refused) for result in results) == 20
    assert len(await sent(node)) == 10


async def test_fault_is_not_consumed_by_a_refused_send(node: Node) -> None:
    async with connected(node) as listening:
        await plan(node, "permanent")
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        with pytest.raises(NotConnected):
            await listening.session.send(text(), attempt())
        assert (await node.people.look("one")).faults == 1


# --- receipts and what comes in ---


async def test_receipts_are_delivered_until_acknowledged(database_url: str) -> None:
    async with node_at(database_url, IMMEDIATE_RECEIPTS) as node, node.delivering():
        async with connected(node) as listening:
            await listening.session.send(text(), attempt("A"))
            await listening.session.send(text(), attempt("A"))
            first = await listening.delivery()
            assert isinstance(first.event, MessageAcknowledged)
            assert first.event.status == "delivered"
            assert list(first.event.provider_message_ids) == ["A"]
            assert first.event.chat == FRIEND
        async with connected(node) as listening:
            again = await listening.delivery()
            assert (again.event, again.event_id) == (first.event, first.event_id)
            await again.acknowledge()
        kept = await stored_events(node)
        assert kept in (0, 1)  # read comes for four messages of five
        async with connected(node) as listening:
            for _ in range(kept):
                event = await listening.next()
                assert event.status == "read"
            await node.people.change_state("one", ConnectionState.DISCONNECTED)
            assert isinstance(await listening.next(), ConnectionChanged)


async def test_receipts_are_delivered_when_due(database_url: str) -> None:
    environment = {**NO_RECEIPTS, "GATEWAY_SANDBOX_RECEIPTS": "1000"}
    async with (
        node_at(database_url, environment) as node,
        node.delivering(),
        connected(node) as listening,
    ):
        await listening.session.send(text(), attempt("A"))
        kept = await stored_events(node)
        assert kept in (1, 2)
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        assert isinstance(await listening.next(), ConnectionChanged)
        await node.people.change_state("one", ConnectionState.CONNECTED)
        assert isinstance(await listening.next(), ConnectionChanged)
        await node.database.execute(
            SQL("update sandbox.events set due_at = now() where instance_id = 'one'")
        )
        await node.store.signal("one")
        assert (await listening.next()).status == "delivered"


async def test_received_text_is_delivered(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        one = await http.post(
            "/sandbox/one/receive",
            json={"phone": FRIEND, "text": {"message": "hi"}, "senderName": "Ana"},
        )
        two = await http.post(
            "/sandbox/one/receive",
            json={"phone": FRIEND, "text": "yes", "messageId": "Z", "fromMe": True},
        )
        assert two.json() == {"messageId": "Z"}
        first, second = await listening.next(), await listening.next()
        assert isinstance(first, MessageReceived)
        assert first.provider_message_id == one.json()["messageId"]
        assert (first.chat, first.sender, first.sender_name) == (FRIEND, FRIEND, "Ana")
        assert (first.from_me, first.kind) == (False, "text")
        assert first.content == {"text": {"message": "hi"}}
        assert (second.from_me, second.sender, second.chat) == (True, None, FRIEND)


async def test_received_group_message_names_chat_and_sender(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        await http.post(
            "/sandbox/one/receive",
            json={"phone": FRIEND, "text": "hi", "chat": "120363025555555555@g.us"},
        )
        event = await listening.next()
        assert (event.chat, event.sender) == ("120363025555555555-group", FRIEND)


async def test_received_message_is_delivered_once(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        body = {"phone": FRIEND, "text": "hi"}
        for message_id in (0, "0", "1"):
            await http.post("/sandbox/one/receive", json={**body, "messageId": message_id})
        ids = [(await listening.next()).provider_message_id for _ in range(2)]
        assert ids == ["0", "1"]


async def test_slow_reader_gets_all_events(node: Node) -> None:
    many = 450
    async with connected(node) as listening:
        await node.people.write("one", received("0"))
        await node.database.execute(
            SQL(
                "insert into sandbox.events (instance_id, due_at, body)"
                " select instance_id, clock_timestamp(),"
                " jsonb_set(body, '{event,provider_message_id}', to_jsonb(n::text))"
                " from sandbox.events, generate_series(1, %(many)s::int) n"
            ),
            many=many,
        )
        await node.store.signal("one")
        delivered_ids = [int((await listening.next()).provider_message_id) for _ in range(many + 1)]
    assert delivered_ids == list(range(many + 1))


async def test_rows_past_their_retention_are_deleted(
    database_url: str,
) -> None:
    async with node_at(database_url) as node:
        async with node.delivering(), connected(node) as listening:
            for name in ("old", "young"):
                await listening.session.send(text(), attempt(name))
            await node.people.change_state("one", ConnectionState.DISCONNECTED)
            await listening.next()
        await node.people.write("one", received("young"))
        await node.people.write("one", received("old"))
        for statement in (
            """insert into sandbox.marks (instance_id, message_id, marks)
               values ('one', 'young', '{}'), ('one', 'old', '{}')""",
            """insert into sandbox.marks (instance_id, message_id, marks, at)
               values ('one', 'not ours', '{}', now() - interval '31 days')""",
            "update sandbox.sent set at = now() - interval '31 days' where message_id = 'old'",
            """update sandbox.events set due_at = now() - interval '31 days'
               where body #>> '{event,provider_message_id}' = 'old'""",
        ):
            assert await node.database.execute(SQL(statement))

    everything = SQL(
        "select 'sent ' || message_id as what from sandbox.sent union all"
        " select 'mark ' || message_id from sandbox.marks union all"
        " select 'event ' || (body #>> '{event,provider_message_id}') from sandbox.events"
    )
    async with node_at(database_url) as node, node.delivering():
        left = {"event old"}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "event old" in left:  # the last to go
                await asyncio.sleep(0.01)
                left = {row["what"] for row in await node.database.fetch_dicts(everything)}
    assert left == {"sent young", "mark young", "event young"}


# --- control ---


@pytest.mark.parametrize(
    ("route", "body", "complaint"),
    [
        ("connection", {"state": "sideways"}, "state: must be one of up, down, logged_out"),
        ("connection", {}, "state: is missing"),
        ("scan", {"phone": "abc"}, "phone: Invalid phone"),
        ("scan", {"fone": FRIEND}, "fone: is not known here"),
        ("receive", {"phone": FRIEND}, "One content is needed"),
        ("receive", {"phone": FRIEND, "text": ""}, "text.message: String should have at least"),
        ("receive", {"phone": FRIEND, "text": "a\0b"}, "NUL"),
        ("faults", {"next": ["nonsense"]}, "next.0.fault: must be one of disconnect_before_send"),
        ("faults", {"next": [{"fault": "slow", "minutes": 1}]}, "next.0.minutes: is not known"),
        ("faults", {"next": "slow"}, "next: must be a valid list"),
        ("faults", [], "The body must be a JSON object"),
    ],
)
async def test_control_body_that_is_wrong_names_the_field(
    node: Node, route: str, body: object, complaint: str
) -> None:
    async with node.http() as http:
        answer = await http.post(f"/sandbox/one/{route}", content=json.dumps(body))
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]


async def test_control_body_that_is_not_json_is_refused(node: Node) -> None:
    async with node.http() as http:
        answer = await http.post("/sandbox/one/scan", content=b"\xff{")
        assert answer.json() == {"error": "The body is not JSON"}
        answer = await http.get("/sandbox/one/sent?limit=10001")
        assert answer.json()["error"].startswith("limit: must be less than or equal to 10000")


async def test_control_of_an_unlinked_phone_is_refused(node: Node) -> None:
    async with node.http() as http:
        for route, body in (
            ("connection", {"state": "up"}),
            ("receive", {"phone": FRIEND, "text": "hi"}),
        ):
            answer = await http.post(f"/sandbox/one/{route}", json=body)
            assert answer.status_code == 400
            assert "scan first" in answer.json()["error"]
    assert await stored_events(node) == 0


async def test_control_routes_require_authorisation(node: Node) -> None:
    async with node.http() as http:
        for method, route in (
            ("POST", "/scan"),
            ("POST", "/connection"),
            ("POST", "/receive"),
            ("POST", "/faults"),
            ("GET", "/sent"),
            ("GET", ""),
        ):
            answer = await http.request(method, f"/sandbox/unknown{route}")
            assert answer.status_code == 404


async def test_journal_is_read_in_pages(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        for message_id in ("A", "B", "C"):
            await listening.session.send(text(message_id), attempt(message_id))
        first = (await http.get("/sandbox/one/sent?limit=2")).json()
        rest = (await http.get(f"/sandbox/one/sent?after={first[-1]['number']}")).json()
    assert [item["messageId"] for item in first + rest] == ["A", "B", "C"]
    keys = {"number", "messageId", "seen", "type", "phone", "payload", "at", "marks"}
    assert set(first[0]) == keys
    assert datetime.fromisoformat(first[0]["at"]).tzinfo


async def test_control_works_without_a_session(node: Node) -> None:
    async with node.http() as http:
        seen = (await http.post("/sandbox/one/scan")).json()
        assert seen == {
            "phone": pairing.phone_number("one"),
            "state": "connected",
            "typing": None,
            "faults": 0,
        }
        await http.post("/sandbox/one/receive", json={"phone": FRIEND, "text": "hi"})
    async with connected(node, spec(paired=False)) as listening:
        assert (await listening.next()).content == {"text": {"message": "hi"}}


async def test_control_reaches_a_session_of_another_node(node: Node, database_url: str) -> None:
    async with (
        node_at(database_url) as other,
        other.delivering(),
        connected(node) as listening,
        other.http() as http,
    ):
        await http.post("/sandbox/one/connection", json={"state": "down"})
        assert (await listening.next()).state is ConnectionState.DISCONNECTED
        await http.post("/sandbox/one/connection", json={"state": "up"})
        assert (await listening.next()).state is ConnectionState.CONNECTED
        await listening.session.send(text(), attempt("A"))
        journal = (await http.get("/sandbox/one/sent")).json()
        assert [item["messageId"] for item in journal] == ["A"]


# --- the delivery loop ---


async def test_one_statement_reads_events_of_many_sessions(database_url: str) -> None:
    names = [f"instance-{number}" for number in range(50)]
    async with node_at(database_url, listen=False) as node, AsyncExitStack() as stack:
        listening = [await stack.enter_async_context(connected(node, spec(name))) for name in names]
        for name in names:
            await node.people.write(name, received(name))
        async with node.delivering():
            for name, each in zip(names, listening, strict=True):
                assert (await each.delivery()).event.provider_message_id == name  # type: ignore[union-attr]
            assert node.store.statements.count("due_events") == 1


async def test_engine_without_events_waits_half_a_minute(database_url: str) -> None:
    class Watched(Clock):
        rests: list[float]

        async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
            self.rests.append(timeout_seconds or 0)
            return await super().wait(event, timeout_seconds)

    clock = Watched()
    clock.rests = []
    async with node_at(database_url, listen=False) as node:
        node.engine = SandboxProvider().start(ProviderContext({}, Path(), clock, node.store))
        async with node.delivering(), connected(node):

            async def resting() -> bool:
                return max(clock.rests, default=0) > 29

            await eventually(resting)
            assert node.store.statements.count("due_events") <= 3


async def test_events_of_a_closed_session_are_skipped(node: Node) -> None:
    async with connected(node), connected(node, spec("two")) as two:
        pass
    await node.people.write("two", received("late"))
    async with connected(node) as one:
        await node.people.write("one", received("hi"))
        assert (await one.next()).provider_message_id == "hi"
        async with connected(node, spec("two")) as two:
            assert (await two.next()).provider_message_id == "late"


async def test_engine_delivers_after_the_database_was_unavailable(node: Node) -> None:
    async with connected(node) as listening:
        node.store.refused_reads = 1
        await node.people.write("one", received("hi"))
        assert (await listening.next()).provider_message_id == "hi"
        assert node.store.refused_reads == 0


async def test_session_with_a_lapsed_lease_gets_no_events(node: Node) -> None:
    until = float("inf")
    async with connected(node, replace(spec(), may_act_until=lambda: until)) as listening:
        until = 0.0
        await node.people.write("one", received("hi"))
        looks = node.store.statements.count("due_events")

        async def read_again() -> bool:
            return node.store.statements.count("due_events") > looks + 1

        await eventually(read_again)
        assert not listening.session.in_flight
        until = float("inf")
        assert (await listening.next()).provider_message_id == "hi"


async def test_lease_that_lapses_during_the_read_gets_no_events(node: Node) -> None:
    until = float("inf")

    def lapse() -> None:
        nonlocal until
        until = 0.0

    async with connected(node, replace(spec(), may_act_until=lambda: until)) as listening:
        node.store.after_due = lapse
        await node.people.write("one", received("hi"))

        async def read_again() -> bool:
            return until == 0.0 and node.store.statements.count("due_events") > reads

        reads = node.store.statements.count("due_events") + 1
        await eventually(read_again)
        assert not listening.session.in_flight
        node.store.after_due = lambda: None
        until = float("inf")
        assert (await listening.next()).provider_message_id == "hi"


def received(message_id: str) -> Mapping[str, Any]:
    moment = Moment(datetime.now(UTC), message_id)
    return event_body(ReceiveBody.model_validate({"phone": FRIEND, "text": "hi"}).event(moment))


# --- linking ---


async def test_disconnect_unlinks_until_the_next_scan(node: Node) -> None:
    async with connected(node) as listening:
        assert await listening.session.execute(ReadQrCode()) == AlreadyConnected()
        assert (await listening.session.execute(ReadDevice())).phone == pairing.phone_number("one")
        assert await listening.session.execute(Disconnect()) == Value()
        assert (await listening.next()).state is ConnectionState.LOGGED_OUT
        assert await listening.session.execute(RestoreSession()) == Value(value=False)
        with pytest.raises(NotConnected, match="scan the QR code again"):
            await listening.session.execute(ReadDevice())
        shown = await listening.session.execute(ReadQrCode())
        assert isinstance(shown, QrCode)
        assert shown.value == shown.qr_code == listening.session.qr_text()
        code = await listening.session.execute(ReadPhoneCode(phone=FRIEND))
        assert code == PhoneCode(code=listening.session.pairing_code(FRIEND))
        await node.people.scan("one", None)
        assert (await listening.next()).state is ConnectionState.CONNECTED


async def test_restore_session_connects_a_disconnected_phone(node: Node) -> None:
    async with connected(node) as listening:
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        assert (await listening.next()).state is ConnectionState.DISCONNECTED
        assert await listening.session.execute(RestoreSession()) == Value()
        assert (await listening.next()).state is ConnectionState.CONNECTED


async def test_replaced_session_cannot_change_the_phone(node: Node) -> None:
    async with connected(node, spec(epoch=2)), opened(node, spec(epoch=1)) as late:
        steering: tuple[Operation[Any], ...] = (
            ReadQrCode(),
            ReadPhoneCode(phone=FRIEND),
            Disconnect(),
            RestoreSession(),
            ReadDevice(),
        )
        for asked in steering:
            with pytest.raises(NotConnected, match="opened elsewhere"):
                await late.session.execute(asked)
    assert (await node.people.look("one")).state is ConnectionState.CONNECTED


async def stored_events(node: Node) -> int:
    (row,) = await node.database.fetch_dicts(
        SQL("select count(*) as kept from sandbox.events where instance_id = 'one'")
    )
    return int(row["kept"])
