"""The people of a group, or of a community."""

from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.operation import Operation, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import CommunityId, GroupId
from gateway.contract.zapi.groups.group import (
    ANA,
    BEN,
    DONE,
    GROUP,
    GROUP_FAILURES,
    GroupOperation,
    People,
)


class MembersOperation(Operation[Value]):
    """About people of a group, or of a community: one of the two is given."""

    answer_example: ClassVar[Any] = DONE
    failures = GROUP_FAILURES

    group_id: GroupId | None = None
    community_id: CommunityId | None = None
    phones: People

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.group_id is None) == (self.community_id is None):
            raise PydanticCustomError("one_of_two", "give groupId or communityId")
        return self


class AddParticipants(MembersOperation, method="POST", path="/add-participant"):
    """Adds people to a group or community."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "autoInvite": True,
        "groupId": GROUP,
        "phones": ["5511666666666", "5511555555555"],
    }
    example_minimal: ClassVar[Example] = {"groupId": GROUP, "phones": ["5511444444444"]}

    auto_invite: bool = Field(default=False, description="write to those who cannot be added")


class RemoveParticipants(MembersOperation, method="POST", path="/remove-participant"):
    """Removes people from a group or community."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"groupId": GROUP, "phones": ["5511666666666", "5511555555555"]}
    example_minimal: ClassVar[Example] = {"groupId": GROUP, "phones": ["5511444444444"]}


class PromoteParticipants(MembersOperation, method="POST", path="/add-admin"):
    """Makes people admins of a group or community."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"groupId": GROUP, "phones": [ANA, BEN]}
    example_minimal: ClassVar[Example] = {"groupId": GROUP, "phones": [ANA]}


class DemoteParticipants(MembersOperation, method="POST", path="/remove-admin"):
    """Makes admins of a group or community ordinary members again."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"groupId": GROUP, "phones": [ANA, BEN]}
    example_minimal: ClassVar[Example] = {"groupId": GROUP, "phones": [ANA]}


class RequestsOperation(GroupOperation[Value]):
    """A decision on requests to join."""

    example: ClassVar[Example] = {"groupId": GROUP, "phones": ["5511333333333"]}
    answer_example: ClassVar[Any] = DONE

    phones: People


class ApproveParticipants(RequestsOperation, method="POST", path="/approve-participant"):
    """Accepts requests to join; false when none of the people is waiting."""

    scope = ApiScope.SEND


class RejectParticipants(RequestsOperation, method="POST", path="/reject-participant"):
    """Rejects requests to join; false when none of the people is waiting."""

    scope = ApiScope.SEND


for _about_people in (
    AddParticipants,
    RemoveParticipants,
    PromoteParticipants,
    DemoteParticipants,
    ApproveParticipants,
    RejectParticipants,
):
    _about_people.session_operation = _about_people


class LeaveGroup(GroupOperation[Value], method="POST", path="/leave-group"):
    """Leaves a group."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"groupId": GROUP}
    answer_example: ClassVar[Any] = DONE
