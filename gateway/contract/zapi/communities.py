"""Communities and the groups linked to them."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.operation import Operation, Result, Success, Value
from gateway.contract.paging import Paged
from gateway.contract.scopes import ApiScope
from gateway.contract.urls import WRITTEN_URL
from gateway.contract.wire import CommunityId, GroupId, OmitIfNone, Wire
from gateway.contract.zapi.groups.group import DONE, GROUP_FAILURES, Description, Subject

_COMMUNITY, _GROUP = "120363186053925765", "120363019502650977-group"
MAX_GROUPS = 50


class SubGroup(Wire):
    """A group of a community."""

    name: str
    phone: str
    is_group_announcement: bool


class CommunityCreated(Wire):
    """The new community; its announcement group is made with it."""

    id: str
    sub_groups: tuple[SubGroup, ...]


_SUB_GROUPS = [{"name": "Neighbours", "phone": _GROUP, "isGroupAnnouncement": True}]


class CreateCommunity(Operation[CommunityCreated], method="POST", path="/communities"):
    """Makes a community and its announcement group."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"name": "Neighbours", "description": "All houses of the street"}
    example_minimal: ClassVar[Example] = {"name": "Neighbours"}
    answer_example: ClassVar[Any] = {"id": _COMMUNITY, "subGroups": _SUB_GROUPS}
    failures = (503,)

    name: Subject
    description: Description = ""


class ListedCommunity(Wire):
    """A community in the list."""

    name: str
    id: str


class ListCommunities(
    Operation[tuple[ListedCommunity, ...]], Paged, method="GET", path="/communities"
):
    """The communities this number is in."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"page": 1, "pageSize": 10}
    answer_example: ClassVar[Any] = [{"name": "Neighbours", "id": _COMMUNITY}]
    failures = (503,)


class CommunityOperation(Operation[Result]):
    """About one community."""

    failures = GROUP_FAILURES

    community_id: CommunityId


class Linked(Wire):
    """What became of it; `errors` names the groups that were refused, and why."""

    success: bool = True
    errors: tuple[str, ...] | None = OmitIfNone


class LinkOperation(CommunityOperation[Linked]):
    """About groups of a community."""

    example: ClassVar[Example] = {"communityId": _COMMUNITY, "groupsPhones": [_GROUP]}
    answer_example: ClassVar[Any] = {"success": True}

    groups_phones: Annotated[tuple[GroupId, ...], Field(min_length=1, max_length=MAX_GROUPS)]


class LinkGroups(LinkOperation, method="POST", path="/communities/link"):
    """Attaches groups to a community; those that are elsewhere already are refused by name."""

    scope = ApiScope.SEND


class UnlinkGroups(LinkOperation, method="POST", path="/communities/unlink"):
    """Detaches groups from a community; one ordinary group must remain."""

    scope = ApiScope.SEND


class CommunityMetadata(Wire):
    """A community and its groups."""

    name: str
    id: str
    description: str
    sub_groups: tuple[SubGroup, ...]


class ReadCommunity(
    CommunityOperation[CommunityMetadata],
    method="GET",
    path="/communities-metadata/{community_id}",
):
    """A community and its groups."""

    scope = ApiScope.READ
    cache_ttl_seconds = 30.0
    example: ClassVar[Example] = {"communityId": _COMMUNITY}
    answer_example: ClassVar[Any] = {
        "name": "Neighbours",
        "id": _COMMUNITY,
        "description": "All houses of the street",
        "subGroups": _SUB_GROUPS,
    }


class SetCommunityRules(CommunityOperation[Success], method="POST", path="/communities/settings"):
    """Who may add groups."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"communityId": _COMMUNITY, "whoCanAddNewGroups": "admins"}

    who_can_add_new_groups: Annotated[Literal["admins", "all"], ANY_CASE]


class DeleteCommunity(
    CommunityOperation[Value], method="DELETE", path="/communities/{community_id}"
):
    """Ends a community; its groups stay, its announcement group goes."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"communityId": _COMMUNITY}
    answer_example: ClassVar[Any] = DONE


class DescribeCommunity(
    CommunityOperation[Value], method="POST", path="/update-community-description"
):
    """Gives a community another description."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "communityId": _COMMUNITY,
        "communityDescription": "Every house of the street",
    }
    answer_example: ClassVar[Any] = DONE

    community_description: Description


class SetCommunityPhoto(CommunityOperation[Value], method="POST", path="/update-community-photo"):
    """Gives a community another picture: an address, a data URI or base64."""

    scope = ApiScope.SEND
    carries_media = True
    example: ClassVar[Example] = {
        "communityId": _COMMUNITY,
        "communityPhoto": "https://example.com/image.png",
    }
    answer_example: ClassVar[Any] = DONE

    community_photo: Annotated[str, Field(min_length=1), WRITTEN_URL]
