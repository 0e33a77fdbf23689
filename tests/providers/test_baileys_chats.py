"""What is done with chats, here and on the phone, and what a phone shares when it is linked."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.contract.internal.presence import ShowTyping
from gateway.contract.zapi.chats import ChatAction, NewestMessage, TouchChat, UnreadMessage
from gateway.contract.zapi.groups.group import CreateGroup
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import SessionUnavailable
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    ChatModified,
    HistoryReceived,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
    PresenceChanged,
)
from tests.providers.baileys_client.client import BaileysProcess
from tests.providers.baileys_node import Node
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.test_fake_app_state import with_key
from tests.providers.whatsmeow_node import OpenSession, Pair

PROVIDERS = ("baileys",)
PERSON = "5511955551111"
JID = f"{PERSON}@s.whatsapp.net"
SENT_AT = 1_790_000_000
CHANGED: tuple[ChatAction, ...] = ("archive", "unread", "pin", "mute", "clear")
CHANGED_BACK: tuple[ChatAction, ...] = ("unarchive", "unpin", "unmute", "read", "delete")


def shows(name: str, value: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["body"][0].get(name) == value


def is_modified(action: ChatAction) -> Callable[[ChatModified], bool]:
    return lambda event: event.action == action


async def modify(line: OpenSession, action: ChatAction, **given: Any) -> None:
    await line.session.execute(TouchChat(phone=PERSON, action=action, **given))


async def values(whatsapp: FakeWhatsApp, phone: str) -> Mapping[str, Any]:
    state = await whatsapp.control("state")
    found: Mapping[str, Any] = state["app_state"][phone]
    return found


async def test_changes_of_a_chat_reach_the_phone_and_another_device(
    pair: Pair, baileys: BaileysProcess, whatsapp: FakeWhatsApp
) -> None:
    ana, _bob = pair
    device = await with_key(await baileys.linked("beside ana", ana.phone))
    newest = NewestMessage(id="NEWEST", from_me=False, sender=PERSON, sent_at=SENT_AT)
    for action in CHANGED:
        await modify(ana, action, newest=newest)

    found = await values(whatsapp, ana.phone)
    archived = found[f'["archive", "{JID}"]']["archiveChatAction"]
    assert archived["archived"] is True
    read = found[f'["markChatAsRead", "{JID}"]']["markChatAsReadAction"]
    assert not read.get("read")
    cleared = found[f'["clearChat", "{JID}", "1", "0"]']["clearChatAction"]
    key = {"remoteJID": JID, "fromMe": False, "ID": "NEWEST"}
    for change in (archived, read, cleared):
        assert change["messageRange"] == {
            "lastMessageTimestamp": str(SENT_AT),
            "messages": [{"key": key, "timestamp": str(SENT_AT)}],
        }
    muted = found[f'["mute", "{JID}"]']["muteAction"]
    assert muted == {"muted": True, "muteEndTimestamp": "-1"}
    assert found[f'["pin_v1", "{JID}"]']["pinAction"]["pinned"] is True
    for name, value in (("archived", True), ("unreadCount", -1), ("muteEndTime", -1)):
        await device.wait_for("chats.update", shows(name, value))

    for action in CHANGED_BACK:
        await modify(ana, action)
    found = await values(whatsapp, ana.phone)
    assert not found[f'["archive", "{JID}"]']["archiveChatAction"].get("archived")
    assert not found[f'["pin_v1", "{JID}"]']["pinAction"].get("pinned")
    assert not found[f'["mute", "{JID}"]']["muteAction"].get("muted")
    assert found[f'["markChatAsRead", "{JID}"]']["markChatAsReadAction"]["read"] is True
    await device.wait_for("chats.delete", lambda e: e["body"] == [JID])
    # None of it came back to the session as a change of somebody else.
    assert not [event for event in ana.events if isinstance(event, ChatModified)]


async def test_newest_message_of_a_group_names_its_author(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    group = {"groupName": "Team", "phones": [bob.phone]}
    made = await ana.session.execute(CreateGroup.model_validate(group))
    newest = NewestMessage(id="M", from_me=False, sender=bob.phone, sent_at=SENT_AT)
    await ana.session.execute(TouchChat(phone=made.phone, action="archive", newest=newest))
    jid = f"{made.phone.removesuffix('-group')}@g.us"
    archived = (await values(whatsapp, ana.phone))[f'["archive", "{jid}"]']["archiveChatAction"]
    (message,) = archived["messageRange"]["messages"]
    assert message["key"]["participant"] == f"{bob.phone}@s.whatsapp.net"


async def test_reading_a_chat_tells_the_senders_and_ends_its_mark(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    await bob.send(SendText(phone=ana.phone, message="hello"), "HELLO")
    received = await ana.wait_for(MessageReceived)
    unread = (UnreadMessage(id=received.provider_message_id, sender=bob.phone),)
    read = TouchChat(phone=bob.phone, action="read", unread=unread)
    await ana.session.execute(read)
    await bob.wait_for(
        MessageAcknowledged, lambda a: a.status == "read" and "HELLO" in a.provider_message_ids
    )
    index = f'["markChatAsRead", "{bob.phone}@s.whatsapp.net"]'
    assert (await values(whatsapp, ana.phone))[index]["markChatAsReadAction"]["read"] is True


async def test_change_that_the_phone_was_faster_with_is_made_after_it(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, _bob = pair
    other = "5511955552222@s.whatsapp.net"
    phones = {"collection": "regular_low", "index": ["pin_v1", other], "as_rival": True}
    for pinned in (True, False):
        value = {"pinAction": {"pinned": pinned}}
        await whatsapp.control("write_app_state", phone=ana.phone, value=value, **phones)
    await modify(ana, "pin")
    found = await values(whatsapp, ana.phone)
    assert found[f'["pin_v1", "{JID}"]']["pinAction"]["pinned"] is True
    assert f'["pin_v1", "{other}"]' in found
    assert (await ana.wait_for(ChatModified)).chat == "5511955552222"

    for _ in range(3):
        value = {"pinAction": {"pinned": True}}
        await whatsapp.control("write_app_state", phone=ana.phone, value=value, **phones)
    with pytest.raises(SessionUnavailable, match="another device"):
        await modify(ana, "unpin")
    await modify(ana, "unpin")


ON_THE_PHONE: list[tuple[str, list[str], dict[str, Any], ChatAction]] = [
    ("regular_low", ["archive", JID], {"archiveChatAction": {"archived": True}}, "archive"),
    ("regular_low", ["archive", JID], {"archiveChatAction": {"archived": False}}, "unarchive"),
    ("regular_low", ["pin_v1", JID], {"pinAction": {"pinned": True}}, "pin"),
    ("regular_low", ["pin_v1", JID], {"pinAction": {"pinned": False}}, "unpin"),
    ("regular_high", ["mute", JID], {"muteAction": {"muted": True}}, "mute"),
    ("regular_high", ["mute", JID], {"muteAction": {"muted": False}}, "unmute"),
    (
        "regular_high",
        ["mute", JID],
        {"muteAction": {"muted": True, "muteEndTimestamp": 1_000}},
        "unmute",  # it has ended
    ),
    ("regular_low", ["markChatAsRead", JID], {"markChatAsReadAction": {"read": False}}, "unread"),
    ("regular_low", ["markChatAsRead", JID], {"markChatAsReadAction": {"read": True}}, "read"),
    ("regular_high", ["clearChat", JID, "1", "0"], {"clearChatAction": {}}, "clear"),
    ("regular_high", ["deleteChat", JID, "1"], {"deleteChatAction": {}}, "delete"),
]


async def test_changes_that_the_phone_makes_are_reported(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, _bob = pair
    before = datetime.now(UTC)
    for collection, index, value, action in ON_THE_PHONE:
        change = {"collection": collection, "index": index, "value": value}
        await whatsapp.control("write_app_state", phone=ana.phone, **change)
        reported = await ana.wait_for(ChatModified, is_modified(action))
        assert reported.chat == PERSON
        assert abs((reported.at - before).total_seconds()) < 3_600
    known = [event.action for event in ana.events if isinstance(event, ChatModified)]
    assert known == [action for *_, action in ON_THE_PHONE]

    group = "120363019502650977"
    change = {"collection": "regular_low", "index": ["pin_v1", f"{group}@g.us"]}
    pinned = {"pinAction": {"pinned": True}}
    await whatsapp.control("write_app_state", phone=ana.phone, value=pinned, **change)
    await ana.wait_for(ChatModified, lambda m: m.chat == f"{group}-group")
    lid = "900000000000077@lid"
    change = {"collection": "regular_low", "index": ["pin_v1", lid]}
    await whatsapp.control("write_app_state", phone=ana.phone, value=pinned, **change)
    hidden = await ana.wait_for(ChatModified, lambda m: m.chat == lid)
    assert hidden.chat_lid == lid


async def test_change_while_no_session_was_open_is_reported_once(
    town: Node, pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    change = {"collection": "regular_high", "index": ["mute", JID]}
    async with town.opened("away") as eve:
        await eve.link()
        await whatsapp.state_when(lambda s: eve.phone in s["devices"])
        await synchronise(whatsapp, eve)
        await eve.wait_for(HistoryReceived)
    muted = {"muteAction": {"muted": True, "muteEndTimestamp": -1}}
    await whatsapp.control("write_app_state", phone=eve.phone, value=muted, **change)
    async with town.opened("away", phone=eve.phone, epoch=2) as eve:
        await eve.until_state(ConnectionState.CONNECTED)
        await eve.session.execute(TouchChat(phone=PERSON, action="mute"))
        assert (await eve.wait_for(ChatModified)).action == "mute"
        assert len([event for event in eve.events if isinstance(event, ChatModified)]) == 1


async def synchronise(whatsapp: FakeWhatsApp, line: OpenSession) -> None:
    """Has the phone send its history: two chats, of one of which the lid is known."""

    def message(number: int, *, from_me: bool) -> dict[str, Any]:
        return {
            "message": {
                "key": {"remoteJID": JID, "ID": f"EARLIER{number}", "fromMe": from_me},
                "message": {"conversation": f"text {number}"},
                "messageTimestamp": SENT_AT + number,
                "pushName": "Eva",
            }
        }

    chat = {
        "ID": JID,
        "name": "Eva Lima",
        "unreadCount": 1,
        "conversationTimestamp": SENT_AT + 2,
        "messages": [message(2, from_me=True), message(1, from_me=False)],
    }
    team = {"ID": "120363019502650977@g.us", "name": "Team", "lastMsgTimestamp": SENT_AT}
    lid = "900000000000055@lid"
    history = {
        "syncType": "INITIAL_BOOTSTRAP",
        "conversations": [chat, team],
        "phoneNumberToLidMappings": [{"lidJID": lid, "pnJID": JID}],
    }
    await whatsapp.control("synchronise", phone=line.phone, history=history)


async def test_history_of_a_linked_phone_and_the_states_of_its_chats_arrive(
    town: Node, whatsapp: FakeWhatsApp
) -> None:
    async with town.opened("new") as eve:
        archived = {"archiveChatAction": {"archived": True}}
        change = {"collection": "regular_low", "index": ["archive", JID], "value": archived}
        await whatsapp.control("write_app_state", phone=eve.phone, **change)
        await eve.link()
        await synchronise(whatsapp, eve)

        learned = await eve.wait_for(IdentityLearned, lambda i: i.phone == PERSON)
        assert learned.lid == "900000000000055@lid"
        history = await eve.wait_for(HistoryReceived, lambda h: bool(h.messages))
        messages = [(m.provider_message_id, m.chat, m.from_me) for m in history.messages]
        assert messages == [("EARLIER1", PERSON, False), ("EARLIER2", PERSON, True)]
        assert history.messages[0].content == {"text": {"message": "text 1"}}
        assert (history.chats[0].name, history.chats[0].unread) == ("Eva Lima", 1)
        await eve.wait_for(
            HistoryReceived, lambda h: [c.name for c in h.chats] == ["Team"] and not h.messages
        )
        shown = await eve.wait_for(ChatModified)
        assert (shown.chat, shown.action) == (PERSON, "archive")


async def subscriptions(whatsapp: FakeWhatsApp, line: OpenSession) -> int:
    presence: list[str] = (await whatsapp.control("state"))["presence"]
    return presence.count(f"{line.phone} subscribe")


async def test_presence_of_a_person_is_reported_once_the_chat_is_open(
    town: Node, pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, _bob = pair
    before = await subscriptions(whatsapp, ana)
    async with town.opened("comes and goes") as eve:
        await eve.link()
        await ana.session.execute(ShowTyping(phone=eve.phone, seconds=1))
        typing = await eve.wait_for(PresenceChanged, lambda p: p.status == "composing")
        assert typing.chat == ana.phone
        online = await ana.wait_for(PresenceChanged, lambda p: p.status == "available")
        assert online.chat == eve.phone
        eve.forget()
        await ana.session.execute(ShowTyping(phone=eve.phone, seconds=1))
        await eve.wait_for(PresenceChanged)
        gone = {"from": f"{eve.phone}@s.whatsapp.net", "type": "unavailable", "last": str(SENT_AT)}
        await whatsapp.control("inject", phone=ana.phone, tag="presence", attrs=gone)
        offline = await ana.wait_for(PresenceChanged, lambda p: bool(p.last_seen))
        assert (offline.chat, offline.status) == (eve.phone, "unavailable")
        assert offline.last_seen == datetime.fromtimestamp(SENT_AT, UTC)
    assert (await subscriptions(whatsapp, ana)) == before + 1
