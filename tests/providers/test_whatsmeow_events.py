"""Events of the library, built by its own protobuf classes, become events of the port."""

import importlib.util
import sys
import types
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from structlog.testing import capture_logs

from gateway.providers.whatsmeow.child.frames import Json
from gateway.sessions.provider import (
    CallChanged,
    Event,
    HistoryChat,
    HistoryReceived,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    PictureChanged,
    PresenceChanged,
)
from gateway.whatsapp_web.calls import Calls
from gateway.whatsapp_web.inbound import STORED_EVENTS, UnreadableEvent, events_of
from gateway.whatsapp_web.session import StoredEvent

# The package itself would load the library in Go, which belongs into no process of tests.
_found = importlib.util.find_spec("neonize")
assert _found
_bare = types.ModuleType("neonize")
_bare.__path__ = list(_found.submodule_search_locations or ())
sys.modules.setdefault("neonize", _bare)
KINDS = importlib.import_module("neonize.proto.Neonize_pb2")

AT = datetime(2026, 11, 21, tzinfo=UTC)
SECONDS = int(AT.timestamp())
ME, ANA, BOB = "5511900000001", "5511900000002", "5511900000003"


def jid(user: str, server: str = "s.whatsapp.net", device: int = 0) -> dict[str, Any]:
    return {
        "User": user,
        "RawAgent": 0,
        "Device": device,
        "Integrator": 0,
        "Server": server,
        "IsEmpty": False,
    }


GROUP = jid("120363000000000001", "g.us")
GROUP_CHAT = "120363000000000001-group"
LID = jid("900000000000002", "lid")


class Library:
    """Knows one message of the gateway, whose id at WhatsApp is `THEIRS`."""

    own_phone = ME

    def __init__(self) -> None:
        self.calls = Calls()

    async def call(self, verb: str, **arguments: Json) -> Json:
        raise AssertionError(f"{verb} {arguments}")

    async def message_ids(self, provider_ids: Sequence[str]) -> list[str]:
        return ["OURS" if each == "THEIRS" else each for each in provider_ids]

    async def add_poll(self, provider_id: str, options: Sequence[str]) -> None: ...

    async def poll_options(self, provider_id: str) -> list[str]:
        raise AssertionError(provider_id)


async def reported(name: str, library: Library | None = None, **body: Any) -> list[Event]:
    """Builds an event; refuses fields that the library's protobuf does not have."""
    assert name in STORED_EVENTS
    message = getattr(KINDS, name)()
    ParseDict(body, message.Data if name == "HistorySync" else message)
    return await events_of(StoredEvent(7, AT, name, body), library or Library())


def source(**fields: Any) -> dict[str, Any]:
    return {"Chat": jid(ANA), "Sender": jid(ANA), "IsFromMe": False, "IsGroup": False, **fields}


def information(**fields: Any) -> dict[str, Any]:
    base = {"ID": "M1", "Timestamp": str(SECONDS * 1000), "MessageSource": source()}
    return base | fields


@pytest.mark.parametrize("name", sorted(STORED_EVENTS - {"HistorySync"} | {"Unreadable"}))
async def test_event_of_an_unknown_form_is_unreadable(name: str) -> None:
    fields = "Info Message MessageIDs MessageSource basicCallMeta JID From Join"
    body = dict.fromkeys(fields.split(), 1)
    with pytest.raises(UnreadableEvent, match=name):
        await events_of(StoredEvent(7, AT, name, body), Library())


async def test_undecryptable_message_waits_unless_it_is_hidden() -> None:
    (event,) = await reported("UndecryptableMessage", Info=information(), IsUnavailable=False)
    assert isinstance(event, MessageReceived)
    assert (event.is_waiting, event.content, event.at, event.chat) == (True, {}, AT, ANA)
    hidden: dict[str, Any] = {"Info": information(), "DecryptFailMode": "DECRYPT_FAIL_HIDE"}
    assert await reported("UndecryptableMessage", **hidden) == []


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ({"conversation": "hi"}, 0),
        ({"extendedTextMessage": {"text": "hi", "contextInfo": {"stanzaID": "X"}}}, 0),
        ({"extendedTextMessage": {"text": "hi", "contextInfo": {"expiration": 86400}}}, 86_400),
        ({"reactionMessage": {"text": "+", "key": {"ID": "X"}}}, None),
    ],
)
async def test_message_says_after_how_long_it_disappears(
    message: dict[str, Any], seconds: int | None
) -> None:
    (event,) = await reported("Message", Info=information(), Message=message)
    assert isinstance(event, MessageReceived)
    assert event.expiration_seconds == seconds


async def test_read_on_another_device_is_by_me_and_names_it() -> None:
    from_me = source(IsFromMe=True, Sender=jid(ME, device=3))
    body: dict[str, Any] = {
        "MessageIDs": ["M1"],
        "Timestamp": str(SECONDS),
        "MessageSource": from_me,
    }
    (event,) = await reported("Receipt", **body, Type="READ_SELF")
    assert isinstance(event, MessageAcknowledged)
    assert (event.status, event.device, event.by) == ("read_by_me", 3, None)
    assert await reported("Receipt", **body, Type="READ") == []


async def test_edit_and_deletion_refer_to_the_gateways_id() -> None:
    key = {"ID": "THEIRS", "fromMe": True}
    edit = {"key": key, "type": "MESSAGE_EDIT", "editedMessage": {"conversation": "new"}}
    (event,) = await reported("Message", Info=information(), Message={"protocolMessage": edit})
    assert isinstance(event, MessageReceived)
    assert (event.is_edit, event.refers_to, event.kind) == (True, "OURS", "text")
    gone = {"protocolMessage": {"key": key, "type": "REVOKE"}}
    (event,) = await reported("Message", Info=information(), Message=gone)
    assert isinstance(event, Notified)
    assert (event.code, event.refers_to, event.by) == ("REVOKE", "OURS", ANA)


async def test_call_answered_on_another_device_is_not_missed() -> None:
    library = Library()
    call = {"from": LID, "timestamp": str(SECONDS), "callCreator": LID, "callID": "C"}
    meta = {**call, "callCreatorAlt": jid(ANA)}
    (event,) = await reported("CallOffer", library, basicCallMeta=meta, data={"Tag": "offer"})
    assert event == CallChanged(
        "C", ANA, "offered", is_video=False, at=AT, chat_lid="900000000000002@lid"
    )
    assert library.calls.caller("C") == "900000000000002@lid"
    end: dict[str, Any] = {"basicCallMeta": meta, "reason": "accepted_elsewhere"}
    assert await reported("CallTerminate", library, **end) == []
    assert library.calls.caller("C") is None


@pytest.mark.parametrize(
    ("state", "media", "status"),
    [
        ("COMPOSING", "AUDIO", "recording"),
        ("COMPOSING", "TEXT", "composing"),
        ("PAUSED", "TEXT", "paused"),
    ],
)
async def test_typing_and_recording_are_reported(state: str, media: str, status: str) -> None:
    (event,) = await reported("ChatPresence", MessageSource=source(), State=state, Media=media)
    assert isinstance(event, PresenceChanged)
    assert (event.chat, event.status) == (ANA, status)
    in_group = source(Chat=GROUP, IsGroup=True)
    assert await reported("ChatPresence", MessageSource=in_group, State=state, Media=media) == []


async def test_presence_has_the_time_a_person_was_last_seen() -> None:
    (event,) = await reported("Presence", From=jid(ANA), Unavailable=True, LastSeen=str(SECONDS))
    assert event == PresenceChanged(ANA, "unavailable", AT, None, AT)


CHANGES: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
    ({"Name": {"Name": "Crew"}}, "GROUP_CHANGE_SUBJECT", ("Crew",)),
    ({"Topic": {"Topic": "Why"}}, "GROUP_CHANGE_DESCRIPTION", ("Why",)),
    ({"Locked": {"isLocked": True}}, "GROUP_CHANGE_RESTRICT", ()),
    ({"Announce": {"IsAnnounce": True}}, "GROUP_CHANGE_ANNOUNCE", ()),
    ({"Join": [jid(BOB)]}, "GROUP_PARTICIPANT_ADD", (BOB,)),
    ({"Leave": [jid(BOB)]}, "GROUP_PARTICIPANT_REMOVE", (BOB,)),
    ({"Leave": [jid(ANA)]}, "GROUP_PARTICIPANT_LEAVE", (ANA,)),
    ({"Promote": [jid(BOB)]}, "GROUP_PARTICIPANT_PROMOTE", (BOB,)),
    ({"Demote": [LID]}, "GROUP_PARTICIPANT_DEMOTE", ("900000000000002@lid",)),
]


@pytest.mark.parametrize(("change", "code", "parameters"), CHANGES)
async def test_change_of_a_group_is_reported(
    change: dict[str, Any], code: str, parameters: tuple[str, ...]
) -> None:
    told_of: dict[str, Any] = {
        "JID": GROUP,
        "Sender": jid(ANA),
        "Timestamp": str(SECONDS),
        **change,
    }
    (event,) = await reported("GroupInfoEvent", **told_of)
    assert isinstance(event, Notified)
    assert (event.code, event.parameters, event.chat) == (code, parameters, GROUP_CHAT)
    assert (event.by, event.from_me, event.at) == (ANA, False, AT)


async def test_changes_of_one_event_have_stable_ids_of_their_own() -> None:
    body: dict[str, Any] = {"JID": GROUP, "Sender": jid(ME), "Timestamp": str(SECONDS)}
    changes: dict[str, Any] = {"Join": [jid(ANA)], "Promote": [jid(ANA)]}
    first, again = [await reported("GroupInfoEvent", **body, **changes) for _ in range(2)]
    assert first == again
    ids = [event.provider_message_id for event in first if isinstance(event, Notified)]
    assert ids == [f"{SECONDS}-700", f"{SECONDS}-701"]
    assert all(event.from_me for event in first if isinstance(event, Notified))


async def test_request_to_join_a_group_is_reported() -> None:
    asking = {"Tag": "requested_user", "Attrs": [{"name": "jid", "jid": jid(BOB)}]}
    node = {
        "Tag": "created_membership_requests",
        "Attrs": [{"name": "request_method", "text": "invite_link"}],
        "Nodes": [asking],
    }
    body: dict[str, Any] = {"JID": GROUP, "Sender": jid(BOB), "Timestamp": str(SECONDS)}
    (event,) = await reported("GroupInfoEvent", **body, UnknownChanges=[node])
    assert isinstance(event, Notified)
    assert (event.code, event.parameters) == ("MEMBERSHIP_APPROVAL_REQUEST", (BOB,))
    assert event.details == {"requestMethod": "invite_link"}


async def test_joining_a_group_and_a_new_picture_are_reported() -> None:
    group = {"JID": GROUP, "GroupName": {"Name": "Team"}}
    (made,) = await reported("JoinedGroup", Type="new", GroupInfo=group, Sender=jid(ANA))
    (joined,) = await reported(
        "JoinedGroup", Type="", GroupInfo=group, Sender=LID, SenderPN=jid(ANA)
    )
    (icon,) = await reported("Picture", JID=GROUP, Author=jid(ANA), Timestamp=str(SECONDS))
    found = [(e.code, e.parameters, e.by) for e in (made, joined, icon) if isinstance(e, Notified)]
    assert found == [
        ("GROUP_CREATE", ("Team",), ANA),
        ("GROUP_PARTICIPANT_ADD", (ME,), ANA),
        ("GROUP_CHANGE_ICON", (), ANA),
    ]
    assert await reported("Picture", JID=jid(ANA), Timestamp=str(SECONDS)) == [
        PictureChanged(ANA, AT)
    ]
    assert await reported("Picture", JID=LID, Timestamp=str(SECONDS), Remove=True) == [
        PictureChanged("900000000000002@lid", AT, "900000000000002@lid")
    ]
    (own,) = await reported("Picture", JID=jid(ME), Timestamp=str(SECONDS))
    assert isinstance(own, Notified)
    assert own.code == "PROFILE_PICTURE_UPDATED"


async def test_history_yields_identities_then_chats_oldest_first() -> None:
    def message(number: int, **key: Any) -> dict[str, Any]:
        return {
            "message": {
                "key": {"remoteJID": f"{ANA}@s.whatsapp.net", "ID": f"M{number}", **key},
                "message": {"conversation": f"text {number}"},
                "messageTimestamp": str(SECONDS + number),
                "pushName": "Ana",
            }
        }

    lid, pn = "900000000000002@lid", f"{ANA}@s.whatsapp.net"
    chat = {
        "ID": lid,
        "pnJID": pn,
        "name": "Ana Lima",
        "unreadCount": 1,
        "conversationTimestamp": str(SECONDS + 2),
        "messages": [message(2, fromMe=True), message(1)],
    }
    group = {"ID": "120363019502650977@g.us", "name": "Team", "lastMsgTimestamp": str(SECONDS)}
    status = {"ID": "status@broadcast", "conversationTimestamp": str(SECONDS)}
    data: dict[str, Any] = {
        "syncType": "INITIAL_BOOTSTRAP",
        "conversations": [chat, {"ID": pn, "messages": []}, group, status],
        "pushnames": [{"ID": pn, "pushname": "Ana"}],
        "phoneNumberToLidMappings": [{"lidJID": lid, "pnJID": pn}],
    }
    who, history, empty = await reported("HistorySync", **data)
    assert who == IdentityLearned(lid, AT, ANA, "Ana")
    assert isinstance(history, HistoryReceived)
    shown = [(m.provider_message_id, m.chat, m.sender, m.from_me) for m in history.messages]
    assert shown == [("M1", ANA, ANA, False), ("M2", ANA, None, True)]
    assert [m.content["text"]["message"] for m in history.messages] == ["text 1", "text 2"]
    last = AT + timedelta(seconds=2)
    assert history.chats == (HistoryChat(ANA, last, lid, "Ana Lima", unread=1),)
    team = HistoryChat("120363019502650977-group", AT, name="Team")
    assert empty == HistoryReceived((), AT, (team,))


async def test_history_loses_only_the_message_of_an_unknown_form() -> None:
    messages = [
        {"message": {"key": {"ID": f"M{n}"}, "messageTimestamp": SECONDS, "message": content}}
        for n, content in enumerate(({"conversation": "one"}, 1, {"conversation": "two"}))
    ]
    body = {"conversations": [{"ID": f"{ANA}@s.whatsapp.net", "messages": messages}]}
    with capture_logs() as logged:
        (history,) = await events_of(StoredEvent(7, AT, "HistorySync", body), Library())
    assert isinstance(history, HistoryReceived)
    assert {m.content["text"]["message"] for m in history.messages} == {"one", "two"}
    assert [e["message_type"] for e in logged if e["event"] == "unexpected_error"] == [
        "HistorySync"
    ]
