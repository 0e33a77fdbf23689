"""A group itself: made, listed, shown and changed."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, StringConstraints

from gateway.contract.documented import Example
from gateway.contract.operation import Operation, Result, Value
from gateway.contract.paging import Paged
from gateway.contract.scopes import ApiScope
from gateway.contract.urls import WRITTEN_URL
from gateway.contract.whatsapp_limits import (
    MAX_GROUP_DESCRIPTION_LENGTH,
    MAX_GROUP_MEMBERS,
    MAX_GROUP_SUBJECT_LENGTH,
)
from gateway.contract.wire import GroupId, OmitIfNone, Person, Wire
from gateway.contract.zapi.chats import TextFlag

_UNAVAILABLE, _NOT_FOUND, _FORBIDDEN = 503, 404, 403
GROUP_FAILURES = (_FORBIDDEN, _NOT_FOUND, _UNAVAILABLE)
GROUP = "120363019502650977-group"
LINK = "https://chat.whatsapp.com/C1adgkdEGki7554BWDdMkd"
ANA, BEN = "5511888888888", "5511777777777"
DONE: Example = {"value": True}

Subject = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_GROUP_SUBJECT_LENGTH)
]
Description = Annotated[str, StringConstraints(max_length=MAX_GROUP_DESCRIPTION_LENGTH)]
People = Annotated[tuple[Person, ...], Field(min_length=1, max_length=MAX_GROUP_MEMBERS)]


class ListedGroup(Wire):
    """A group in the list; `lastMessageTime` counts milliseconds here."""

    phone: str
    name: str
    is_group: Literal[True] = True
    unread: str = "0"
    messages_unread: str = "0"
    last_message_time: str
    is_muted: Literal["0", "1"] = "0"
    mute_end_time: str | None = None
    is_marked_spam: TextFlag = "false"
    archived: TextFlag = "false"
    pinned: TextFlag = "false"


class JoinedGroup(Wire):
    """A group this number is in; `since_ms` is when it was made."""

    phone: str
    subject: str
    since_ms: int


class ListJoinedGroups(Operation[tuple[JoinedGroup, ...]]):
    """Executed by the session: every group of this number."""

    cache_ttl_seconds = 30.0


class ListGroups(Operation[tuple[ListedGroup, ...]], Paged, method="GET", path="/groups"):
    """The groups this number is in, the latest first."""

    scope = ApiScope.READ
    session_operation = ListJoinedGroups
    example: ClassVar[Example] = {"page": 1, "pageSize": 10}
    example_minimal: ClassVar[Example] = {"page": 1, "pageSize": 10}
    answer_example: ClassVar[Any] = [
        {
            "phone": GROUP,
            "name": "Front desk",
            "isGroup": True,
            "unread": "0",
            "messagesUnread": "0",
            "lastMessageTime": "1767225600000",
            "isMuted": "0",
            "muteEndTime": None,
            "isMarkedSpam": "false",
            "archived": "false",
            "pinned": "false",
        }
    ]
    failures = (_UNAVAILABLE,)


class GroupCreated(Wire):
    """The new group and its invitation link."""

    phone: str
    invitation_link: str


class CreateGroup(Operation[GroupCreated], method="POST", path="/create-group"):
    """Makes a group; this number is its owner."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "autoInvite": True,
        "groupName": "Front desk",
        "phones": [ANA, BEN],
    }
    example_minimal: ClassVar[Example] = {"groupName": "Front desk", "phones": [ANA]}
    answer_example: ClassVar[Any] = {"phone": GROUP, "invitationLink": LINK}
    failures = (_UNAVAILABLE,)

    group_name: Subject
    phones: People
    auto_invite: bool = Field(default=False, description="write to those who cannot be added")


CreateGroup.session_operation = CreateGroup


class GroupOperation(Operation[Result]):
    """About one group."""

    failures = GROUP_FAILURES

    group_id: Annotated[GroupId, Field(validation_alias=AliasChoices("groupId", "group_id"))]


class RenameGroup(GroupOperation[Value], method="POST", path="/update-group-name"):
    """Gives a group another name."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"groupId": GROUP, "groupName": "Back office"}
    answer_example: ClassVar[Any] = DONE

    group_name: Subject


class SetGroupPhoto(GroupOperation[Value], method="POST", path="/update-group-photo"):
    """Gives a group another picture: an address, a data URI or base64."""

    scope = ApiScope.SEND
    carries_media = True
    example: ClassVar[Example] = {
        "groupId": GROUP,
        "groupPhoto": "https://example.com/image.png",
    }
    answer_example: ClassVar[Any] = DONE

    group_id: Annotated[
        GroupId, Field(validation_alias=AliasChoices("groupId", "groupID", "group_id"))
    ]
    group_photo: Annotated[str, Field(min_length=1), WRITTEN_URL]


class DescribeGroup(GroupOperation[Value], method="POST", path="/update-group-description"):
    """Gives a group another description."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"groupId": GROUP, "groupDescription": "Who is in today"}
    answer_example: ClassVar[Any] = DONE

    group_description: Description


class SetGroupRules(Operation[Value], method="POST", path="/update-group-settings"):
    """Changes who may do what in a group; what is not given stays."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "phone": GROUP,
        "adminOnlyMessage": True,
        "adminOnlySettings": True,
        "requireAdminApproval": False,
        "adminOnlyAddMember": True,
    }
    example_minimal: ClassVar[Example] = {"phone": GROUP, "adminOnlyMessage": False}
    answer_example: ClassVar[Any] = DONE
    failures = GROUP_FAILURES

    phone: Annotated[GroupId, Field(validation_alias=AliasChoices("phone", "groupId"))]
    admin_only_message: bool | None = None
    admin_only_settings: bool | None = None
    require_admin_approval: bool | None = None
    admin_only_add_member: bool | None = None


class Participant(Wire):
    """A person in a group."""

    phone: str
    lid: str | None = OmitIfNone
    is_admin: bool
    is_super_admin: bool
    short: str | None = OmitIfNone
    name: str | None = OmitIfNone


class GroupMetadata(Wire):
    """A group; times in milliseconds. Only admins see the link, others why they do not."""

    phone: str
    description: str | None
    owner: str
    subject: str
    creation: int
    invitation_link: str | None
    invitation_link_error: str | None
    community_id: str | None
    admin_only_message: bool
    admin_only_settings: bool
    require_admin_approval: bool
    is_group_announcement: bool
    participants: tuple[Participant, ...]
    subject_time: int
    subject_owner: str


_METADATA = {
    "phone": GROUP,
    "description": "Who is in today",
    "owner": "5511999999999",
    "subject": "Front desk",
    "creation": 1767225600000,
    "invitationLink": LINK,
    "invitationLinkError": None,
    "communityId": None,
    "adminOnlyMessage": False,
    "adminOnlySettings": False,
    "requireAdminApproval": False,
    "isGroupAnnouncement": False,
    "participants": [
        {"phone": "5511999999999", "isAdmin": True, "isSuperAdmin": True},
        {
            "phone": ANA,
            "isAdmin": False,
            "isSuperAdmin": False,
            "short": "Ana",
            "name": "Ana Lima",
        },
    ],
    "subjectTime": 1767225600000,
    "subjectOwner": "5511999999999",
}


class ReadGroup(Operation[GroupMetadata], method="GET", path="/group-metadata/{phone}"):
    """A group, its people and its invitation link."""

    scope = ApiScope.READ
    cache_ttl_seconds = 30.0
    example: ClassVar[Example] = {"phone": GROUP}
    answer_example: ClassVar[Any] = _METADATA
    failures = GROUP_FAILURES

    phone: GroupId


class ReadGroupLight(Operation[GroupMetadata], method="GET", path="/light-group-metadata/{phone}"):
    """The same without the link, which takes WhatsApp longer."""

    scope = ApiScope.READ
    cache_ttl_seconds = 30.0
    example: ClassVar[Example] = {"phone": GROUP}
    answer_example: ClassVar[Any] = {**_METADATA, "invitationLink": None}
    failures = GROUP_FAILURES

    phone: GroupId


ReadGroup.session_operation, ReadGroupLight.session_operation = ReadGroup, ReadGroupLight
