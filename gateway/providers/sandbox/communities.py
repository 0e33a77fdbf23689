"""Communities: groups with the same community id.

The members of a community are those of its announcement group.
"""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.contract.zapi.communities import (
    MAX_GROUPS,
    CommunityCreated,
    CommunityMetadata,
    CreateCommunity,
    DeleteCommunity,
    DescribeCommunity,
    Linked,
    LinkGroups,
    ListCommunities,
    ListedCommunity,
    ReadCommunity,
    SetCommunityPhoto,
    SetCommunityRules,
    SubGroup,
    UnlinkGroups,
)
from gateway.errors import CallerError, Forbidden
from gateway.providers.sandbox.groups import Group, announcements_of, group_id_of, new_group
from gateway.providers.sandbox.numbers import picture_of
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.shared_chats import Actor, ChatChanges, actor_of, new_id

operations: Handlers[SandboxSession] = Handlers()
_changes = ChatChanges(operations, Group, group_id_of)


@operations.handles(CreateCommunity)
async def create(session: SandboxSession, operation: CreateCommunity) -> CommunityCreated:
    by = await actor_of(session)
    group = new_group(operation.name, by)
    group.description = operation.description
    group.community, group.announcement = new_id(session), True
    group.admin_only_message = True
    group.notify("GROUP_CREATE", by=by, parameters=[group.name])
    await session.context.entities.add(group, group.id, of=session.spec.instance_id)
    return CommunityCreated(id=group.community, sub_groups=(_shown(group),))


@operations.handles(ListCommunities)
async def list_communities(
    session: SandboxSession, operation: ListCommunities
) -> tuple[ListedCommunity, ...]:
    me = await session.own_phone()
    found = [
        ListedCommunity(name=stored.entity.name, id=stored.entity.community)
        for stored in await session.context.entities.joined(Group, me)
        if stored.entity.announcement and stored.entity.community
    ]
    return tuple(found[operation.offset : operation.offset + operation.page_size])


@operations.handles(LinkGroups)
async def link(session: SandboxSession, operation: LinkGroups) -> Linked:
    me = await session.own_phone()
    announcements = await announcements_of(session, operation.community_id, me)
    announcements.require_admin(me, unless=announcements.all_may_link)
    free_places = MAX_GROUPS - len(await _linked(session, operation.community_id))

    def alter(group: Group) -> bool:
        group.require_admin(me)
        if group.community == operation.community_id:
            return False
        if group.community:
            raise Forbidden("is in another community")
        if free_places <= 0:
            raise Forbidden(f"a community holds at most {MAX_GROUPS} groups")
        group.community = operation.community_id
        return True

    errors = []
    for id_ in operation.groups_phones:
        try:
            free_places -= await session.context.entities.change(Group, id_, alter)
        except CallerError as error:
            errors.append(f"{id_}: {error}")
    return Linked(success=not errors, errors=tuple(errors) or None)


@operations.handles(UnlinkGroups)
async def unlink(session: SandboxSession, operation: UnlinkGroups) -> Linked:
    me = await session.own_phone()
    (await announcements_of(session, operation.community_id, me)).require_admin(me)
    left = {group.id for group in await _linked(session, operation.community_id)}
    errors = []
    for id_ in operation.groups_phones:
        if id_ not in left:
            errors.append(f"{id_}: is not in this community")
        elif len(left) == 1:
            errors.append(f"{id_}: one group must remain")
        else:
            await session.context.entities.change(Group, id_, _leave)
            left.discard(id_)
    return Linked(success=not errors, errors=tuple(errors) or None)


@operations.handles(ReadCommunity)
async def read(session: SandboxSession, operation: ReadCommunity) -> CommunityMetadata:
    me = await session.own_phone()
    announcements = await announcements_of(session, operation.community_id, me)
    linked = await _linked(session, operation.community_id)
    return CommunityMetadata(
        name=announcements.name,
        id=operation.community_id,
        description=announcements.description,
        sub_groups=tuple(_shown(group) for group in (announcements, *linked)),
    )


@_changes.handles(SetCommunityRules, lambda operation: operation.community_id)
def set_rules(group: Group, operation: SetCommunityRules, by: Actor) -> Success:
    group.require_admin(by.phone)
    group.all_may_link = operation.who_can_add_new_groups == "all"
    return Success()


@_changes.handles(DescribeCommunity, lambda operation: operation.community_id)
def describe(group: Group, operation: DescribeCommunity, by: Actor) -> Value:
    group.require_admin(by.phone)
    group.description = operation.community_description
    return Value()


@_changes.handles(SetCommunityPhoto, lambda operation: operation.community_id)
def set_photo(group: Group, operation: SetCommunityPhoto, by: Actor) -> Value:
    group.require_admin(by.phone)
    group.picture = picture_of(operation.community_photo)
    return Value()


@operations.handles(DeleteCommunity)
async def delete(session: SandboxSession, operation: DeleteCommunity) -> Value:
    """Deletes the announcement group and takes the other groups out of the community."""
    me = await session.own_phone()
    announcements = await announcements_of(session, operation.community_id, me)
    announcements.require_admin(me)
    for group in await _linked(session, operation.community_id):
        await session.context.entities.change(Group, group.id, _leave)
    stored = await session.context.entities.find(Group, announcements.id)
    if stored:
        await session.context.entities.remove(Group, stored.instance_id, stored.id)
    return Value()


def _leave(group: Group) -> None:
    group.community = None


async def _linked(session: SandboxSession, community: str) -> list[Group]:
    """Returns the ordinary groups of a community, also those without this number."""
    found = await session.context.entities.of_community(Group, community)
    return [stored.entity for stored in found if not stored.entity.announcement]


def _shown(group: Group) -> SubGroup:
    return SubGroup(name=group.name, phone=group.id, is_group_announcement=group.announcement)
