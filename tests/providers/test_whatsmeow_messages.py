"""A message of each kind arrives as its kind, and what refers to it reaches its author."""

from base64 import b64decode
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.contract.documented import Example
from gateway.contract.internal.presence import MarkRead
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.contract.known import KnownMessage, assumed_message, assumed_own
from gateway.contract.media import MediaFile
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.chats import TouchChat, UnreadMessage
from gateway.contract.zapi.groups.group import CreateGroup
from gateway.contract.zapi.messages.button_replies import (
    ButtonReply,
    TapButton,
    TapTemplateButton,
)
from gateway.contract.zapi.messages.commerce import SendOrder, UpdateOrderPayment
from gateway.contract.zapi.messages.interactive import (
    SendButtonActions,
    SendButtonList,
    SendOptionList,
)
from gateway.contract.zapi.messages.media import SendDocument, SendImage, SendVideo
from gateway.contract.zapi.messages.message_actions import ForwardMessage, Revoke
from gateway.contract.zapi.messages.polls_and_events import (
    SendEditEvent,
    SendEvent,
    SendEventResponse,
    SendPoll,
    SendPollVote,
)
from gateway.contract.zapi.messages.reactions import SendReaction
from gateway.contract.zapi.messages.text import SendText
from gateway.contract.zapi.status import ReplyStatusText
from gateway.errors import NotSupported, Refused
from gateway.providers.whatsmeow.session import WhatsmeowSession
from gateway.send_queue.unknown_messages import with_unknown
from gateway.sessions.provider import (
    Attempt,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    Receipt,
)
from gateway.whatsapp_web.messages.parts import context_of, key_of
from tests.providers.known_messages import known_of, own
from tests.providers.whatsmeow_messages import FILES, ORDER, ORDINARY, PIXEL
from tests.providers.whatsmeow_node import Pair

PROVIDERS = ("whatsmeow", "baileys")


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


async def test_message_that_the_gateway_does_not_know_is_named_by_id(pair: Pair) -> None:
    ana, bob = pair

    async def send(message: OutgoingMessage, message_id: str) -> Receipt:
        sendable, referred = with_unknown(message, {}, "quote")
        return await ana.send(sendable, message_id, *referred.values())

    await bob.send(SendText(phone=ana.phone, message="Before"), "HIS")
    theirs = (await ana.wait_for(MessageReceived)).provider_message_id
    mine = (await ana.send(SendText(phone=bob.phone, message="Old"), "MINE")).provider_message_id

    await send(SendText(phone=bob.phone, message="Reply", message_id=theirs), "REPLY")
    reply = await bob.wait_for(MessageReceived, lambda m: m.quoted_provider_id is not None)
    assert (reply.content, reply.quoted_provider_id) == ({"text": {"message": "Reply"}}, "HIS")

    await send(SendReaction(phone=bob.phone, message_id=theirs, reaction="!"), "R")
    reaction = await bob.wait_for(MessageReceived, lambda m: m.kind == "reaction")
    assert (reaction.content["reaction"]["value"], reaction.refers_to) == ("!", "HIS")

    await send(SendText(phone=bob.phone, message="New", edit_message_id=mine), "EDIT")
    edited = await bob.wait_for(MessageReceived, lambda m: m.is_edit)
    assert (edited.content, edited.refers_to) == ({"text": {"message": "New"}}, mine)

    await ana.session.execute(Revoke(target=assumed_own(mine, bob.phone)))
    gone = await bob.wait_for(Notified)
    assert (gone.code, gone.refers_to) == ("REVOKE", mine)
    read = MarkRead(phone=bob.phone, message_ids=(theirs,), sender=bob.phone)
    await ana.session.execute(read)
    assert "HIS" in (await bob.wait_for_status("HIS")).provider_message_ids


def test_unknown_quote_has_id_author_and_an_empty_text() -> None:
    reply = SendText(phone="5511999999999", message="Reply", message_id="OLD")
    _, referred = with_unknown(reply, {}, "quote")
    assert context_of(Attempt("OURS", 1, 1.0, referred), "OLD") == {
        "contextInfo": {
            "stanzaID": "OLD",
            "quotedMessage": {"conversation": ""},
            "participant": "5511999999999@s.whatsapp.net",
        }
    }


@pytest.mark.parametrize(
    ("chat", "participant"),
    [
        ("5511999999999", None),
        ("120363019502650977-group", "5511888888888@s.whatsapp.net"),
        ("5511999999999-1623281429", "5511888888888@s.whatsapp.net"),
        ("status@broadcast", "5511888888888@s.whatsapp.net"),
    ],
)
def test_key_of_a_chat_of_several_has_the_author(chat: str, participant: str | None) -> None:
    named = assumed_message("OLD", chat, owner=None, author="5511888888888")
    assert named is not None
    assert key_of(named).get("participant") == participant


def test_quoted_status_names_its_chat() -> None:
    reply = ReplyStatusText(phone="5511999999999", message="Wow", status_message_id="OLD")
    _, referred = with_unknown(reply, {}, "quote")
    context = context_of(Attempt("OURS", 1, 1.0, referred), "OLD")["contextInfo"]
    assert isinstance(context, dict)
    assert context["remoteJID"] == "status@broadcast"
    assert context["participant"] == "5511999999999@s.whatsapp.net"


def test_quote_of_another_provider_shows_its_text() -> None:
    sent = KnownMessage(
        "OLD", "OLD", "5511999999999", None, from_me=True, type="send-text",
        payload={"phone": "5511999999999", "message": "Hello"},
    )  # fmt: skip
    context = context_of(Attempt("OURS", 1, 1.0, {"OLD": sent}), "OLD")["contextInfo"]
    assert isinstance(context, dict)
    assert context["quotedMessage"] == {"conversation": "Hello"}


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
    if isinstance(bob.session, WhatsmeowSession):
        with pytest.raises(NotSupported):
            await bob.session.execute(TouchChat(phone=known.chat, action="mute"))


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


CAPTIONED: list[tuple[type[OutgoingMessage], str, str, str]] = [
    (SendImage, "image", "editImageMessageId", "image/png"),
    (SendVideo, "video", "editVideoMessageId", "video/mp4"),
    (SendDocument, "document", "editDocumentMessageId", "application/pdf"),
]


async def test_edit_changes_the_caption_and_sends_no_file(pair: Pair, tmp_path: Path) -> None:
    ana, bob = pair
    path = tmp_path / "file"
    path.write_bytes(PIXEL)
    text = own("TEXT", bob.phone, await ana.send(SendText(phone=bob.phone, message="Hi"), "TEXT"))
    for declared, field, edit, mime_type in CAPTIONED:
        file = MediaFile(path, mime_type, path.stat().st_size, "")
        message = declared.model_validate({"phone": bob.phone, field: "file", "caption": "Bad"})
        sent = await ana.send(message, field, file=file)
        original = await bob.wait_for_message(sent.provider_message_id)

        change = {"phone": bob.phone, "caption": "Better"}
        better = declared.model_validate({**change, edit: field})
        await ana.send(better, f"EDIT-{field}", own(field, bob.phone, sent))

        def is_edit(message: MessageReceived, kind: str = field) -> bool:
            return message.is_edit and message.kind == kind

        edited = await bob.wait_for(MessageReceived, is_edit)
        assert edited.content[field]["caption"] == "Better"
        assert edited.refers_to == original.provider_message_id
        with pytest.raises(Refused, match=f"TEXT is not a {field}"):
            await ana.send(declared.model_validate({**change, edit: "TEXT"}), "WRONG", text)


TAPS: list[tuple[type[OutgoingMessage], Example, type[ButtonReply], str, Example]] = [
    (
        SendButtonList,
        {"message": "Sure?", "buttonList": {"buttons": [{"id": "1", "label": "Great"}]}},
        TapButton,
        "1",
        {"buttonsResponseMessage": {"buttonId": "1", "message": "Great"}},
    ),
    (
        SendOptionList,
        SendOptionList.example,
        TapButton,
        "2",
        {
            "listResponseMessage": {
                "message": "The second one",
                "title": "Option 2",
                "selectedRowId": "2",
            }
        },
    ),
    (
        SendButtonActions,
        SendButtonActions.example_minimal or {},
        TapTemplateButton,
        "1",
        {"buttonsResponseMessage": {"buttonId": "1", "message": "Talk to us"}},
    ),
]


async def test_tapped_button_arrives_as_its_answer(pair: Pair) -> None:
    ana, bob = pair
    for number, (declared, fields, reply, choice, shown) in enumerate(TAPS):
        offer = declared.model_validate({**fields, "phone": bob.phone})
        receipt = await ana.send(offer, f"OFFER{number}")
        offered = known_of(await bob.wait_for_message(receipt.provider_message_id), "THEIRS")

        def tap(button: str, reply: type[ButtonReply] = reply) -> ButtonReply:
            name = "response_button_id" if reply is TapButton else "response_template_button_id"
            return reply.model_validate({"phone": ana.phone, "message_id": "THEIRS", name: button})

        answer = await bob.send(tap(choice), f"ANSWER{number}", offered)
        arrived = await ana.wait_for_message(answer.provider_message_id)
        assert (arrived.content, arrived.quoted_provider_id) == (shown, f"OFFER{number}")
        with pytest.raises(Refused, match="offers no button 'other'"):
            await bob.send(tap("other"), "OTHER", offered)


async def test_everyone_in_a_group_is_mentioned(pair: Pair) -> None:
    ana, bob = pair
    made = await ana.session.execute(
        CreateGroup.model_validate({"groupName": "Team", "phones": [bob.phone]})
    )
    receipt = await ana.send(SendText(phone=made.phone, message="All!", mention_all=True), "OURS")

    assert receipt.provider_data
    body = orjson.loads(receipt.provider_data)["message"]["extendedTextMessage"]
    assert set(body["contextInfo"]["mentionedJID"]) == {
        f"{phone}@s.whatsapp.net" for phone in (ana.phone, bob.phone)
    }


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
