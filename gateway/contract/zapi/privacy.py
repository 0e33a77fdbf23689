"""Privacy settings: who sees what of this number."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.operation import Operation, RouteAddress, Success
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Incoming, Phone, Wire

_UNAVAILABLE = 503
_LISTED: Example = {"action": "add", "phone": "5511777777777"}
Audience = Literal["ALL", "NONE", "CONTACTS", "CONTACT_BLACKLIST"]
GroupAudience = Literal["ALL", "CONTACTS", "CONTACT_BLACKLIST"]
BlacklistName = Literal["lastSeen", "photo", "description", "groupAdd"]


class Disallowed(Wire):
    """The people that one setting excludes."""

    disallowed_contacts: tuple[str, ...]


class ListDisallowed(
    Operation[Disallowed],
    method="GET",
    path="/privacy/disallowed-contacts",
    also=(RouteAddress("GET", "/disallowed-contacts"),),
):
    """The people that one setting excludes."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"type": "lastSeen"}
    example_minimal: ClassVar[Example] = {"type": "lastSeen"}
    answer_example: ClassVar[Any] = {"disallowedContacts": ["5511777777777"]}
    failures = (_UNAVAILABLE,)

    type: Annotated[BlacklistName, ANY_CASE]


class BlacklistChange(Incoming):
    """A person to exclude, or to include again."""

    action: Annotated[Literal["add", "remove"], ANY_CASE]
    phone: Phone


class PrivacyOperation(Operation[Success]):
    """One setting; `contactsBlacklist` holds changes, not the whole list."""

    failures = (_UNAVAILABLE,)
    contacts_blacklist: Annotated[tuple[BlacklistChange, ...], Field(max_length=1_000)] = ()


class AudienceOperation(PrivacyOperation):
    """Who sees something."""

    example: ClassVar[Example] = {
        "visualizationType": "CONTACT_BLACKLIST",
        "contactsBlacklist": [_LISTED],
    }
    example_minimal: ClassVar[Example] = {"visualizationType": "ALL"}

    visualization_type: Annotated[Audience, ANY_CASE]


class SetLastSeen(AudienceOperation, method="POST", path="/privacy/last-seen"):
    """Who sees when this number was last online."""

    scope = ApiScope.MANAGE


class SetPhotoPrivacy(
    AudienceOperation,
    method="POST",
    path="/privacy/photo",
    also=(RouteAddress("POST", "/privacy/photo-visualization"),),
):
    """Who sees the picture."""

    scope = ApiScope.MANAGE
    unconfirmed = ("/privacy/photo-visualization",)


class SetDescriptionPrivacy(AudienceOperation, method="POST", path="/privacy/description"):
    """Who sees the text about this number."""

    scope = ApiScope.MANAGE


class SetGroupAdd(PrivacyOperation, method="POST", path="/privacy/group-add"):
    """Who may add this number to groups."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"type": "CONTACT_BLACKLIST", "contactsBlacklist": [_LISTED]}
    example_minimal: ClassVar[Example] = {"type": "ALL"}

    type: Annotated[GroupAudience, ANY_CASE]


class SetOnline(Operation[Success], method="POST", path="/privacy/online"):
    """Who sees that this number is online."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"visualizationType": "ALL"}
    failures = (_UNAVAILABLE,)

    visualization_type: Annotated[Literal["ALL", "SAME_LAST_SEEN"], ANY_CASE]


class SetReadReceipts(Operation[Success], method="POST", path="/privacy/read-receipts"):
    """Whether people see that their messages were read."""

    scope = ApiScope.MANAGE
    fields_in = "query"
    example: ClassVar[Example] = {"value": "enable"}
    example_minimal: ClassVar[Example] = {"value": "enable"}
    failures = (_UNAVAILABLE,)

    value: Annotated[Literal["enable", "disable"], ANY_CASE]


class SetMessagesDuration(Operation[Success], method="POST", path="/privacy/messages-duration"):
    """After how long messages of new chats disappear."""

    scope = ApiScope.MANAGE
    fields_in = "query"
    example: ClassVar[Example] = {"value": "days90"}
    example_minimal: ClassVar[Example] = {"value": "days90"}
    failures = (_UNAVAILABLE,)

    value: Annotated[Literal["days90", "days7", "hours24", "disable"], ANY_CASE]
