"""Communities: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.zapi.communities import (
    CommunityOperation,
    CreateCommunity,
    DeleteCommunity,
    LinkGroups,
    UnlinkGroups,
)
from gateway.documents.postman_setup import PostmanSetup, Precondition

_CREATED_COMMUNITY = PostmanSetup(order=1, values={"communityId": "{{communityId}}"})
_ANOTHER_GROUP = Precondition("/create-group")

SETUPS: Mapping[type, PostmanSetup] = {
    CreateCommunity: PostmanSetup(saves={"communityId": "id"}),
    CommunityOperation: _CREATED_COMMUNITY,
    LinkGroups: PostmanSetup(
        order=2,
        first=(_ANOTHER_GROUP,),
        values={"communityId": "{{communityId}}", "groupsPhones": ["{{groupId}}"]},
    ),
    UnlinkGroups: PostmanSetup(
        order=3,
        first=(
            Precondition(
                "/communities/link",
                {"communityId": "{{communityId}}", "groupsPhones": ["{{groupId}}"]},
            ),
            _ANOTHER_GROUP,
            Precondition(
                "/communities/link",
                {"communityId": "{{communityId}}", "groupsPhones": ["{{groupId}}"]},
            ),
        ),
        values={"communityId": "{{communityId}}", "groupsPhones": ["{{groupId}}"]},
    ),
    DeleteCommunity: PostmanSetup(order=20, values={"communityId": "{{communityId}}"}),
}
