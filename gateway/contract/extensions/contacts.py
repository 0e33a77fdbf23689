"""People: their consent to be written to, and the erasure of their data."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.operation import AuditedState, Operation, Value
from gateway.contract.paging import Paged
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import OmitIfNone, Person, Wire

_PHONE = "5511999999999"
_MAX_QUERY_LENGTH = 100


class ConsentRecord(Wire):
    """What a person agreed to; `at` in milliseconds, 0 where nothing is recorded."""

    phone: str
    status: Literal["granted", "revoked", "unknown"]
    source: str | None = OmitIfNone
    note: str | None = OmitIfNone
    at: int = 0


class ReadConsent(Operation[ConsentRecord], method="GET", path="/contacts/{phone}/consent"):
    """Whether a person agreed to be written to. An extension."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"phone": _PHONE}
    answer_example: ClassVar[Any] = {
        "phone": _PHONE,
        "status": "granted",
        "source": "web form",
        "at": 1767225600000,
    }

    phone: Person


class RecordConsent(Operation[ConsentRecord], method="PUT", path="/contacts/{phone}/consent"):
    """Records that a person agreed to be written to, or no longer does. An extension.

    If the account refuses messages to people who opted out, `revoked` has that effect.
    """

    scope = ApiScope.SEND
    audited_state = AuditedState.CONSENT
    example: ClassVar[Example] = {
        "phone": _PHONE,
        "status": "granted",
        "source": "web form",
        "note": "newsletter",
    }
    example_minimal: ClassVar[Example] = {"phone": _PHONE, "status": "granted"}
    answer_example: ClassVar[Any] = {
        "phone": _PHONE,
        "status": "granted",
        "source": "web form",
        "note": "newsletter",
        "at": 1767225600000,
    }

    phone: Person
    status: Annotated[Literal["granted", "revoked"], ANY_CASE]
    source: Annotated[str, StringConstraints(max_length=255)] | None = None
    note: Annotated[str, StringConstraints(max_length=2_000)] | None = None


class ConsentPage(Wire):
    """A page of consents, and how many there are in all."""

    consents: tuple[ConsentRecord, ...]
    total: int


class ListConsents(Operation[ConsentPage], Paged, method="GET", path="/consents"):
    """The recorded consents of all people, in the order of their numbers. An extension.

    `gateway export` writes them into a file, with everything else of the account.
    """

    scope = ApiScope.READ
    example: ClassVar[Example] = {
        "status": "revoked",
        "query": "5511",
        "page": 1,
        "pageSize": 100,
    }
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "consents": [
            {
                "phone": _PHONE,
                "status": "revoked",
                "source": "answer STOP",
                "at": 1767225600000,
            }
        ],
        "total": 1,
    }

    status: Annotated[Literal["granted", "revoked"], ANY_CASE] | None = None
    query: Annotated[
        str | None,
        StringConstraints(max_length=_MAX_QUERY_LENGTH),
        Field(description="digits within the number"),
    ] = None


class ForgetConsent(Operation[Value], method="DELETE", path="/contacts/{phone}/consent"):
    """Deletes the recorded consent. An extension."""

    scope = ApiScope.SEND
    audited_state = AuditedState.CONSENT
    example: ClassVar[Example] = {"phone": _PHONE}
    answer_example: ClassVar[Any] = {"value": True}

    phone: Person


class Erased(Wire):
    """How many rows were erased, by kind, and that other chats are being searched for the person.

    `canceled` counts the waiting messages to others that held the person's contact card.
    """

    phone: str
    erased: dict[str, int]
    searching_other_chats: bool = True


class ErasePerson(Operation[Erased], method="DELETE", path="/contacts/{phone}/data"):
    """Erases a person: queue, history, files, names, and what the provider stores. An extension.

    Contact cards, mentions and the number in other chats are searched for and removed afterwards,
    within moments or, where the history is long, minutes. A consent and its time stay; what was
    noted about it is erased.

    A message that is being sent is not recalled, and is erased when it was sent.
    """

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"phone": "5511666666666"}
    answer_example: ClassVar[Any] = {
        "phone": "5511666666666",
        "erased": {"queue": 0, "messages": 12, "media": 1, "contacts": 1, "canceled": 1},
        "searchingOtherChats": True,
    }

    phone: Person
