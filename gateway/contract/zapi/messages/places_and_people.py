"""Places and people: a location, one contact or several."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AliasChoices, Field
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit, max_items
from gateway.contract.send import Reply
from gateway.contract.whatsapp_limits import MAX_CONTACTS
from gateway.contract.wire import Incoming, Phone
from gateway.contract.zapi.messages.text import Label


class _Degrees:
    """Checks a text that is a number of degrees."""

    def __init__(self, max_count: int) -> None:
        self._max_count = max_count

    def __call__(self, text: str) -> str:
        try:
            inside = abs(float(text)) <= self._max_count
        except ValueError:
            inside = False
        if not inside:
            raise PydanticCustomError(
                "degrees", f"must be a number from -{self._max_count} to {self._max_count}"
            )
        return text


Latitude = Annotated[str, AfterValidator(_Degrees(90))]
Longitude = Annotated[str, AfterValidator(_Degrees(180))]


class SendLocation(Reply, path="/send-location"):
    """Sends a place."""

    title: Label = Field(validation_alias=AliasChoices("title", "name"))
    address: Label
    latitude: Latitude
    longitude: Longitude

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "title": "Office",
        "address": "Av. Example, 100 - Center, Sao Paulo - SP, 04538-133",
        "latitude": "-23.0696347",
        "longitude": "-50.4357913",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "messageId": "3EB0577D10A2B4C6D8E9F1",
        "delayMessage": 1,
    }
    limits: ClassVar[tuple[Limit, ...]] = ()

    def readable_text(self) -> str | None:
        return self.title

    def echo(self, _context: EchoContext) -> Content | None:
        return {
            "location": {
                "longitude": float(self.longitude),
                "latitude": float(self.latitude),
                "name": self.title,
                "address": self.address,
                "url": "",
            }
        }


_VCARD_ESCAPES = str.maketrans(
    {"\\": r"\\", ",": r"\,", ";": r"\;", "\n": r"\n", "\r": None}
)  # RFC 6350


class ContactCard(Incoming):
    """One person with at least one number."""

    name: Label
    phones: Annotated[tuple[Phone, ...], Field(min_length=1)]
    business_description: str | None = None

    def vcard(self, numbers: Mapping[str, str] | None = None) -> str:
        """The card in WhatsApp's form; `waid` makes the number open a chat.

        Args:
            numbers: how WhatsApp knows a number, which is dialled as it is given.
        """
        known = numbers or {}
        name = self.name.translate(_VCARD_ESCAPES)
        about = (self.business_description or "").translate(_VCARD_ESCAPES)
        return "\n".join(
            [
                "BEGIN:VCARD",
                "VERSION:3.0",
                f"N:;{name};;;",
                f"FN:{name}",
                *(
                    f"TEL;type=CELL;type=VOICE;waid={known.get(phone, phone)}:+{phone}"
                    for phone in self.phones
                ),
                *([f"X-WA-BIZ-NAME:{name}", f"X-WA-BIZ-DESCRIPTION:{about}"] if about else []),
                "END:VCARD",
            ]
        )


class ContactMessage(Reply):
    """A message whose content is people."""

    def cards(self) -> Sequence[ContactCard]:
        raise NotImplementedError

    def numbers(self) -> tuple[str, ...]:
        shown = (phone for card in self.cards() for phone in card.phones)
        return tuple(dict.fromkeys((*super().numbers(), *shown)))

    def readable_text(self) -> str | None:
        return ", ".join(card.name for card in self.cards())

    def echo(self, _context: EchoContext) -> Content | None:
        """A callback shows one card: the first."""
        card = self.cards()[0]
        return {
            "contact": {
                "displayName": card.name,
                "vCard": card.vcard(),
                "phones": list(card.phones),
            }
        }


class SendContact(ContactMessage, path="/send-contact"):
    """Sends one contact."""

    contact_name: Label
    contact_phone: Phone
    contact_business_description: str | None = None

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "contactName": "Support",
        "contactPhone": "554498398733",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "contactBusinessDescription": "Customer support",
        "messageId": "3EB0577D10A2B4C6D8E9F1",
        "delayMessage": 1,
    }
    limits: ClassVar[tuple[Limit, ...]] = ()

    def cards(self) -> Sequence[ContactCard]:
        return (
            ContactCard(
                name=self.contact_name,
                phones=(self.contact_phone,),
                business_description=self.contact_business_description,
            ),
        )


class SendContacts(ContactMessage, path="/send-contacts"):
    """Sends several contacts in one message."""

    contacts: Annotated[tuple[ContactCard, ...], Field(min_length=1)]

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "contacts": [{"name": "Support", "phones": ["5544999999999", "5544888888888"]}],
    }
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "contacts": [
            {
                "name": "Support",
                "phones": ["5544999999999", "5544888888888"],
                "businessDescription": "Customer support",
            },
            {"name": "Sales", "phones": ["5544777777777"]},
        ],
        "messageId": "3EB0577D10A2B4C6D8E9F1",
        "delayMessage": 1,
    }
    limits: ClassVar[tuple[Limit, ...]] = (max_items("contacts", MAX_CONTACTS),)

    def cards(self) -> Sequence[ContactCard]:
        return self.contacts
