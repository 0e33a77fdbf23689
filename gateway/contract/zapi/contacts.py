"""People: the address book, pictures, whether a number has WhatsApp, blocking."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.operation import Operation, RouteAddress, Success, Value
from gateway.contract.paging import Paged
from gateway.contract.scopes import ApiScope
from gateway.contract.spellings import parse_chat
from gateway.contract.wire import Incoming, OmitIfNone, Person, Phone, Wire

_PHONE, _OTHER = "5511999999999", "5511888888888"
_PICTURE = "https://example.com/picture.jpg"
_MAX_BATCH = 50_000
_UNAVAILABLE = 503
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]


class Contact(Wire):
    """A person: as saved (`name`, `short`), on a card (`vname`), as they say (`notify`)."""

    phone: str
    name: str | None = OmitIfNone
    short: str | None = OmitIfNone
    vname: str | None = OmitIfNone
    notify: str | None = OmitIfNone


class ListContacts(Operation[tuple[Contact, ...]], Paged, method="GET", path="/contacts"):
    """Everyone this instance knows: saved, written with, or in a group with it.

    `search`, an extension, looks in names and numbers.
    """

    scope = ApiScope.READ
    example: ClassVar[Example] = {"page": 1, "pageSize": 20}
    example_minimal: ClassVar[Example] = {"page": 1, "pageSize": 20}
    answer_example: ClassVar[Any] = [
        {"phone": _PHONE, "name": "Ana Lima", "short": "Ana", "vname": "Ana L.", "notify": "ana"}
    ]

    search: str = ""


class NewContact(Incoming):
    """Whom to save."""

    first_name: _Name
    last_name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=255)] = ""
    phone: Phone


class ContactsSaved(Wire):
    """What became of each; `errors` names those that were refused."""

    success: bool = True
    errors: tuple[str, ...] = ()


class AddContacts(Operation[ContactsSaved], method="POST", path="/contacts/add"):
    """Saves people to the phone's address book. The body is a list."""

    scope = ApiScope.SEND
    bare_list = "contacts"
    example: ClassVar[Example] = {
        "contacts": [{"firstName": "Ana", "lastName": "Lima", "phone": _PHONE}]
    }
    example_minimal: ClassVar[Example] = {"contacts": [{"firstName": "Ana", "phone": _PHONE}]}
    failures = (_UNAVAILABLE,)

    contacts: Annotated[tuple[NewContact, ...], Field(min_length=1, max_length=1_000)]


class RemoveContacts(Operation[ContactsSaved], method="DELETE", path="/contacts/remove"):
    """Removes people from the address book. The body is a list of numbers."""

    scope = ApiScope.SEND
    bare_list = "phones"
    fields_in = "body"
    example: ClassVar[Example] = {"phones": ["5511777777777", "5511666666666"]}
    example_minimal: ClassVar[Example] = {"phones": ["5511777777777"]}
    failures = (_UNAVAILABLE,)

    phones: Annotated[tuple[Phone, ...], Field(min_length=1, max_length=1_000)]


AddContacts.session_operation, RemoveContacts.session_operation = AddContacts, RemoveContacts


class ContactDetails(Contact):
    """A person, with what they show of themselves; the picture's address lives 48 hours."""

    img_url: str | None = OmitIfNone
    about: str | None = OmitIfNone


class ReadContact(
    Operation[ContactDetails],
    method="GET",
    path="/contacts/{phone}",
    also=(RouteAddress("GET", "/contacts/{phone}/metadata"),),
):
    """What is known of one person."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"phone": _PHONE}
    answer_example: ClassVar[Any] = {
        "phone": _PHONE,
        "name": "Ana Lima",
        "short": "Ana",
        "notify": "ana",
        "imgUrl": _PICTURE,
        "about": "At work",
    }

    phone: Person


class Profile(Wire):
    """What a person shows to the instance."""

    name: str | None = None
    about: str | None = None
    picture: str | None = None


class LookAtProfile(Operation[Profile]):
    """Executed by the session: what a person shows."""

    cache_ttl_seconds = 60.0

    phone: str


class PictureLink(Wire):
    """Where the picture is; it lives 48 hours. Without a picture it is the text `null`."""

    link: str


class ReadPicture(
    Operation[tuple[PictureLink, ...]],
    method="GET",
    path="/profile-picture",
    also=(RouteAddress("GET", "/contacts/{phone}/profile-picture"),),
):
    """A fresh address of a person's picture, or of this number's without `phone`: a list of one."""

    scope = ApiScope.READ
    session_operation = LookAtProfile
    example: ClassVar[Example] = {"phone": _PHONE}
    example_minimal: ClassVar[Example] = {"phone": _PHONE}
    answer_example: ClassVar[Any] = [{"link": _PICTURE}]
    failures = (_UNAVAILABLE,)

    phone: Person | None = None


class Existence(Wire):
    """Whether a number has WhatsApp; `phone` is as WhatsApp writes it."""

    exists: bool
    phone: str
    lid: str | None


class CheckPhone(Operation[Existence], method="GET", path="/phone-exists/{phone}"):
    """Whether a number has WhatsApp; a Brazilian one also without its ninth digit."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"phone": _PHONE}
    answer_example: ClassVar[Any] = {"exists": True, "phone": _PHONE, "lid": "81896604192873@lid"}
    failures = (_UNAVAILABLE,)

    phone: Phone


class CheckedPhone(Wire):
    """What became of one of the numbers."""

    exists: bool
    input_phone: str
    output_phone: str
    lid: str | None


def _phone_or_text(value: object) -> object:
    """Keeps what is no phone number: it is answered as one that does not exist."""
    try:
        return parse_chat(value)
    except PydanticCustomError:
        return value


_PhoneOrText = Annotated[str, BeforeValidator(_phone_or_text)]


class CheckPhones(Operation[tuple[CheckedPhone, ...]], method="POST", path="/phone-exists-batch"):
    """Which of up to 50,000 numbers have WhatsApp, in the order of the request.

    What is no phone number does not exist; the rest of the request is answered.
    """

    scope = ApiScope.READ
    audited = False  # reads
    min_body_limit_bytes = 4_194_304  # 50,000 numbers, spaces between the digits included
    example: ClassVar[Example] = {"phones": [_PHONE, _OTHER]}
    example_minimal: ClassVar[Example] = {"phones": [_PHONE]}
    answer_example: ClassVar[Any] = [
        {
            "exists": True,
            "inputPhone": _PHONE,
            "outputPhone": _PHONE,
            "lid": "81896604192873@lid",
        },
        {"exists": False, "inputPhone": _OTHER, "outputPhone": _OTHER, "lid": None},
    ]
    failures = (_UNAVAILABLE,)

    phones: Annotated[tuple[_PhoneOrText, ...], Field(min_length=1, max_length=_MAX_BATCH)]


class LookUpPhones(Operation[dict[str, str | None]]):
    """Executed by the session: the numbers that have WhatsApp, each with its lid."""

    phones: tuple[str, ...]


class LookUpNumber(LookUpPhones):
    """The same for the ways to write one number."""

    cache_ttl_seconds = 300.0


CheckPhone.session_operation, CheckPhones.session_operation = LookUpNumber, LookUpPhones


class ModifyBlocked(
    Operation[Value],
    method="POST",
    path="/contacts/modify-blocked",
    also=(RouteAddress("POST", "/modify-blocked"),),
):
    """Blocks or unblocks a person."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"phone": "5511777777777", "action": "block"}
    answer_example: ClassVar[Any] = {"value": True}
    failures = (_UNAVAILABLE,)

    phone: Person
    action: Annotated[Literal["block", "unblock"], ANY_CASE]


class ReportContact(Operation[Success], method="POST", path="/contacts/{phone}/report"):
    """Reports a person to WhatsApp."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"phone": "5511777777777"}
    failures = (_UNAVAILABLE,)

    phone: Person


ModifyBlocked.session_operation, ReportContact.session_operation = ModifyBlocked, ReportContact
