"""What is stored of a person, for their right to know it; and running erasures."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from gateway.contract.documented import Example
from gateway.contract.operation import Operation
from gateway.contract.paging import between
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Person, Wire

_PHONE = "5511999999999"
_MAX_PAGE_SIZE = 500


class PersonData(Wire):
    """What is stored of a person; every page has all but the messages.

    `names` are their numbers and lids. `messages` are those from and to the person, the latest
    first, `queued` those that wait. `files` are described where a message of the page names them.
    Each entry has the columns that `gateway export` writes.
    """

    phone: str
    names: tuple[str, ...]
    contacts: tuple[dict[str, Any], ...]
    identities: tuple[dict[str, Any], ...]
    chats: tuple[dict[str, Any], ...]
    consents: tuple[dict[str, Any], ...]
    broadcast_lists: tuple[str, ...]
    queued: tuple[dict[str, Any], ...]
    messages: tuple[dict[str, Any], ...]
    files: tuple[dict[str, Any], ...]
    paging_state: str | None
    has_more: bool


class ReadPersonData(Operation[PersonData], method="GET", path="/contacts/{phone}/data"):
    """What is stored of a person, to give it to them (LGPD, GDPR); by cursor. An extension.

    Repeat it with `pagingState` while `hasMore`. It is written to the audit log.
    """

    scope = ApiScope.MANAGE
    audited = True
    example: ClassVar[Example] = {"phone": _PHONE, "pageSize": 100}
    example_minimal: ClassVar[Example] = {"phone": _PHONE}
    answer_example: ClassVar[Any] = {
        "phone": _PHONE,
        "names": [_PHONE, "811111111111111@lid"],
        "contacts": [{"phone": _PHONE, "name": "Ana"}],
        "identities": [],
        "chats": [{"phone": _PHONE, "note": "Prefers mornings", "tags": ["VIP"]}],
        "consents": [{"phone": _PHONE, "status": "granted", "source": "web form"}],
        "broadcastLists": ["Customers"],
        "queued": [],
        "messages": [
            {
                "message_id": "3EB0C767D097B7C7B2C3",
                "from_me": True,
                "status": "sent",
                "type": "send-text",
                "payload": {"phone": _PHONE, "message": "Hello"},
                "created_at": "2026-01-31T12:00:00+00:00",
            }
        ],
        "files": [],
        "pagingState": None,
        "hasMore": False,
    }

    phone: Person
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 100
    paging_state: str | None = None


class ErasureProgress(Wire):
    """A person whose number is still being removed from other chats.

    `names` are numbers and lids. `percent` grows to 99; then the entry disappears. `changed` counts
    rows of the present pass, `canceled` waiting messages that held the person's contact card.
    """

    names: tuple[str, ...]
    since: datetime
    pass_number: int
    percent: int
    changed: int
    canceled: int


class ErasureList(Wire):
    """The running erasures, oldest first."""

    erasures: tuple[ErasureProgress, ...]


class ListErasures(Operation[ErasureList], method="GET", path="/erasures"):
    """How far the erasures of people are; one that has ended is left out. An extension.

    With `phone` only that person, under whichever of their names. `DELETE /contacts/{phone}/data`
    begins an erasure, and `gateway people erase` does it with a progress bar.
    """

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"phone": _PHONE}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "erasures": [
            {
                "names": [_PHONE],
                "since": "2026-01-31T12:00:00Z",
                "passNumber": 1,
                "percent": 40,
                "changed": 3,
                "canceled": 0,
            }
        ]
    }

    phone: Person | None = None
