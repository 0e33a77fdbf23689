"""Communities: groups of groups."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.communities import (
    CommunityCreated,
    CommunityMetadata,
    CreateCommunity,
    DescribeCommunity,
    Linked,
    LinkGroups,
    LinkOperation,
    ListCommunities,
    ListedCommunity,
    ReadCommunity,
    SetCommunityPhoto,
    SubGroup,
    UnlinkGroups,
)
from gateway.whatsapp_web.jids import GROUP, jid_of, text_of
from gateway.whatsapp_web.operations.groups import (
    Info,
    id_of,
    is_announcement,
    is_community,
    subject_of,
)
from gateway.whatsapp_web.session import VerbFailed, WebSession

operations: Handlers[WebSession] = Handlers()

_VERBS: dict[type[LinkOperation], str] = {LinkGroups: "link_group", UnlinkGroups: "unlink_group"}


@operations.handles(CreateCommunity)
async def create(session: WebSession, operation: CreateCommunity) -> CommunityCreated:
    made = await session.call("create_group", name=operation.name, people=[], community=True)
    jid = text_of(made["JID"]) or ""
    if operation.description:
        await session.call("describe_group", jid=jid, text=operation.description)
    return CommunityCreated(id=jid.partition("@")[0], sub_groups=await _sub_groups(session, jid))


@operations.handles(ListCommunities)
async def list_all(session: WebSession, _pending: ListCommunities) -> tuple[ListedCommunity, ...]:
    groups = await session.call("joined_groups")
    return tuple(
        ListedCommunity(name=subject_of(g), id=g["JID"]["User"]) for g in groups if is_community(g)
    )


@operations.handles(LinkOperation)
async def link(session: WebSession, operation: LinkOperation) -> Linked:
    parent, errors = _jid(operation.community_id), []
    for phone in operation.groups_phones:
        try:
            await session.call(_VERBS[type(operation)], parent=parent, child=jid_of(phone))
        except VerbFailed as error:
            errors.append(f"{phone}: {error.text}")
    return Linked(success=not errors, errors=tuple(errors) or None)


@operations.handles(ReadCommunity)
async def read(session: WebSession, operation: ReadCommunity) -> CommunityMetadata:
    jid = _jid(operation.community_id)
    community = await session.call("group", jid=jid)
    return CommunityMetadata(
        name=subject_of(community),
        id=operation.community_id,
        description=community.get("GroupTopic", {}).get("Topic", ""),
        sub_groups=await _sub_groups(session, jid),
    )


@operations.handles(DescribeCommunity)
async def describe(session: WebSession, operation: DescribeCommunity) -> Value:
    await session.call(
        "describe_group", jid=_jid(operation.community_id), text=operation.community_description
    )
    return Value()


@operations.handles(SetCommunityPhoto)
async def set_photo(session: WebSession, operation: SetCommunityPhoto) -> Value:
    jpeg = await session.picture(operation.community_photo)
    await session.call("set_group_picture", jid=_jid(operation.community_id), jpeg=jpeg)
    return Value()


async def _sub_groups(session: WebSession, jid: str) -> tuple[SubGroup, ...]:
    found: list[Info] = await session.call("sub_groups", jid=jid)
    return tuple(
        SubGroup(name=subject_of(g), phone=id_of(g), is_group_announcement=is_announcement(g))
        for g in found
    )


def _jid(community_id: str) -> str:
    return f"{community_id}@{GROUP}"
