"""The unmodified library against a fake WhatsApp server: sessions, sends, events, restarts."""

import asyncio
import os
import signal
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.contract.extensions.privacy import ReadPrivacy
from gateway.contract.extensions.proxies import Proxy
from gateway.contract.internal.presence import RejectCall, ShowTyping
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.chats import TouchChat, UnreadMessage
from gateway.contract.zapi.contacts import LookAtProfile, LookUpNumber, ModifyBlocked
from gateway.contract.zapi.groups.group import (
    CreateGroup,
    ListJoinedGroups,
    ReadGroupLight,
    RenameGroup,
    SetGroupPhoto,
)
from gateway.contract.zapi.groups.members import LeaveGroup
from gateway.contract.zapi.instances import (
    AlreadyConnected,
    Disconnect,
    PhoneCode,
    ReadDevice,
    ReadPhoneCode,
    ReadQrCode,
    RestoreSession,
    SetProfilePicture,
)
from gateway.contract.zapi.messages.commerce import (
    SendCatalog,
    SendOrder,
    SendProduct,
    UpdateOrderPayment,
)
from gateway.contract.zapi.messages.interactive import (
    SendButtonActions,
    SendButtonList,
    SendButtonOtp,
    SendButtonPix,
    SendOptionList,
)
from gateway.contract.zapi.messages.media import (
    SendAudio,
    SendDocument,
    SendGif,
    SendImage,
    SendPtv,
    SendSticker,
    SendVideo,
)
from gateway.contract.zapi.messages.message_actions import ForwardMessage, Revoke
from gateway.contract.zapi.messages.places_and_people import SendContact, SendLocation
from gateway.contract.zapi.messages.polls_and_events import (
    SendEditEvent,
    SendEvent,
    SendEventResponse,
    SendPoll,
    SendPollVote,
)
from gateway.contract.zapi.messages.reactions import SendReaction
from gateway.contract.zapi.messages.text import SendLink, SendText
from gateway.contract.zapi.privacy import SetLastSeen
from gateway.errors import NotConnected, NotSupported, SessionUnavailable, Unconfirmed
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    CallChanged,
    ConnectionChanged,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    PresenceChanged,
    Receipt,
)
from tests.fixtures.proxies import Kind, local_proxy
from tests.providers.fake_whatsapp.client import FakeWhatsApp, seen
from tests.providers.whatsmeow_node import Node, OpenSession, Pair, exchange_fences, node_at


@pytest.fixture(scope="module")
async def town(
    shared_database_url: str, tmp_path_factory: pytest.TempPathFactory, whatsapp: FakeWhatsApp
) -> AsyncIterator[Node]:
    """One node for all tests that do not disturb each other."""
    folder = tmp_path_factory.mktemp("town")
    async with node_at(shared_database_url, folder, whatsapp, keys="file") as town:
        yield town


@pytest.fixture(scope="module")
async def linked_pair(town: Node) -> Pair:
    """Two phones that stay linked, because linking takes the time."""
    ana, bob = await asyncio.gather(town.linked("ana"), town.linked("bob"))
    return ana, bob


@pytest.fixture
async def pair(linked_pair: Pair) -> Pair:
    """Ana and Bob, connected, after every message of an earlier test has arrived."""
    await exchange_fences(*linked_pair)
    return linked_pair


def texts(line: OpenSession) -> list[str]:
    received = [event for event in line.told if isinstance(event, MessageReceived)]
    return [event.content["text"]["message"] for event in received]


async def test_text_is_sent_delivered_answered_and_edited(pair: Pair) -> None:
    ana, bob = pair
    receipt = await ana.send(SendText(phone=bob.phone, message="Hello"), "OURS")
    assert receipt.provider_message_id.startswith("3EB0")

    arrived = await bob.wait_for(MessageReceived)
    assert arrived.content == {"text": {"message": "Hello"}}
    assert arrived.chat == arrived.sender == ana.phone
    delivered = await ana.wait_for(MessageAcknowledged)
    assert (delivered.status, delivered.provider_message_ids) == ("delivered", ["OURS"])

    reply = SendText(phone=ana.phone, message="Hi", message_id="THEIRS")
    await bob.send(reply, "ANSWER", known_of(arrived, "THEIRS"))
    answer = await ana.wait_for(MessageReceived)
    assert answer.quoted_provider_id == "OURS"


async def test_phone_is_linked_by_code_read_and_unlinked(
    town: Node, whatsapp: FakeWhatsApp
) -> None:
    async with town.opened("eve") as ana:
        await ana.until_state(ConnectionState.UNPAIRED)
        code = await ana.session.execute(ReadPhoneCode(phone=ana.phone))
        assert isinstance(code, PhoneCode)
        assert (await whatsapp.control("type", phone=ana.phone, code=code.code))["linked"]
        connected = await ana.until_state(ConnectionState.CONNECTED)
        assert connected.phone == ana.phone
        assert (await ana.session.execute(ReadDevice())).phone == ana.phone
        assert await ana.session.execute(ReadQrCode()) == AlreadyConnected()

        await ana.session.execute(Disconnect())
        await ana.until_state(ConnectionState.LOGGED_OUT)
        state = await whatsapp.control("state")
        assert state["devices"][ana.phone] == [0]

        await ana.link()
        await whatsapp.control("cut", phone=ana.phone, why="logged_out")
        await ana.until_state(ConnectionState.LOGGED_OUT)
        assert not (await ana.session.execute(RestoreSession())).value


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_instance_links_and_sends_through_its_own_proxy(
    town: Node, pair: Pair, whatsapp: FakeWhatsApp, kind: Kind
) -> None:
    name, (_ana, bob) = f"over {kind}", pair
    async with (
        local_proxy(kind, beyond=whatsapp.port, login="ana:secret") as first,
        local_proxy(kind, beyond=whatsapp.port) as second,
    ):
        async with town.opened(name, proxy=Proxy(proxy_url=first.url)) as mia:
            await mia.link()
        linked_through = list(first.targets)
        assert set(linked_through) == {"web.whatsapp.com:443"}

        phone = mia.phone
        async with town.opened(
            name, phone=phone, epoch=2, proxy=Proxy(proxy_url=second.url)
        ) as mia:
            await mia.until_state(ConnectionState.CONNECTED)
            await mia.send(SendText(phone=bob.phone, message="by another way"))
            assert (await bob.wait_for(MessageReceived)).chat == phone
        assert second.targets
        assert first.targets == linked_through


async def test_instance_with_a_failing_proxy_does_not_bypass_it(
    town: Node,
) -> None:
    async with (
        local_proxy("http", refuses=403) as proxy,
        town.opened("cut off", proxy=Proxy(proxy_url=proxy.url)) as tom,
    ):
        with pytest.raises(SessionUnavailable, match="cannot be reached"):
            await tom.session.execute(ReadQrCode())
        assert set(proxy.targets) == {"web.whatsapp.com:443"}


async def test_session_moves_to_another_node_without_a_code(
    database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp, pair: Pair
) -> None:
    _ana, bob = pair
    async with (
        node_at(database_url, tmp_path / "one", whatsapp) as one,
        node_at(database_url, tmp_path / "two", whatsapp) as two,
    ):
        async with one.opened("ana") as ana:
            await ana.link()
        await bob.send(SendText(phone=ana.phone, message="while it moved"))
        async with two.opened("ana", phone=ana.phone, epoch=2) as moved:
            await moved.until_state(ConnectionState.CONNECTED)
            assert (await moved.wait_for(MessageReceived)).content["text"]["message"]
            assert moved.told[0] == ConnectionChanged(ConnectionState.CONNECTING, moved.told[0].at)


async def test_receipt_confirms_a_message_after_the_child_died(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    await whatsapp.control("behave", hold_acks=True)
    try:
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="once")))
        await bob.wait_for(MessageReceived)
        os.kill(ana.pid, signal.SIGKILL)
        receipt = await sending
    finally:
        await whatsapp.control("behave", hold_acks=False)
    await ana.until_state(ConnectionState.CONNECTED)
    assert texts(bob) == ["once"]
    assert receipt.provider_message_id == (await bob.wait_for(MessageReceived)).provider_message_id


async def test_send_without_receipt_is_unconfirmed_or_not_sent(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    before = len((await whatsapp.control("state"))["sent"])
    await whatsapp.control("behave", lose=True)
    try:
        sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="x"), seconds=4))
        await whatsapp.state_when(lambda state: len(state["sent"]) > before)
        os.kill(ana.pid, signal.SIGKILL)
        with pytest.raises(Unconfirmed):
            await sending
    finally:
        await whatsapp.control("behave", lose=False)
    await ana.until_state(ConnectionState.CONNECTED)
    ana.forget()
    os.kill(ana.pid, signal.SIGSTOP)
    sending = asyncio.create_task(ana.send(SendText(phone=bob.phone, message="y")))
    await asyncio.sleep(0.2)  # until it is in the socket of a process that does not read
    os.kill(ana.pid, signal.SIGKILL)
    with pytest.raises(NotConnected):
        await sending
    await ana.wait_for(ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED)


async def test_child_that_dies_restarts_alone_and_without_a_code(
    pair: Pair,
) -> None:
    ana, bob = pair
    first, other = ana.pid, bob.pid
    os.kill(first, signal.SIGKILL)
    await ana.until_state(ConnectionState.DISCONNECTED)
    assert not psutil.pid_exists(first)
    await ana.until_state(ConnectionState.CONNECTED)
    assert ana.pid != first
    assert bob.pid == other
    await ana.send(SendText(phone=bob.phone, message="again"))
    assert (await bob.wait_for(MessageReceived)).chat == ana.phone


async def test_session_that_does_not_answer_is_restarted(
    database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(
        database_url, tmp_path, whatsapp, keys="file", probe_seconds=0.3, probe_timeout_seconds=1
    ) as node:
        ana = await node.linked("ana")
        first = ana.pid
        await whatsapp.control("behave", mute=True)
        await ana.until_state(ConnectionState.DISCONNECTED)
        await whatsapp.control("behave", mute=False)
        await ana.until_state(ConnectionState.CONNECTED)
        second = ana.pid
        assert second != first
        os.kill(second, signal.SIGSTOP)  # a process that hangs is no better
        await ana.until_state(ConnectionState.DISCONNECTED)
        await ana.until_state(ConnectionState.CONNECTED)


async def test_session_ended_by_whatsapp_is_reported_not_restarted(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, _bob = pair
    await whatsapp.control("cut", phone=ana.phone, why="replaced")
    replaced = await ana.until_state(ConnectionState.REPLACED)
    assert replaced.reason == ConnectionState.REPLACED.sentence
    with pytest.raises(NotConnected):
        await ana.send(SendText(phone="5511988887777", message="x"))
    assert (await ana.session.execute(RestoreSession())).value
    await ana.until_state(ConnectionState.CONNECTED)


async def test_child_ends_with_its_lease(town: Node) -> None:
    async with town.opened("liz") as liz:
        await liz.link()
        child = psutil.Process(liz.pid)
        liz.lease.until = time.monotonic() + 1
        await seen(lambda: _gone(child), bool)
        with pytest.raises(NotConnected):
            await liz.send(SendText(phone="5511988887777", message="x"))


async def _gone(process: psutil.Process) -> bool:
    return not process.is_running()


async def test_instances_of_one_process_break_together(
    database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(
        database_url, tmp_path, whatsapp, keys="file", instances_per_process=3
    ) as node:
        async with node.opened("ana") as ana, node.opened("bob") as bob:
            await asyncio.gather(ana.link(), bob.link())
        async with (
            node.opened("ana", phone=ana.phone) as ana,
            node.opened("bob", phone=bob.phone) as bob,
        ):
            await ana.until_state(ConnectionState.CONNECTED)
            await bob.until_state(ConnectionState.CONNECTED)
            assert ana.pid == bob.pid
            await ana.send(SendText(phone=bob.phone, message="next door"))
            assert (await bob.wait_for(MessageReceived)).sender == ana.phone
            os.kill(ana.pid, signal.SIGKILL)
            for line in (ana, bob):
                await line.wait_for(
                    ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED
                )
                await line.until_state(ConnectionState.CONNECTED)
        async with (
            local_proxy("http", beyond=whatsapp.port) as proxy,
            node.opened("ana", phone=ana.phone, proxy=Proxy(proxy_url=proxy.url)) as ana,
            node.opened("bob", phone=bob.phone) as bob,
        ):
            await ana.until_state(ConnectionState.CONNECTED)
            await bob.until_state(ConnectionState.CONNECTED)
            assert ana.pid != bob.pid  # whose environment may name another proxy


BUTTONS = [
    {"id": "1", "type": "URL", "label": "Open", "url": "https://example.com"},
    {"id": "2", "type": "CALL", "label": "Call", "phone": "5511988887777"},
    {"id": "3", "type": "REPLY", "label": "Yes"},
]
ORDER = {
    "currency": "BRL",
    "discount": 0.01,
    "products": [{"name": "Shoes", "value": 10, "quantity": 2}],
}
ORDINARY: list[tuple[str, type[OutgoingMessage], dict[str, Any], dict[str, Any]]] = [
    ("text", SendText, {"message": "Hi"}, {"message": "Hi"}),
    (
        "text",
        SendLink,
        {"message": "see https://x.y", "linkUrl": "https://x.y", "title": "T"},
        {"message": "see https://x.y", "url": "https://x.y", "title": "T"},
    ),
    (
        "location",
        SendLocation,
        {"title": "Home", "address": "Street 1", "latitude": "-23.5", "longitude": "-46.6"},
        {"name": "Home", "address": "Street 1", "latitude": -23.5, "longitude": -46.6},
    ),
    (
        "contact",
        SendContact,
        {"contactName": "Ana", "contactPhone": "5511977776666"},
        {"displayName": "Ana", "phones": ["5511977776666"]},
    ),
    (
        "poll",
        SendPoll,
        {"message": "When?", "poll": [{"name": "Now"}, {"name": "Later"}], "pollMaxOptions": 1},
        {"question": "When?", "pollMaxOptions": 1, "options": [{"name": "Now"}, {"name": "Later"}]},
    ),
    (
        "listMessage",
        SendOptionList,
        {
            "message": "Choose",
            "optionList": {
                "title": "T",
                "buttonLabel": "Open",
                "options": [{"id": "1", "title": "One", "description": "first"}],
            },
        },
        {"title": "T", "description": "Choose", "buttonText": "Open"},
    ),
    (
        "buttonsMessage",
        SendButtonList,
        {"message": "Sure?", "buttonList": {"buttons": [{"id": "1", "label": "Yes"}]}},
        {"message": "Sure?"},
    ),
    (
        "hydratedTemplate",
        SendButtonActions,
        {"message": "Do", "buttonActions": BUTTONS},
        {"message": "Do"},
    ),
    ("hydratedTemplate", SendButtonOtp, {"message": "Code", "code": "123"}, {"message": "Code"}),
    (
        "pixKeyMessage",
        SendButtonPix,
        {"pixKey": "a@b.c", "type": "EMAIL"},
        {"key": "a@b.c", "keyType": "EMAIL", "merchantName": "Pix", "currency": "BRL"},
    ),
    (
        "product",
        SendProduct,
        {"catalogPhone": "5511999999999", "productId": "77"},
        {"businessOwnerJid": "5511999999999", "productId": "77"},
    ),
    (
        "text",
        SendCatalog,
        {"catalogPhone": "5511999999999", "title": "All of it", "translation": "EN"},
        {"title": "All of it", "url": "https://wa.me/c/5511999999999"},
    ),
    (
        "reviewAndPay",
        SendOrder,
        {"order": ORDER, "paymentSettings": {"card": {"enabled": True}}},
        {"currency": "BRL", "orderStatus": "pending", "total": 19.99, "discount": 0.01},
    ),
    (
        "event",
        SendEvent,
        {"event": {"name": "Launch", "dateTime": "2030-04-29T09:30:00Z", "canceled": False}},
        {"name": "Launch", "scheduleTime": 1903685400},
    ),
]


async def test_every_kind_of_message_arrives_as_its_kind(pair: Pair) -> None:
    ana, bob = pair
    for number, (kind, declared, fields, told) in enumerate(ORDINARY):
        message = declared.model_validate({"phone": bob.phone, **fields})
        receipt = await ana.send(message, f"OURS{number}")
        arrived = await bob.wait_for_message(receipt.provider_message_id)
        assert arrived.kind == kind
        assert arrived.content[kind] | told == arrived.content[kind]


async def test_order_update_arrives(pair: Pair) -> None:
    ana, bob = pair
    placed = {"phone": bob.phone, "order": ORDER}
    receipt = await ana.send(SendOrder.model_validate(placed))
    shown = (await bob.wait_for(MessageReceived)).content["reviewAndPay"]
    (product,) = shown["products"]
    assert product["productId"].startswith("custom-item-")
    changed = {
        "phone": bob.phone,
        "messageId": "OURS",
        "orderStatus": "shipped",
        "referenceId": shown["referenceId"],
        "orderRequestId": shown["orderRequestId"],
        "paymentStatus": "paid",
        "order": {**ORDER, "products": [product]},
        "message": "On its way",
    }
    update = UpdateOrderPayment.model_validate(changed)
    await ana.send(update, "LATER", own("OURS", bob.phone, receipt))
    told = await bob.wait_for(MessageReceived, lambda m: m.kind == "reviewOrder")
    assert told.quoted_provider_id == receipt.provider_message_id
    assert (
        told.content["reviewOrder"]
        | {
            "referenceId": shown["referenceId"],
            "orderStatus": "shipped",
            "paymentStatus": "paid",
            "products": [product],
        }
        == told.content["reviewOrder"]
    )


async def test_event_response_and_edit_are_encrypted_for_its_chat(
    pair: Pair,
) -> None:
    ana, bob = pair
    event = {"name": "Launch", "dateTime": "2030-04-29T09:30:00Z", "canceled": False}
    sent = await ana.send(SendEvent.model_validate({"phone": bob.phone, "event": event}))
    arrived = await bob.wait_for(MessageReceived)

    answer = {"phone": ana.phone, "eventMessageId": "THEIRS", "eventResponse": "GOING"}
    await bob.send(SendEventResponse.model_validate(answer), "ANSWER", known_of(arrived, "THEIRS"))
    edit = {"phone": bob.phone, "eventMessageId": "OURS", "event": {**event, "canceled": True}}
    receipt = await ana.send(
        SendEditEvent.model_validate(edit), "EDIT", own("OURS", bob.phone, sent)
    )
    assert receipt.provider_data
    body = orjson.loads(receipt.provider_data)["message"]["secretEncryptedMessage"]
    secret = orjson.loads(sent.provider_data or b"")["message"]["messageContextInfo"]
    # As whatsmeow derives it, spelled out.
    said = f"{sent.provider_message_id}{2 * f'{ana.phone}@s.whatsapp.net'}Event Edit"
    key = HKDF(SHA256(), 32, None, said.encode()).derive(b64decode(secret["messageSecret"]))
    plain = AESGCM(key).decrypt(b64decode(body["encIV"]), b64decode(body["encPayload"]), None)
    assert b"Launch" in plain


def own(our_id: str, chat: str, receipt: Receipt) -> KnownMessage:
    """A sent message, as later messages refer to it."""
    return KnownMessage(
        our_id,
        receipt.provider_message_id,
        chat,
        None,
        from_me=True,
        type="",
        payload={},
        provider_data=receipt.provider_data,
    )


def known_of(message: MessageReceived, our_id: str) -> KnownMessage:
    return KnownMessage(
        message_id=our_id,
        provider_message_id=message.provider_message_id,
        chat=message.chat,
        sender=message.sender,
        from_me=message.from_me,
        type=message.kind,
        payload=message.content,
        provider_data=message.provider_data,
    )


async def test_actions_on_a_message_arrive_at_its_author(
    pair: Pair,
) -> None:
    ana, bob = pair
    poll = {"phone": bob.phone, "message": "When?", "poll": [{"name": "Now"}, {"name": "Later"}]}
    await ana.send(SendPoll.model_validate(poll), "POLL")
    arrived = await bob.wait_for(MessageReceived)
    known = known_of(arrived, "THEIRS")

    await bob.send(SendReaction(phone=ana.phone, message_id="THEIRS", reaction="!"), "R", known)
    reaction = await ana.wait_for(MessageReceived, lambda m: m.kind == "reaction")
    assert (reaction.content["reaction"]["value"], reaction.refers_to) == ("!", "POLL")

    vote = {"phone": ana.phone, "pollMessageId": "THEIRS", "pollVote": [{"name": "Later"}]}
    await bob.send(SendPollVote.model_validate(vote), "V", known)
    voted = await ana.wait_for(MessageReceived, lambda m: m.kind == "pollVote")
    assert voted.content["pollVote"] == {"pollMessageId": "POLL", "options": [{"name": "Later"}]}

    forward = {"phone": ana.phone, "messageId": "THEIRS", "messagePhone": ana.phone}
    await bob.send(ForwardMessage.model_validate(forward), "F", known)
    forwarded = await ana.wait_for(MessageReceived, lambda m: m.kind == "poll")
    assert forwarded.content["poll"]["question"] == "When?"

    unread = (UnreadMessage(id=known.provider_message_id, sender=known.sender),)
    await bob.session.execute(TouchChat(phone=known.chat, action="read", unread=unread))
    read = await ana.wait_for(MessageAcknowledged, lambda m: m.status == "read")
    assert read.provider_message_ids == ["POLL"]
    with pytest.raises(NotSupported):
        await bob.session.execute(TouchChat(phone=known.chat, action="mute"))


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63606060"
    "6000000005000157a3f7d80000000049454e44ae426082"
)
FILES: list[tuple[str, type[OutgoingMessage], str, str]] = [
    ("image", SendImage, "image", "image/png"),
    ("video", SendVideo, "video", "video/mp4"),
    ("video", SendGif, "gif", "video/mp4"),
    ("video", SendPtv, "ptv", "video/mp4"),
    ("audio", SendAudio, "audio", "audio/ogg"),
    ("document", SendDocument, "document", "application/pdf"),
    ("sticker", SendSticker, "sticker", "image/webp"),
]


async def test_files_travel_encrypted_and_arrive_unchanged(pair: Pair, tmp_path: Path) -> None:
    ana, bob = pair
    for number, (kind, declared, field, mime_type) in enumerate(FILES):
        path = tmp_path / f"file{number}"
        path.write_bytes(PIXEL * (number + 1))
        file = MediaFile(path, mime_type, path.stat().st_size, "", duration_seconds=3)
        message = declared.model_validate({"phone": bob.phone, field: "file"})
        receipt = await ana.send(message, f"OURS{number}", file=file)
        arrived = await bob.wait_for_message(receipt.provider_message_id)
        assert arrived.kind == kind
        assert arrived.content[kind]["mimeType"] == mime_type
        (received,) = arrived.files
        there = tmp_path / f"fetched{number}"
        await bob.session.execute(ReadReceivedFile(reference=received.reference, path=there))
        assert there.read_bytes() == path.read_bytes()


async def test_group_is_created_written_to_and_left(pair: Pair) -> None:
    ana, bob = pair
    made = await ana.session.execute(
        CreateGroup.model_validate({"groupName": "Team", "phones": [bob.phone]})
    )
    seen_by_bob = await bob.session.execute(ReadGroupLight(phone=made.phone))
    assert seen_by_bob.subject == "Team"
    assert {p.phone: p.is_admin for p in seen_by_bob.participants} == {
        ana.phone: True,
        bob.phone: False,
    }
    await ana.send(SendText(phone=made.phone, message="All of you"))
    arrived = await bob.wait_for(MessageReceived)
    assert (arrived.chat, arrived.sender) == (made.phone, ana.phone)
    delivered = await ana.wait_for(MessageAcknowledged)
    assert (delivered.by, delivered.provider_message_ids) == (bob.phone, ["OURS"])

    await ana.session.execute(RenameGroup(group_id=made.phone, group_name="Crew"))
    assert [g.subject for g in await bob.session.execute(ListJoinedGroups())] == ["Crew"]
    renamed = await bob.wait_for(Notified, lambda n: n.code == "GROUP_CHANGE_SUBJECT")
    assert (renamed.chat, renamed.parameters, renamed.by) == (made.phone, ("Crew",), ana.phone)
    await bob.session.execute(LeaveGroup(group_id=made.phone))
    assert await bob.session.execute(ListJoinedGroups()) == ()


async def test_numbers_profiles_blocking_and_privacy(pair: Pair) -> None:
    ana, bob = pair
    found = await ana.session.execute(LookUpNumber(phones=(bob.phone, "5511900009999")))
    assert list(found) == [bob.phone]
    assert str(found[bob.phone]).endswith("@lid")
    profile = await ana.session.execute(LookAtProfile(phone=bob.phone))
    assert (profile.about, profile.picture) == ("Hey there!", "https://pps.whatsapp.net/p.jpg")
    assert (await ana.session.execute(ModifyBlocked(phone=bob.phone, action="block"))).value
    assert (await ana.session.execute(SetLastSeen(visualization_type="ALL"))).success
    assert (await ana.session.execute(ShowTyping(phone=bob.phone, seconds=1))).value
    privacy = await ana.session.execute(ReadPrivacy())
    assert (privacy.last_seen, privacy.read_receipts) == ("ALL", "enable")
    assert "messagesDuration" not in privacy.model_dump(by_alias=True)


async def test_pictures_of_a_person_and_a_group(pair: Pair, whatsapp: FakeWhatsApp) -> None:
    ana, _bob = pair
    made = await ana.session.execute(
        CreateGroup.model_validate({"groupName": "Team", "phones": ["5511977776666"]})
    )
    await ana.session.execute(SetProfilePicture(value="my face"))
    photo = SetGroupPhoto.model_validate({"groupId": made.phone, "groupPhoto": "our logo"})
    await ana.session.execute(photo)
    assert (await whatsapp.control("state"))["pictures"] == {
        ana.phone: "my face",
        made.phone.removesuffix("-group"): "our logo",
    }


async def test_calls_are_offered_missed_rejected_and_typing_shows(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    await whatsapp.control("ring", phone=ana.phone, caller=bob.phone, video=True)
    call = await ana.wait_for(CallChanged)
    assert (call.call_id, call.chat, call.status, call.is_video) == (
        "CALL1",
        bob.phone,
        "offered",
        True,
    )
    await ana.session.execute(RejectCall(phone=call.chat, call_id=call.call_id))
    await whatsapp.state_when(lambda state: "reject" in state["calls"])
    await whatsapp.control("ring", phone=ana.phone, caller=bob.phone, reason="timeout")
    missed = await ana.wait_for(CallChanged, lambda c: c.status == "missed")
    assert missed.is_video
    assert abs((missed.at - call.at).total_seconds()) < 60

    await bob.session.execute(ShowTyping(phone=ana.phone, seconds=1))
    shown = await ana.wait_for(PresenceChanged)
    assert (shown.chat, shown.status) == (bob.phone, "composing")


async def test_message_is_revoked(pair: Pair) -> None:
    ana, bob = pair
    receipt = await ana.send(SendText(phone=bob.phone, message="Oops"))
    await ana.session.execute(Revoke(target=own("OURS", bob.phone, receipt)))
    gone = await bob.wait_for(Notified)
    assert (gone.code, gone.refers_to, gone.by) == (
        "REVOKE",
        receipt.provider_message_id,
        ana.phone,
    )


@pytest.mark.skipif("WHATSMEOW_MANY" not in os.environ, reason="20 processes: WHATSMEOW_MANY=1")
async def test_twenty_instances_at_once(town: Node) -> None:
    lines = await asyncio.gather(*(town.linked(f"instance {n}") for n in range(20)))
    following = [*lines[1:], lines[0]]
    await asyncio.gather(
        *(
            a.send(SendText(phone=b.phone, message="round"))
            for a, b in zip(lines, following, strict=True)
        )
    )
    for line in lines:
        await line.wait_for(MessageReceived)
