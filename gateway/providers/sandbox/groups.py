"""Groups: who is in them, who may do what, and the way in."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from gateway.contract.callbacks import NotificationCode
from gateway.contract.groups import (
    AcceptInvitation,
    AddParticipants,
    ApproveParticipants,
    CreateGroup,
    DemoteParticipants,
    DescribeGroup,
    GroupCreated,
    GroupMetadata,
    InvitedGroup,
    JoinedGroup,
    LeaveGroup,
    ListJoinedGroups,
    MembersOperation,
    NewInvitation,
    Participant,
    PromoteParticipants,
    ReadGroup,
    ReadGroupLight,
    ReadInvitation,
    ReadInvitationLink,
    RejectParticipants,
    RemoveParticipants,
    RenameGroup,
    RenewInvitation,
    SetGroupPhoto,
    SetGroupRules,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.errors import Forbidden, InvalidRequest, NotFound
from gateway.providers.sandbox.entities import Entity
from gateway.providers.sandbox.numbers import picture_of, registered
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.telling import notification

operations: Handlers[SandboxSession] = Handlers()

Role = Literal["member", "admin", "owner"]
MOST_MEMBERS = 1_024
_INVITE_BYTES, _ID_DIGITS = 11, 15
_LINK = "https://chat.whatsapp.com/"
_UNKNOWN = "There is no such group, or this number is not in it"


class Group(Entity):
    """A group; of a community when `community` is set, its announcements when `announcement`."""

    kind = "group"

    id: str
    name: str
    owner: str
    created_ms: int
    subject_ms: int
    subject_owner: str
    invite: str
    description: str = ""
    picture: str | None = None
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
        """A member, and an admin where not everybody may."""
        self.require_member(phone)
        if not (unless or self.is_admin(phone)):
            raise Forbidden("Only admins of the group can do this")

    def notify(
        self,
        session: SandboxSession,
        code: NotificationCode,
        *,
        by: str,
        parameters: Iterable[str] = (),
        to: Iterable[str] | None = None,
    ) -> None:
        """Tells the members, or some of them, what *by* did."""
        told = notification(
            code,
            notification_id=f"3EB0{session.around.random_bytes(9).hex().upper()}",
            chat=self.id,
            by=by,
            parameters=tuple(parameters),
        )
        self.tell(list(self.members if to is None else to), told)

    def admit(self, phones: Iterable[str]) -> list[str]:
        """Lets in whom it can; returns those who are new."""
        new = [p for p in dict.fromkeys(phones) if p not in self.members and registered(p)]
        if len(self.members) + len(new) > MOST_MEMBERS:
            raise InvalidRequest(f"phones: a group holds at most {MOST_MEMBERS} people")
        self.members.update(dict.fromkeys(new, "member"))
        self.requests = [phone for phone in self.requests if phone not in new]
        return new


def new_group(session: SandboxSession, name: str, owner: str) -> Group:
    now = int(session.around.clock.now().timestamp() * 1000)
    return Group(
        id=f"{new_id(session)}-group",
        name=name,
        owner=owner,
        created_ms=now,
        subject_ms=now,
        subject_owner=owner,
        invite=new_invite(session),
        members={owner: "owner"},
    )


def new_id(session: SandboxSession) -> str:
    """Digits as WhatsApp numbers its groups and channels."""
    number = int.from_bytes(session.around.random_bytes(8), "big") % 10**_ID_DIGITS
    return f"120{number:0{_ID_DIGITS}d}"


def new_invite(session: SandboxSession) -> str:
    return session.around.random_bytes(_INVITE_BYTES).hex()


@operations.handles(CreateGroup)
async def create(session: SandboxSession, asked: CreateGroup) -> GroupCreated:
    me = await session.own_phone()
    group = new_group(session, asked.group_name, me)
    added = group.admit(asked.phones)
    if not added:
        raise InvalidRequest("phones: none of these numbers can be added")
    group.notify(session, "GROUP_CREATE", by=me, parameters=[group.name])
    await session.around.entities.add(group, group.id, of=session.seat.instance_id)
    session.around.look_within(0)
    return GroupCreated(phone=group.id, invitation_link=group.link)


@operations.handles(ListJoinedGroups)
async def list_joined(session: SandboxSession, _asked: ListJoinedGroups) -> tuple[JoinedGroup, ...]:
    me = await session.own_phone()
    return tuple(
        JoinedGroup(phone=kept.id, subject=kept.thing.name, since_ms=kept.thing.created_ms)
        for kept in await session.around.entities.joined(Group, me)
    )


@operations.handles(RenameGroup)
async def rename(session: SandboxSession, asked: RenameGroup) -> Value:
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_admin(me, unless=not group.admin_only_settings)
        group.name, group.subject_owner = asked.group_name, me
        group.subject_ms = int(session.around.clock.now().timestamp() * 1000)
        group.notify(session, "GROUP_CHANGE_SUBJECT", by=me, parameters=[group.name])
        return Value()

    return await session.around.entities.change(Group, asked.group_id, alter)


@operations.handles(SetGroupPhoto)
async def set_photo(session: SandboxSession, asked: SetGroupPhoto) -> Value:
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_admin(me, unless=not group.admin_only_settings)
        group.picture = picture_of(asked.group_photo)
        group.notify(session, "GROUP_CHANGE_ICON", by=me)
        return Value()

    return await session.around.entities.change(Group, asked.group_id, alter)


@operations.handles(DescribeGroup)
async def describe(session: SandboxSession, asked: DescribeGroup) -> Value:
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_admin(me, unless=not group.admin_only_settings)
        group.description = asked.group_description
        group.notify(session, "GROUP_CHANGE_DESCRIPTION", by=me, parameters=[group.description])
        return Value()

    return await session.around.entities.change(Group, asked.group_id, alter)


@operations.handles(AddParticipants)
async def add(session: SandboxSession, asked: AddParticipants) -> Value:
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_admin(me, unless=not group.admin_only_add_member)
        if not (added := group.admit(asked.phones)):
            return Value(value=False)
        group.notify(session, "GROUP_PARTICIPANT_ADD", by=me, parameters=added)
        return Value()

    return await session.around.entities.change(Group, await named(session, asked, me), alter)


@operations.handles(RemoveParticipants)
async def remove(session: SandboxSession, asked: RemoveParticipants) -> Value:
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_admin(me)
        gone = [p for p in asked.phones if p in group.members and group.members[p] != "owner"]
        if not gone:
            return Value(value=False)
        group.notify(session, "GROUP_PARTICIPANT_REMOVE", by=me, parameters=gone)
        for phone in gone:
            del group.members[phone]
        return Value()

    return await session.around.entities.change(Group, await named(session, asked, me), alter)


@operations.handles(PromoteParticipants)
async def promote(session: SandboxSession, asked: PromoteParticipants) -> Value:
    return await _give_role(session, asked, "admin", "GROUP_PARTICIPANT_PROMOTE")


@operations.handles(DemoteParticipants)
async def demote(session: SandboxSession, asked: DemoteParticipants) -> Value:
    return await _give_role(session, asked, "member", "GROUP_PARTICIPANT_DEMOTE")


async def _give_role(
    session: SandboxSession, asked: MembersOperation, role: Role, told_as: NotificationCode
) -> Value:
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_admin(me)
        given = [p for p in asked.phones if group.members.get(p) not in {None, "owner", role}]
        if not given:
            return Value(value=all(group.members.get(p) == role for p in asked.phones))
        group.members.update(dict.fromkeys(given, role))
        group.notify(session, told_as, by=me, parameters=given)
        return Value()

    return await session.around.entities.change(Group, await named(session, asked, me), alter)


@operations.handles(ApproveParticipants)
async def approve(session: SandboxSession, asked: ApproveParticipants) -> Value:
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_admin(me)
        added = group.admit(phone for phone in asked.phones if phone in group.requests)
        if not added:
            return Value(value=False)
        group.notify(session, "GROUP_PARTICIPANT_ADD", by=me, parameters=added)
        return Value()

    return await session.around.entities.change(Group, asked.group_id, alter)


@operations.handles(RejectParticipants)
async def reject(session: SandboxSession, asked: RejectParticipants) -> Value:
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_admin(me)
        turned_away = [phone for phone in asked.phones if phone in group.requests]
        group.requests = [phone for phone in group.requests if phone not in turned_away]
        return Value(value=bool(turned_away))

    return await session.around.entities.change(Group, asked.group_id, alter)


@operations.handles(LeaveGroup)
async def leave(session: SandboxSession, asked: LeaveGroup) -> Value:
    """A group without admins gets one."""
    me = await session.own_phone()

    def alter(group: Group) -> Value:
        group.require_member(me)
        group.notify(session, "GROUP_PARTICIPANT_LEAVE", by=me, parameters=[me])
        del group.members[me]
        if group.members and not any(group.is_admin(phone) for phone in group.members):
            group.members[min(group.members)] = "admin"
        return Value()

    return await session.around.entities.change(Group, asked.group_id, alter)


@operations.handles(SetGroupRules)
async def set_rules(session: SandboxSession, asked: SetGroupRules) -> Value:
    me = await session.own_phone()
    given = {
        name: value
        for name, value in asked.model_dump(exclude={"phone"}).items()
        if value is not None
    }

    def alter(group: Group) -> Value:
        group.require_admin(me)
        for name, value in given.items():
            setattr(group, name, value)
        if "admin_only_message" in given:
            group.notify(session, "GROUP_CHANGE_ANNOUNCE", by=me)
        if "admin_only_settings" in given:
            group.notify(session, "GROUP_CHANGE_RESTRICT", by=me)
        return Value()

    return await session.around.entities.change(Group, asked.phone, alter)


@operations.handles(ReadGroup)
async def read(session: SandboxSession, asked: ReadGroup) -> GroupMetadata:
    me = await session.own_phone()
    group = await joined_group(session, asked.phone, me)
    if group.is_admin(me):
        return _metadata(group).model_copy(update={"invitation_link": group.link})
    return _metadata(group).model_copy(update={"invitation_link_error": "not-authorized"})


@operations.handles(ReadGroupLight)
async def read_light(session: SandboxSession, asked: ReadGroupLight) -> GroupMetadata:
    return _metadata(await joined_group(session, asked.phone, await session.own_phone()))


@operations.handles(ReadInvitationLink)
async def read_link(session: SandboxSession, asked: ReadInvitationLink) -> GroupCreated:
    me = await session.own_phone()
    group = await joined_group(session, asked.group_id, me)
    group.require_admin(me)
    return GroupCreated(phone=group.id, invitation_link=group.link)


@operations.handles(RenewInvitation)
async def renew_link(session: SandboxSession, asked: RenewInvitation) -> NewInvitation:
    me = await session.own_phone()

    def alter(group: Group) -> NewInvitation:
        group.require_admin(me)
        group.invite = new_invite(session)
        return NewInvitation(invitation_link=group.link)

    id_ = asked.group_id
    if not id_.endswith("-group"):
        id_ = (await announcements_of(session, id_, me)).id
    return await session.around.entities.change(Group, id_, alter)


@operations.handles(ReadInvitation)
async def read_invitation(session: SandboxSession, asked: ReadInvitation) -> InvitedGroup:
    await session.own_phone()
    group = await _invited(session, asked.url)
    return InvitedGroup(
        phone=group.id,
        owner=group.owner,
        subject=group.name,
        description=group.description,
        creation=group.created_ms,
        invitation_link=group.link,
        contacts_count=len(group.members),
        participants_count=len(group.members),
        participants=_participants(group),
        subject_time=group.subject_ms,
        subject_owner=group.subject_owner,
    )


@operations.handles(AcceptInvitation)
async def accept(session: SandboxSession, asked: AcceptInvitation) -> Success:
    me = await session.own_phone()

    def alter(group: Group) -> Success:
        if me in group.members:
            return Success()
        if group.require_admin_approval:
            if me not in group.requests:
                group.requests.append(me)
                group.notify(
                    session,
                    "MEMBERSHIP_APPROVAL_REQUEST",
                    by=me,
                    parameters=[me],
                    to=[phone for phone in group.members if group.is_admin(phone)],
                )
            return Success()
        added = group.admit([me])
        group.notify(session, "GROUP_PARTICIPANT_ADD", by=me, parameters=added)
        return Success(success=bool(added))

    return await session.around.entities.change(
        Group, (await _invited(session, asked.url)).id, alter
    )


async def named(session: SandboxSession, asked: MembersOperation, me: str) -> str:
    """The group of a request, which may name a community instead."""
    if asked.group_id is not None:
        return asked.group_id
    assert asked.community_id is not None
    return (await announcements_of(session, asked.community_id, me)).id


async def joined_group(session: SandboxSession, id_: str, me: str) -> Group:
    kept = await session.around.entities.find(Group, id_)
    if kept is None:
        raise NotFound(_UNKNOWN)
    kept.thing.require_member(me)
    return kept.thing


async def announcements_of(session: SandboxSession, community: str, me: str) -> Group:
    """The announcement group of a community: its members are the community's."""
    for kept in await session.around.entities.joined(Group, me):
        if kept.thing.announcement and kept.thing.community == community:
            return kept.thing
    raise NotFound("There is no such community, or this number is not in it")


async def _invited(session: SandboxSession, url: str) -> Group:
    invite = url.rstrip("/").rpartition("/")[2].partition("?")[0]
    kept = await session.around.entities.invited(Group, invite)
    if kept is None:
        raise NotFound("This invitation leads nowhere")
    return kept.thing


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
        participants=_participants(group),
        subject_time=group.subject_ms,
        subject_owner=group.subject_owner,
    )


def _participants(group: Group) -> tuple[Participant, ...]:
    return tuple(
        Participant(phone=phone, is_admin=role != "member", is_super_admin=role == "owner")
        for phone, role in group.members.items()
    )
