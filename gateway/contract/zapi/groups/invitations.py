"""The links that lead into groups and communities."""

from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field, StringConstraints

from gateway.contract.documented import Example
from gateway.contract.operation import Operation, RouteAddress, Success
from gateway.contract.scopes import ApiScope
from gateway.contract.urls import UNWRAPPED
from gateway.contract.wire import CommunityId, GroupId, Incoming, Wire
from gateway.contract.zapi.groups.group import (
    GROUP,
    GROUP_FAILURES,
    LINK,
    GroupCreated,
    GroupOperation,
    Participant,
)


class InvitedGroup(Wire):
    """What a link shows of its group."""

    phone: str
    owner: str
    subject: str
    description: str | None
    creation: int
    invitation_link: str
    contacts_count: int
    participants_count: int
    participants: tuple[Participant, ...]
    subject_time: int
    subject_owner: str


class _WithLink(Incoming):
    url: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=2_048),
        UNWRAPPED,
        Field(validation_alias=AliasChoices("url", "URL")),
    ]


class ReadInvitation(
    Operation[InvitedGroup], _WithLink, method="GET", path="/group-invitation-metadata"
):
    """The group that a link leads to."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"url": LINK}
    example_minimal: ClassVar[Example] = {"url": LINK}
    answer_example: ClassVar[Any] = {
        "phone": GROUP,
        "owner": "5511999999999",
        "subject": "Front desk",
        "description": "Who is in today",
        "creation": 1767225600000,
        "invitationLink": LINK,
        "contactsCount": 1,
        "participantsCount": 1,
        "participants": [{"phone": "5511999999999", "isAdmin": True, "isSuperAdmin": True}],
        "subjectTime": 1767225600000,
        "subjectOwner": "5511999999999",
    }
    failures = GROUP_FAILURES


class NewInvitation(Wire):
    """The invitation link of a group or community."""

    invitation_link: str


class RenewInvitation(
    Operation[NewInvitation], method="POST", path="/redefine-invitation-link/{group_id}"
):
    """Makes another link to a group or community; the one before leads nowhere."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"groupId": GROUP}
    answer_example: ClassVar[Any] = {"invitationLink": LINK}
    failures = GROUP_FAILURES

    group_id: GroupId | CommunityId


class ReadInvitationLink(
    GroupOperation[GroupCreated],
    method="GET",
    path="/group-invitation-link/{group_id}",
    also=(RouteAddress("POST", "/group-invitation-link/{group_id}"),),
):
    """The invitation link of a group."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"groupId": GROUP}
    answer_example: ClassVar[Any] = {"phone": GROUP, "invitationLink": LINK}


class AcceptInvitation(Operation[Success], _WithLink, method="GET", path="/accept-invite-group"):
    """Joins a group by its link; where its admins decide, requests to join."""

    scope = ApiScope.SEND
    audited = True
    example: ClassVar[Example] = {"url": LINK}
    example_minimal: ClassVar[Example] = {"url": LINK}
    failures = GROUP_FAILURES
