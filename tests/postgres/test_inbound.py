"""Every event is stored once and processed in order, and none is lost."""

import asyncio
import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from gateway.errors import NotConnected, Refused
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged
from gateway.sessions.reachability import NetworkFault
from tests.fixtures.inbound import INSTANCE, NOW, OWN_PHONE, InboundSession, inbound_session
from tests.fixtures.patience import PATIENCE_SECONDS

ANA, LID, GROUP = "5511988888888", "81896604192873@lid", "120363019502650977-group"
RUI, RUIS_LID = "5511977777777", "71896604192873@lid"


async def test_inbound_repeated_message_has_one_callback(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        for event_id in ("one", "one", "two"):
            await session.simulate("receive", event_id, phone=ANA, messageId="M", text="hi")
        await session.simulate("receive", phone=ANA, messageId="N", text="hi")

        assert [body["messageId"] for body in await session.callbacks()] == ["M", "N"]
        assert len(await session.history_rows()) == 2


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("presence", {"phone": ANA, "status": "composing"}),
        ("call", {"phone": ANA, "callId": "C"}),
        ("notification", {"phone": ANA, "kind": "profile-name-updated"}),
        ("notification", {"phone": GROUP, "kind": "group-create", "messageId": "M"}),
    ],
)
async def test_inbound_repeated_event_has_one_callback(
    database_url: str, what: str, body: dict[str, Any]
) -> None:
    async with inbound_session(database_url) as session:
        for _ in range(3):
            await session.simulate(what, "the same", **body)

        assert len(await session.callbacks()) == 1


async def test_inbound_waiting_message_is_replaced_once(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        waiting: dict[str, Any] = {
            "phone": ANA,
            "messageId": "M",
            "waiting": True,
            "viewOnce": True,
        }
        for _ in range(2):
            await session.simulate("receive", **waiting)
        for _ in range(2):
            await session.simulate("receive", phone=ANA, messageId="M", text="at last")
        await session.simulate("receive", **waiting)

        first, second = await session.callbacks()
        assert (first["waitingMessage"], first["viewOnce"]) == (True, True)
        assert (second["waitingMessage"], second["text"]) == (False, {"message": "at last"})
        assert await session.history_rows() == [("M", "text", {"text": {"message": "at last"}})]


async def test_inbound_names_lid_and_phone_once_both_are_known(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("receive", phone=LID, text="who am I?")
        await session.simulate("identity", lid=LID, phone=ANA, name="Ana")
        await session.simulate("receive", phone=LID, text="me")
        await session.simulate("receive", phone=ANA, text="me again")
        await session.simulate("receive", phone=ANA, chat=GROUP, text="and here")

        before, by_lid, by_phone, in_group = await session.callbacks()
        assert (before["phone"], before["chatLid"]) == (LID, LID)
        for body in (by_lid, by_phone):
            assert (body["phone"], body["chatLid"], body["senderName"]) == (ANA, LID, "Ana")
        assert (in_group["participantPhone"], in_group["participantLid"]) == (ANA, LID)


async def test_inbound_phone_belongs_to_its_newest_lid(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("identity", lid=LID, phone=ANA)
        await session.simulate("receive", phone=ANA, lid=RUIS_LID, text="mine now")
        await session.simulate("receive", phone=LID, text="where is my number?")
        await session.simulate("receive", phone=ANA, text="here")

        mine, hers, again = await session.callbacks()
        assert (mine["phone"], mine["chatLid"]) == (ANA, RUIS_LID)
        assert (hers["phone"], hers["chatLid"]) == (LID, LID)
        assert (again["phone"], again["chatLid"]) == (ANA, RUIS_LID)


async def test_inbound_edit_names_and_changes_the_original(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("receive", phone=ANA, messageId="M", text="helo")
        await session.simulate(
            "receive", phone=ANA, messageId="E", text="hello", edit=True, refersTo="M"
        )

        _, edit = await session.callbacks()
        assert (edit["isEdit"], edit["messageId"], edit["editMessageId"]) == (True, "M", "E")
        contents = {row[0]: row[2]["text"]["message"] for row in await session.history_rows()}
        assert contents == {"M": "hello", "E": "hello"}


async def test_inbound_shows_gateway_ids_for_provider_ids(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.operator.execute(
            """with m as (
                   insert into messages (instance_id, message_id, created_at, version, from_me,
                       status, phone, type, payload, sent_at)
                   select id, 'GATEWAY-ID', now(), 1, true, 'sent', %s, 'send-text', '{}', now()
                   from instances returning instance_id, message_id, recorded_at)
               insert into message_ids (instance_id, message_id, recorded_at, provider_message_id)
               select instance_id, message_id, recorded_at, 'PROVIDER-ID' from m""",
            [ANA],
        )
        await session.simulate("receive", phone=ANA, kind="reaction", refersTo="PROVIDER-ID")
        await session.simulate("receive", phone=ANA, text="yes", quotes="PROVIDER-ID")
        await session.simulate("receipt", phone=ANA, messageIds=["PROVIDER-ID"], status="read")
        await session.simulate(
            "receive", phone=ANA, messageId="PROVIDER-ID", text="an echo", fromMe=True
        )

        reaction, reply, status = await session.callbacks()
        assert reaction["reaction"]["referencedMessage"] == {
            "messageId": "GATEWAY-ID",
            "fromMe": True,
            "phone": ANA,
        }
        assert reply["referenceMessageId"] == "GATEWAY-ID"
        assert status["ids"] == ["GATEWAY-ID"]


async def test_inbound_own_message_has_a_callback_if_wanted(database_url: str) -> None:
    async with inbound_session(database_url, notify=False) as session:
        await session.simulate("receive", phone=ANA, text="hi", fromMe=True)
        await session.simulate("notification", phone=OWN_PHONE, kind="profile-name-updated")

        assert [body.get("notification") for body in await session.callbacks()] == [
            "PROFILE_NAME_UPDATED"
        ]
        assert len(await session.history_rows()) == 1


async def test_inbound_group_receipt_is_sent_once_per_person(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate(
            "receive", phone=ANA, chat=GROUP, messageId="M", text="hi", fromMe=True
        )
        await session.callbacks()
        for who in (ANA, RUI, ANA):
            for status in ("delivered", "read", "delivered"):
                await session.simulate(
                    "receipt", phone=GROUP, messageIds=["M"], status=status, by=who
                )

        states = [(b["participantPhone"], b["status"]) for b in await session.callbacks()]
        assert states == [(ANA, "RECEIVED"), (ANA, "READ"), (RUI, "RECEIVED"), (RUI, "READ")]


async def test_inbound_file_delays_its_own_chat_only(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        session.receiver.may_store.clear()
        await session.simulate("receive", phone=ANA, messageId="1", kind="image")
        await session.simulate("receive", phone=ANA, messageId="2", text="look")
        await session.simulate("receive", phone=RUI, messageId="3", text="meanwhile")
        cursor = await session.operator.execute(
            "select body::jsonb ->> 'messageId' from webhook_outbox where chat <> 'connection'"
        )
        assert await cursor.fetchall() == [("3",)]

        session.receiver.may_store.set()
        meanwhile, picture, text = await session.callbacks()
        assert [b["messageId"] for b in (meanwhile, picture, text)] == ["3", "1", "2"]
        assert picture["image"]["imageUrl"] == "https://gateway.example/media/file"


async def test_inbound_file_that_fails_has_a_download_error(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        session.receiver.failure = Refused("The file is gone.")
        await session.simulate("receive", phone=ANA, kind="audio")

        (body,) = await session.callbacks()
        assert body["audio"]["downloadError"] == "The file is gone."
        assert "audioUrl" not in body["audio"]


async def test_inbound_next_session_processes_pending_events(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        session.receiver.failure = NotConnected("away")
        await session.simulate("receive", phone=ANA, messageId="1", kind="document")
        await session.simulate("receive", phone=ANA, messageId="2", text="see")
        await session.finished()
        assert await session.callbacks() == []

    async with inbound_session(database_url, new=False) as session:
        assert [body["messageId"] for body in await session.callbacks()] == ["1", "2"]


async def test_inbound_reconnection_resumes_pending_events(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        session.receiver.failure = NotConnected("away")
        await session.simulate("receive", phone=ANA, messageId="1", kind="video")
        await session.finished()
        session.receiver.failure = None
        await session.report(ConnectionChanged(ConnectionState.CONNECTED, NOW, OWN_PHONE))

        assert [body["messageId"] for body in await session.callbacks()] == ["1"]


async def test_inbound_receipt_waits_for_its_message_record(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await _start(session, "M")
        await session.simulate("receipt", phone=ANA, messageIds=["M"], status="delivered")
        assert session.intake.chat_queues.tasks
        await _record(session, "M")

        (status,) = await session.callbacks()
        assert (status["status"], status["ids"]) == ("RECEIVED", ["M"])


async def test_inbound_receipt_of_two_waits_for_both_records(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await _start(session, "A")
        await _record(session, "A")
        await _start(session, "B")
        await session.simulate("receipt", phone=ANA, messageIds=["A", "B"], status="delivered")
        assert session.intake.chat_queues.tasks
        await _record(session, "B")

        ids = [status["ids"] for status in await session.callbacks()]
        assert sorted(itertools.chain(*ids)) == ["A", "B"]


async def test_inbound_receipt_has_one_callback_per_reference(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        for message_id, track_id in (("A", "order 1"), ("B", None), ("C", "order 1")):
            await _start(session, message_id, track_id)
            await _record(session, message_id)
        await session.simulate("receipt", phone=ANA, messageIds=["A", "B", "C"], status="read")

        bodies = await session.callbacks()
        assert [(b["ids"], b["messageId"], b.get("trackId")) for b in bodies] == [
            (["A", "C"], "A", "order 1"),
            (["B"], "B", None),
        ]
        assert {b["status"] for b in bodies} == {"READ"}


async def _start(session: InboundSession, message_id: str, track_id: str | None = None) -> None:
    """Starts an attempt, as a worker does."""
    await session.operator.execute(
        """insert into message_queue (instance_id, zaap_id, message_id, type, payload,
               version, phone, priority, position, sequence_number, status, attempts,
               max_attempts, due_at, claimed_epoch, attempt_started_at)
           select id, 'Z', %s, 'send-text', %s, 1, %s, 1, 1, 1, 'processing', 1, 3,
               now(), 1, now()
           from instances""",
        [message_id, Jsonb({"track_id": track_id} if track_id else {}), ANA],
    )


async def _record(session: InboundSession, message_id: str) -> None:
    """Records the message as sent, as a worker does."""
    await session.operator.execute(
        """with q as (delete from message_queue where message_id = %s returning *), m as (
               insert into messages (instance_id, message_id, created_at, version, from_me,
                   status, phone, type, payload, sent_at)
               select instance_id, message_id, now(), 1, true, 'sent', phone, type, payload, now()
               from q returning instance_id, message_id, recorded_at)
           insert into message_ids (instance_id, message_id, recorded_at)
           select instance_id, message_id, recorded_at from m""",
        [message_id],
    )


async def test_inbound_history_is_stored_without_callbacks(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate(
            "history",
            messages=[{"phone": ANA, "messageId": str(n), "text": "old"} for n in range(50)],
        )

        assert await session.callbacks() == []
        assert len(await session.history_rows()) == 50


async def test_inbound_chat_list_sets_names_and_unread_counts(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("receive", phone=RUI, messageId="now", text="after the linking")
        before, long_before = NOW - timedelta(hours=1), NOW - timedelta(days=9)
        await session.simulate(
            "history",
            messages=[
                {"phone": who, "messageId": f"{who} {n}", "text": "old"}
                for who in (ANA, RUI)
                for n in range(5)
            ],
            chats=[
                {"phone": LID, "lid": LID, "name": "Bia", "lastMessageAt": before, "unread": 3},
                {"phone": RUI, "name": "Rui Costa", "lastMessageAt": before, "unread": 2},
                {"phone": GROUP, "name": "Team", "lastMessageAt": long_before},
            ],
        )
        await session.simulate("receive", phone=GROUP, text="and one more", messageId="then")
        await session.simulate("identity", lid=LID, phone="5511966666666")
        again = {"lid": LID, "phone": LID, "lastMessageAt": NOW, "unread": 4}
        await session.simulate("history", chats=[again])

        cursor = await session.operator.execute(
            "select phone, name, unread, last_message_at from chats order by phone"
        )
        assert await cursor.fetchall() == [
            (GROUP, "Team", 1, NOW),
            ("5511966666666", "Bia", 4, NOW),  # the chat of the lid moved to the number
            (RUI, "Rui Costa", 1, NOW),
            (ANA, None, 0, NOW),
        ]
        assert len(await session.callbacks()) == 2


async def test_inbound_failed_event_is_stored_and_passed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inbound_session(database_url) as session:
        monkeypatch.setattr("gateway.sessions.inbound.receiving.with_files", _fail_at_locations)
        await session.simulate("receive", phone=ANA, messageId="1", kind="location")
        await session.simulate("receive", phone=ANA, messageId="2", text="next")
        assert [body["messageId"] for body in await session.callbacks()] == ["2"]
        cursor = await session.operator.execute(
            "select error, body is not null from inbox where error is not null"
        )
        assert await cursor.fetchall() == [("RuntimeError", True)]

        monkeypatch.undo()
        await session.report(ConnectionChanged(ConnectionState.CONNECTED, NOW, OWN_PHONE))
        assert [body["messageId"] for body in await session.callbacks()] == ["1"]


async def test_inbound_deletes_processed_then_failed_events(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inbound_session(database_url) as session:
        monkeypatch.setattr("gateway.sessions.inbound.receiving.with_files", _fail_at_locations)
        for age in ("1 day", "3 days", "29 days", "31 days"):
            await session.simulate("receive", f"fails {age}", phone=ANA, kind="location")
            await session.simulate("receive", f"works {age}", phone=RUI, text="hi")
            await session.finished()
            await session.operator.execute(
                """update inbox set taken_at = now() - %(age)s::interval
                   where event_id in ('fails ' || %(age)s, 'works ' || %(age)s)""",
                {"age": age},
            )

        await session.inbound.delete_expired()

        cursor = await session.operator.execute(
            "select event_id from inbox where event_id ~ '(fails|works)' order by position"
        )
        assert [event_id for (event_id,) in await cursor.fetchall()] == [
            "fails 1 day",
            "works 1 day",
            "fails 3 days",
            "fails 29 days",
        ]


def _fail_at_locations(content: Any, _files: Any) -> Any:
    if "location" in content:
        raise RuntimeError
    return content


async def test_inbound_drops_nul_characters(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("receive", phone=ANA, text="a\0b", senderName="A\0na")

        (body,) = await session.callbacks()
        assert (body["text"], body["senderName"]) == ({"message": "ab"}, "Ana")


async def test_inbound_loop_deletes_old_events(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("receive", phone=ANA, text="hi")
        await session.operator.execute("update inbox set taken_at = now() - interval '3 days'")
        stopping = asyncio.Event()
        part = asyncio.create_task(session.inbound.run_until(stopping))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                cursor = await session.operator.execute("select count(*) from inbox")
                if await cursor.fetchone() == (0,):
                    break
                await asyncio.sleep(0.02)
        stopping.set()
        await part


async def test_inbound_failing_proxy_is_reported_once(database_url: str) -> None:
    reason = NetworkFault.PROXY.sentence("web.whatsapp.com", 443)
    async with inbound_session(database_url) as session:
        await session.operator.execute(
            "insert into callback_settings (instance_id, proxy_url) values (%s, 'https://x.example')",
            [INSTANCE],
        )
        for said in (reason, reason, "The phone is offline.", reason):
            state = ConnectionState.DISCONNECTED
            await session.report(ConnectionChanged(state, NOW, reason=said))
        cursor = await session.operator.execute(
            "select body from webhook_outbox where type = 'ProxyFailureCallback' order by position"
        )
        bodies = [json.loads(body) for (body,) in await cursor.fetchall()]

    assert [body["error"] for body in bodies] == [reason, reason]
    assert bodies[0]["type"] == "ProxyFailureCallback"
