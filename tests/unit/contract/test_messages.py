"""What messages say of themselves beyond their fields."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.contract.catalogue import catalogue
from gateway.contract.known import KnownMessage
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.messages.buttons import ActionButton
from gateway.contract.zapi.messages.commerce import SendOrder
from gateway.contract.zapi.messages.interactive import SendButtonPix
from gateway.contract.zapi.messages.message_actions import PinMessage, Revoke
from gateway.contract.zapi.messages.places_and_people import ContactCard, SendContact, SendContacts
from gateway.contract.zapi.messages.polls_and_events import GroupEvent
from gateway.contract.zapi.messages.text import SendLink, SendText

PHONE = "5511999999999"


@pytest.mark.parametrize("send", catalogue().sends.values(), ids=lambda send: send.kind())
def test_ids_of_earlier_messages_are_looked_up(send: type[OutgoingMessage]) -> None:
    message = send.model_validate(send.example)
    named = {v for n, v in message.model_dump().items() if n.endswith("message_id") and v}
    assert set(message.referred_ids()) == named


def test_edit_that_replies_refers_to_both_messages() -> None:
    text = SendText(phone=PHONE, message="hi", message_id="A", edit_message_id="B")
    assert text.referred_ids() == ("A", "B")


def test_contact_card_is_a_vcard() -> None:
    card = ContactCard(
        name="Ana, the; \\ boss\nof all",
        phones=("5511999999999", "+55 (44) 98398-733"),
        business_description="Support",
    )
    assert card.vcard().splitlines() == [
        "BEGIN:VCARD",
        "VERSION:3.0",
        r"N:;Ana\, the\; \\ boss\nof all;;;",
        r"FN:Ana\, the\; \\ boss\nof all",
        "TEL;type=CELL;type=VOICE;waid=5511999999999:+5511999999999",
        "TEL;type=CELL;type=VOICE;waid=554498398733:+554498398733",
        r"X-WA-BIZ-NAME:Ana\, the\; \\ boss\nof all",
        "X-WA-BIZ-DESCRIPTION:Support",
        "END:VCARD",
    ]


def test_one_contact_and_several_are_cards() -> None:
    one = SendContact(phone=PHONE, contact_name="Ana", contact_phone=PHONE)
    several = SendContacts(phone=PHONE, contacts=(ContactCard(name="Ana", phones=(PHONE,)),))
    assert tuple(one.cards()) == tuple(several.cards())
    assert one.readable_text() == several.readable_text() == "Ana"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=123", "123"),
        ("https://whatsapp.com/otp/code?otp_type=COPY_CODE&code=a%20b", "a b"),
        ("https://www.whatsapp.com/otp/code/?otp_type=ONE_TAP&code=123", None),
        ("https://example.com/otp/code/?otp_type=COPY_CODE&code=123", None),
        ("https://example.com", None),
    ],
)
def test_copy_code_url_makes_a_copy_button(url: str, code: str | None) -> None:
    assert ActionButton(type="URL", url=url, label="Copy").copied_code == code


@pytest.mark.parametrize(
    ("fields", "offset_hours"),
    [
        ({"dateTime": "2030-01-31T12:00:00", "timeZone": "UTC-3"}, -3),
        ({"dateTime": "2030-01-31T12:00:00", "timeZone": "gmt+5:30"}, 5.5),
        ({"dateTime": "2030-01-31T12:00:00"}, 0),
        ({"dateTime": "2030-01-31T12:00:00Z", "timeZone": "UTC-3"}, 0),
        ({"dateTime": "2030-01-31T12:00:00+02:00"}, 2),
    ],
)
def test_event_starts_in_its_time_zone(fields: dict[str, Any], offset_hours: float) -> None:
    event = GroupEvent.model_validate({"name": "Party", "canceled": False, **fields})
    noon = datetime(2030, 1, 31, 12, tzinfo=UTC)
    assert event.starts_at == noon - timedelta(hours=offset_hours)


def test_an_order_adds_up() -> None:
    order = SendOrder.model_validate(SendOrder.example).order
    assert (order.sub_total, order.total) == (20, 25)


@pytest.mark.parametrize(("action", "seconds"), [("pin", 604_800), ("unpin", None)])
def test_a_pin_lasts_as_long_as_asked(action: str, seconds: int | None) -> None:
    pin = PinMessage.model_validate({**PinMessage.example, "messageAction": action})
    assert pin.pinned_seconds == seconds


def test_page_is_read_only_for_missing_parts_of_a_card() -> None:
    assert SendLink.model_validate(SendLink.example).link_to_preview() is None
    least = SendLink.model_validate(SendLink.example_minimal)
    assert least.link_to_preview() == "https://example.com"


def test_operation_of_a_session_survives_json() -> None:
    target = KnownMessage(
        "A",
        "wamid",
        PHONE,
        PHONE,
        from_me=False,
        type="text",
        payload={},
        provider_data=b"\x00\xff",
    )
    asked = Revoke(target=target)
    assert Revoke.model_validate_json(asked.model_dump_json()) == asked
    assert Revoke.model_validate(asked.model_dump(mode="json")) == asked


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("order-status-update", "We are packing it"),
        ("reply-status-text", "Congratulations!"),
        ("send-button-list", "Do you like it?"),
        ("send-button-pix", "Example Store"),
        ("send-catalog", "Open our catalogue"),
        ("send-contacts", "Support, Sales"),
        ("send-event", "Launch"),
        ("send-link", "See https://example.com"),
        ("send-location", "Office"),
        ("send-newsletter-admin-invite", "Join us as an admin"),
        ("send-poll", "Which one?"),
        ("send-product", None),
        ("send-reaction", "\u2764\ufe0f"),
        ("send-remove-reaction", None),
        ("send-text-status", "We are open today"),
    ],
)
def test_readable_text_is_the_text_or_caption(kind: str, text: str | None) -> None:
    send = catalogue().sends[kind]
    assert send.model_validate(send.example).readable_text() == text


def test_pix_key_without_a_title_is_named_pix() -> None:
    asked = SendButtonPix.model_validate({**SendButtonPix.example, "merchantName": ""})
    assert asked.merchant_name == "Pix"
