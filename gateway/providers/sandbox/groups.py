"""Groups: their fields, and the rules for changing them."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.groups.group import (
    CreateGroup,
    DescribeGroup,
    GroupCreated,
    GroupMetadata,
    JoinedGroup,
    ListJoinedGroups,
    Participant,
    ReadGroup,
    ReadGroupLight,
    RenameGroup,
    SetGroupPhoto,
    SetGroupRules,
)
from gateway.errors import Forbidden, InvalidRequest, NotFound
from gateway.providers.sandbox.numbers import picture_of, registered
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.shared_chats import (
    Actor,
    ChatChanges,
    SharedChat,
    actor_of,
    new_id,
    new_invite,
)

operations: Handlers[SandboxSession] = Handlers()

Role = Literal["member", "admin", "owner"]
MAX_MEMBERS = 1_024
_LINK = "https://chat.whatsapp.com/"
_UNKNOWN = "There is no such group, or this number is not in it"


class Group(SharedChat):
    """A group; `community` is its community, `announcement` marks the announcement group of it."""

    kind = "group"

    owner: str
    created_ms: int
    subject_ms: int
    subject_owner: str
    members: dict[str, Role]
    requests: list[str] = Field(default_factory=list)
    admin_only_message: bool = False
    admin_only_settings: bool = False
    require_admin_approval: bool = False
    admin_only_add_member: bool = False
    community: str | None = None
    announcement: bool = False
    all_may_link: bool = False

    @property
    def link(self) -> str:
        return _LINK + self.invite

    def is_admin(self, phone: str) -> bool:
        return self.members.get(phone, "member") != "member"

    def require_member(self, phone: str) -> None:
        if phone not in self.members:
            raise NotFound(_UNKNOWN)

    def require_admin(self, phone: str, *, unless: bool = False) -> None:
        """Requires a member, and an admin unless *unless*."""
        self.require_member(phone)
        if not (unless or self.is_admin(phone)):
            raise Forbidden("Only admins of the group can do this")

    def admit(self, phones: Iterable[str]) -> list[str]:
        """Adds the numbers that have WhatsApp; returns the new ones."""
        new = [p for p in dict.fromkeys(phones) if p not in self.members and registered(p)]
        if len(self.members) + len(new) > MAX_MEMBERS:
            raise InvalidRequest(f"phones: a group holds at most {MAX_MEMBERS} people")
        self.members.update(dict.fromkeys(new, "member"))
        self.requests = [phone for phone in self.requests if phone not in new]
        return new

    def participants(self) -> tuple[Participant, ...]:
        return tuple(
            Participant(phone=phone, is_admin=role != "member", is_super_admin=role == "owner")
            for phone, role in self.members.items()
        )


def new_group(name: str, by: Actor) -> Group:
    now = by.now_ms()
    return Group(
        id=f"{new_id(by.session)}-group",
        name=name,
        owner=by.phone,
        created_ms=now,
        subject_ms=now,
        subject_owner=by.phone,
        invite=new_invite(by.session),
        members={by.phone: "owner"},
    )


async def joined_group(session: SandboxSession, id_: str, me: str) -> Group:
    stored = await session.context.entities.find(Group, id_)
    if stored is None:
        raise NotFound(_UNKNOWN)
    stored.entity.require_member(me)
    return stored.entity


async def announcements_of(session: SandboxSession, community: str, me: str) -> Group:
    """Returns the announcement group of a community: its members are the community's."""
    for stored in await session.context.entities.joined(Group, me):
        if stored.entity.announcement and stored.entity.community == community:
            return stored.entity
    raise NotFound("There is no such community, or this number is not in it")


async def group_id_of(by: Actor, name: str) -> str:
    """Returns the id of the group that a request names by its own id or by its community."""
    bare = name.removesuffix("-group")
    if bare != name and not await by.session.context.entities.of_community(Group, bare):
        return name
    return (await announcements_of(by.session, bare, by.phone)).id


_changes = ChatChanges(operations, Group, group_id_of)


@operations.handles(CreateGroup)
async def create(session: SandboxSession, operation: CreateGroup) -> GroupCreated:
    by = await actor_of(session)
    group = new_group(operation.group_name, by)
    if not group.admit(operation.phones):
        raise InvalidRequest("phones: none of these numbers can be added")
    group.notify("GROUP_CREATE", by=by, parameters=[group.name])
    await session.context.entities.add(group, group.id, of=session.spec.instance_id)
    session.context.wake_within(0)
    return GroupCreated(phone=group.id, invitation_link=group.link)


@operations.handles(ListJoinedGroups)
async def list_joined(
    session: SandboxSession, _operation: ListJoinedGroups
) -> tuple[JoinedGroup, ...]:
    me = await session.own_phone()
    return tuple(
        JoinedGroup(phone=stored.id, subject=stored.entity.name, since_ms=stored.entity.created_ms)
        for stored in await session.context.entities.joined(Group, me)
    )


@_changes.handles(RenameGroup, lambda operation: operation.group_id)
def rename(group: Group, operation: RenameGroup, by: Actor) -> Value:
    group.require_admin(by.phone, unless=not group.admin_only_settings)
    group.name, group.subject_owner, group.subject_ms = operation.group_name, by.phone, by.now_ms()
    group.notify("GROUP_CHANGE_SUBJECT", by=by, parameters=[group.name])
    return Value()


@_changes.handles(SetGroupPhoto, lambda operation: operation.group_id)
def set_photo(group: Group, operation: SetGroupPhoto, by: Actor) -> Value:
    group.require_admin(by.phone, unless=not group.admin_only_settings)
    group.picture = picture_of(operation.group_photo)
    group.notify("GROUP_CHANGE_ICON", by=by)
    return Value()


@_changes.handles(DescribeGroup, lambda operation: operation.group_id)
def describe(group: Group, operation: DescribeGroup, by: Actor) -> Value:
    group.require_admin(by.phone, unless=not group.admin_only_settings)
    group.description = operation.group_description
    group.notify("GROUP_CHANGE_DESCRIPTION", by=by, parameters=[group.description])
    return Value()


@_changes.handles(SetGroupRules, lambda operation: operation.phone)
def set_rules(group: Group, operation: SetGroupRules, by: Actor) -> Value:
    group.require_admin(by.phone)
    given = operation.model_dump(exclude={"phone"}, exclude_none=True)
    for name, value in given.items():
        setattr(group, name, value)
    if "admin_only_message" in given:
        group.notify("GROUP_CHANGE_ANNOUNCE", by=by)
    if "admin_only_settings" in given:
        group.notify("GROUP_CHANGE_RESTRICT", by=by)
    return Value()


@operations.handles(ReadGroup)
async def read(session: SandboxSession, operation: ReadGroup) -> GroupMetadata:
    me = await session.own_phone()
    group = await joined_group(session, operation.phone, me)
    if group.is_admin(me):
        return _metadata(group).model_copy(update={"invitation_link": group.link})
    return _metadata(group).model_copy(update={"invitation_link_error": "not-authorized"})


@operations.handles(ReadGroupLight)
async def read_light(session: SandboxSession, operation: ReadGroupLight) -> GroupMetadata:
    return _metadata(await joined_group(session, operation.phone, await session.own_phone()))


def _metadata(group: Group) -> GroupMetadata:
    return GroupMetadata(
        phone=group.id,
        description=group.description,
        owner=group.owner,
        subject=group.name,
        creation=group.created_ms,
        invitation_link=None,
        invitation_link_error=None,
        community_id=group.community,
        admin_only_message=group.admin_only_message,
        admin_only_settings=group.admin_only_settings,
        require_admin_approval=group.require_admin_approval,
        is_group_announcement=group.announcement,
        participants=group.participants(),
        subject_time=group.subject_ms,
        subject_owner=group.subject_owner,
    )
