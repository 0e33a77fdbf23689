"""Groups: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.zapi.groups.group import (
    CreateGroup,
    GroupOperation,
    ReadGroup,
    ReadGroupLight,
    SetGroupRules,
)
from gateway.contract.zapi.groups.invitations import (
    AcceptInvitation,
    ReadInvitation,
    RenewInvitation,
)
from gateway.contract.zapi.groups.members import (
    DemoteParticipants,
    LeaveGroup,
    MembersOperation,
    RemoveParticipants,
)
from gateway.documents.postman_setup import PostmanSetup

_CREATED_GROUP = PostmanSetup(order=1, values={"groupId": "{{groupId}}"})
_CREATED_GROUP_AS_PHONE = PostmanSetup(order=1, values={"phone": "{{groupId}}"})

SETUPS: Mapping[type, PostmanSetup] = {
    CreateGroup: PostmanSetup(saves={"groupId": "phone", "groupLink": "invitationLink"}),
    GroupOperation: _CREATED_GROUP,
    SetGroupRules: _CREATED_GROUP_AS_PHONE,
    ReadGroup: _CREATED_GROUP_AS_PHONE,
    ReadGroupLight: _CREATED_GROUP_AS_PHONE,
    ReadInvitation: PostmanSetup(order=1, values={"url": "{{groupLink}}"}),
    RenewInvitation: PostmanSetup(
        order=1, values={"groupId": "{{groupId}}"}, saves={"groupLink": "invitationLink"}
    ),
    AcceptInvitation: PostmanSetup(order=1, values={"url": "{{groupLink}}"}),
    MembersOperation: _CREATED_GROUP,
    RemoveParticipants: PostmanSetup(order=3, values={"groupId": "{{groupId}}"}),
    DemoteParticipants: PostmanSetup(order=2, values={"groupId": "{{groupId}}"}),
    LeaveGroup: PostmanSetup(order=20, values={"groupId": "{{groupId}}"}),
}
