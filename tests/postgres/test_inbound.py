"""What a session tells: written once, settled in order, lost never."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import NotConnected, Refused
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged
from tests.fixtures.inbound import NOW, OWN_PHONE, Listener, listener_at
from tests.fixtures.patience import PATIENCE_SECONDS

ANA, LID, GROUP = "5511988888888", "81896604192873@lid", "120363019502650977-group"
RUI, RUIS_LID = "5511977777777", "71896604192873@lid"


async def test_a_repeated_message_is_told_once(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        for event_id in ("one", "one", "two"):
            await listener.happens("receive", event_id, phone=ANA, messageId="M", text="hi")
        await listener.happens("receive", phone=ANA, messageId="N", text="hi")

        assert [body["messageId"] for body in await listener.told()] == ["M", "N"]
        assert len(await listener.kept_rows()) == 2


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("presence", {"phone": ANA, "status": "composing"}),
        ("call", {"phone": ANA, "callId": "C"}),
        ("notification", {"phone": ANA, "kind": "profile-name-updated"}),
        ("notification", {"phone": GROUP, "kind": "group-create", "messageId": "M"}),
    ],
)
async def test_any_repeated_event_is_told_once(
    database_url: str, what: str, body: dict[str, Any]
) -> None:
    async with listener_at(database_url) as listener:
        for _ in range(3):
            await listener.happens(what, "the same", **body)

        assert len(await listener.told()) == 1


async def test_what_could_not_be_read_is_replaced_once(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        waiting: dict[str, Any] = {
            "phone": ANA,
            "messageId": "M",
            "waiting": True,
            "viewOnce": True,
        }
        for _ in range(2):
            await listener.happens("receive", **waiting)
        for _ in range(2):
            await listener.happens("receive", phone=ANA, messageId="M", text="at last")
        await listener.happens("receive", **waiting)

        first, second = await listener.told()
        assert (first["waitingMessage"], first["viewOnce"]) == (True, True)
        assert (second["waitingMessage"], second["text"]) == (False, {"message": "at last"})
        assert await listener.kept_rows() == [("M", "text", {"text": {"message": "at last"}})]


async def test_lid_and_phone_are_told_together_once_both_are_known(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.happens("receive", phone=LID, text="who am I?")
        await listener.happens("identity", lid=LID, phone=ANA, name="Ana")
        await listener.happens("receive", phone=LID, text="me")
        await listener.happens("receive", phone=ANA, text="me again")
        await listener.happens("receive", phone=ANA, chat=GROUP, text="and here")

        before, by_lid, by_phone, in_group = await listener.told()
        assert (before["phone"], before["chatLid"]) == (LID, LID)
        for body in (by_lid, by_phone):
            assert (body["phone"], body["chatLid"], body["senderName"]) == (ANA, LID, "Ana")
        assert (in_group["participantPhone"], in_group["participantLid"]) == (ANA, LID)


async def test_a_phone_that_changed_hands_belongs_to_the_newest_lid(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.happens("identity", lid=LID, phone=ANA)
        await listener.happens("receive", phone=ANA, lid=RUIS_LID, text="mine now")
        await listener.happens("receive", phone=LID, text="where is my number?")
        await listener.happens("receive", phone=ANA, text="here")

        mine, hers, again = await listener.told()
        assert (mine["phone"], mine["chatLid"]) == (ANA, RUIS_LID)
        assert (hers["phone"], hers["chatLid"]) == (LID, LID)
        assert (again["phone"], again["chatLid"]) == (ANA, RUIS_LID)


async def test_an_edit_names_the_original_and_changes_how_it_reads(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.happens("receive", phone=ANA, messageId="M", text="helo")
        await listener.happens(
            "receive", phone=ANA, messageId="E", text="hello", edit=True, refersTo="M"
        )

        _, edit = await listener.told()
        assert (edit["isEdit"], edit["messageId"], edit["editMessageId"]) == (True, "M", "E")
        contents = {row[0]: row[2]["text"]["message"] for row in await listener.kept_rows()}
        assert contents == {"M": "hello", "E": "hello"}


async def test_our_own_ids_are_spoken_where_the_provider_has_others(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.operator.execute(
            """with m as (
                   insert into messages (instance_id, message_id, created_at, version, from_me,
                       status, phone, type, payload, sent_at)
                   select id, 'OURS', now(), 1, true, 'sent', %s, 'send-text', '{}', now()
                   from instances returning instance_id, message_id, recorded_at)
               insert into message_ids (instance_id, message_id, recorded_at, provider_message_id)
               select instance_id, message_id, recorded_at, 'THEIRS' from m""",
            [ANA],
        )
        await listener.happens("receive", phone=ANA, kind="reaction", refersTo="THEIRS")
        await listener.happens("receive", phone=ANA, text="yes", quotes="THEIRS")
        await listener.happens("receipt", phone=ANA, messageIds=["THEIRS"], status="read")
        await listener.happens(
            "receive", phone=ANA, messageId="THEIRS", text="an echo", fromMe=True
        )

        reaction, reply, status = await listener.told()
        assert reaction["reaction"]["referencedMessage"] == {
            "messageId": "OURS",
            "fromMe": True,
            "phone": ANA,
        }
        assert reply["referenceMessageId"] == "OURS"
        assert status["ids"] == ["OURS"]


async def test_what_is_written_on_the_phone_is_told_to_those_who_asked(database_url: str) -> None:
    async with listener_at(database_url, notify=False) as listener:
        await listener.happens("receive", phone=ANA, text="hi", fromMe=True)
        await listener.happens("notification", phone=OWN_PHONE, kind="profile-name-updated")

        assert [body.get("notification") for body in await listener.told()] == [
            "PROFILE_NAME_UPDATED"
        ]
        assert len(await listener.kept_rows()) == 1


async def test_in_a_group_each_participant_is_told_once_for_each_state(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.happens(
            "receive", phone=ANA, chat=GROUP, messageId="M", text="hi", fromMe=True
        )
        await listener.told()
        for who in (ANA, RUI, ANA):
            for status in ("delivered", "read", "delivered"):
                await listener.happens(
                    "receipt", phone=GROUP, messageIds=["M"], status=status, by=who
                )

        told = [(b["participantPhone"], b["status"]) for b in await listener.told()]
        assert told == [(ANA, "RECEIVED"), (ANA, "READ"), (RUI, "RECEIVED"), (RUI, "READ")]


async def test_a_file_holds_up_its_own_chat_and_no_other(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        listener.receiver.gives.clear()
        await listener.happens("receive", phone=ANA, messageId="1", kind="image")
        await listener.happens("receive", phone=ANA, messageId="2", text="look")
        await listener.happens("receive", phone=RUI, messageId="3", text="meanwhile")
        cursor = await listener.operator.execute(
            "select body::jsonb ->> 'messageId' from webhook_outbox where chat <> 'connection'"
        )
        assert await cursor.fetchall() == [("3",)]

        listener.receiver.gives.set()
        meanwhile, picture, text = await listener.told()
        assert [b["messageId"] for b in (meanwhile, picture, text)] == ["3", "1", "2"]
        assert picture["image"]["imageUrl"] == "https://gateway.example/media/file"


async def test_a_file_that_cannot_be_had_says_why(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        listener.receiver.failure = Refused("The file is gone.")
        await listener.happens("receive", phone=ANA, kind="audio")

        (body,) = await listener.told()
        assert body["audio"]["downloadError"] == "The file is gone."
        assert "audioUrl" not in body["audio"]


async def test_what_was_not_settled_is_settled_by_the_next_session(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        listener.receiver.failure = NotConnected("away")
        await listener.happens("receive", phone=ANA, messageId="1", kind="document")
        await listener.happens("receive", phone=ANA, messageId="2", text="see")
        await listener.settled()
        assert await listener.told() == []

    async with listener_at(database_url, new=False) as listener:
        assert [body["messageId"] for body in await listener.told()] == ["1", "2"]


async def test_it_goes_on_when_the_connection_is_back(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        listener.receiver.failure = NotConnected("away")
        await listener.happens("receive", phone=ANA, messageId="1", kind="video")
        await listener.settled()
        listener.receiver.failure = None
        await listener.tell(ConnectionChanged(ConnectionState.CONNECTED, NOW, OWN_PHONE))

        assert [body["messageId"] for body in await listener.told()] == ["1"]


async def test_a_receipt_waits_for_the_record_of_its_message(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await _start(listener, "M")
        await listener.happens("receipt", phone=ANA, messageIds=["M"], status="delivered")
        assert listener.intake.lines.tasks
        await _record(listener, "M")

        (status,) = await listener.told()
        assert (status["status"], status["ids"]) == ("RECEIVED", ["M"])


async def test_a_receipt_of_two_waits_for_the_one_that_is_not_recorded(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await _start(listener, "A")
        await _record(listener, "A")
        await _start(listener, "B")
        await listener.happens("receipt", phone=ANA, messageIds=["A", "B"], status="delivered")
        assert listener.intake.lines.tasks
        await _record(listener, "B")

        ids = [status["ids"] for status in await listener.told()]
        assert sorted(itertools.chain(*ids)) == ["A", "B"]


async def _start(listener: Listener, message_id: str) -> None:
    """As a worker does before it sends."""
    await listener.operator.execute(
        """insert into message_queue (instance_id, zaap_id, message_id, type, payload,
               version, phone, priority, position, sequence_number, status, attempts,
               max_attempts, due_at, claimed_epoch, attempt_started_at)
           select id, 'Z', %s, 'send-text', '{}', 1, %s, 1, 1, 1, 'processing', 1, 3,
               now(), 1, now()
           from instances""",
        [message_id, ANA],
    )


async def _record(listener: Listener, message_id: str) -> None:
    """As a worker does once it is sent."""
    await listener.operator.execute(
        """with q as (delete from message_queue where message_id = %s returning *), m as (
               insert into messages (instance_id, message_id, created_at, version, from_me,
                   status, phone, type, payload, sent_at)
               select instance_id, message_id, now(), 1, true, 'sent', phone, type, '{}', now()
               from q returning instance_id, message_id, recorded_at)
           insert into message_ids (instance_id, message_id, recorded_at)
           select instance_id, message_id, recorded_at from m""",
        [message_id],
    )


async def test_history_is_kept_and_not_told(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.happens(
            "history",
            messages=[{"phone": ANA, "messageId": str(n), "text": "old"} for n in range(50)],
        )

        assert await listener.told() == []
        assert len(await listener.kept_rows()) == 50


async def test_chats_are_known_by_what_the_phone_lists(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.happens("receive", phone=RUI, messageId="now", text="after the linking")
        before, long_before = NOW - timedelta(hours=1), NOW - timedelta(days=9)
        await listener.happens(
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
        await listener.happens("receive", phone=GROUP, text="and one more", messageId="then")
        await listener.happens("identity", lid=LID, phone="5511966666666")
        again = {"lid": LID, "phone": LID, "lastMessageAt": NOW, "unread": 4}
        await listener.happens("history", chats=[again])

        cursor = await listener.operator.execute(
            "select phone, name, unread, last_message_at from chats order by phone"
        )
        assert await cursor.fetchall() == [
            (GROUP, "Team", 1, NOW),
            ("5511966666666", None, 4, NOW),
            (RUI, "Rui Costa", 1, NOW),
            (ANA, None, 0, NOW),
            (LID, "Bia", 3, before),
        ]
        assert len(await listener.told()) == 2


async def test_an_event_we_fail_at_is_kept_and_its_chat_goes_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listener_at(database_url) as listener:
        monkeypatch.setattr("gateway.sessions.inbound.receiving.with_files", _fail_at_places)
        await listener.happens("receive", phone=ANA, messageId="1", kind="location")
        await listener.happens("receive", phone=ANA, messageId="2", text="next")
        assert [body["messageId"] for body in await listener.told()] == ["2"]
        cursor = await listener.operator.execute(
            "select error, body is not null from inbox where error is not null"
        )
        assert await cursor.fetchall() == [("RuntimeError", True)]

        monkeypatch.undo()
        await listener.tell(ConnectionChanged(ConnectionState.CONNECTED, NOW, OWN_PHONE))
        assert [body["messageId"] for body in await listener.told()] == ["1"]


async def test_what_is_settled_is_forgotten_soon_and_what_is_beyond_us_after_a_month(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listener_at(database_url) as listener:
        monkeypatch.setattr("gateway.sessions.inbound.receiving.with_files", _fail_at_places)
        for age in ("1 day", "3 days", "29 days", "31 days"):
            await listener.happens("receive", f"fails {age}", phone=ANA, kind="location")
            await listener.happens("receive", f"works {age}", phone=RUI, text="hi")
            await listener.settled()
            await listener.operator.execute(
                """update inbox set taken_at = now() - %(age)s::interval
                   where event_id in ('fails ' || %(age)s, 'works ' || %(age)s)""",
                {"age": age},
            )

        await listener.inbound.forget()

        cursor = await listener.operator.execute(
            "select event_id from inbox where event_id ~ '(fails|works)' order by position"
        )
        assert [event_id for (event_id,) in await cursor.fetchall()] == [
            "fails 1 day",
            "works 1 day",
            "fails 3 days",
            "fails 29 days",
        ]


def _fail_at_places(content: Any, _files: Any) -> Any:
    if "location" in content:
        raise RuntimeError
    return content


async def test_a_nul_character_does_not_stop_the_line(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.happens("receive", phone=ANA, text="a\0b", senderName="A\0na")

        (body,) = await listener.told()
        assert (body["text"], body["senderName"]) == ({"message": "ab"}, "Ana")


async def test_settled_events_are_forgotten_after_days(database_url: str) -> None:
    async with listener_at(database_url) as listener:
        await listener.happens("receive", phone=ANA, text="hi")
        await listener.operator.execute("update inbox set taken_at = now() - interval '3 days'")
        stopping = asyncio.Event()
        part = asyncio.create_task(listener.inbound.run_until(stopping))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                cursor = await listener.operator.execute("select count(*) from inbox")
                if await cursor.fetchone() == (0,):
                    break
                await asyncio.sleep(0.02)
        stopping.set()
        await part
