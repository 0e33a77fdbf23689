"""Groups: members, permissions and invitations.

The library cannot change who may add people, nor whether admins approve new members.
"""

from typing import Any

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
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
from gateway.contract.zapi.groups.invitations import (
    AcceptInvitation,
    InvitedGroup,
    NewInvitation,
    ReadInvitation,
    ReadInvitationLink,
    RenewInvitation,
)
from gateway.contract.zapi.groups.members import (
    AddParticipants,
    DemoteParticipants,
    LeaveGroup,
    MembersOperation,
    PromoteParticipants,
    RemoveParticipants,
)
from gateway.errors import NotSupported
from gateway.whatsapp_web.jids import chat_of, jid_of, person_of, text_of
from gateway.whatsapp_web.session import VerbFailed, WebSession

operations: Handlers[WebSession] = Handlers()

Info = dict[str, Any]
_MS = 1000


@operations.handles(ListJoinedGroups)
async def list_joined(session: WebSession, _pending: ListJoinedGroups) -> tuple[JoinedGroup, ...]:
    groups = await session.call("joined_groups")
    return tuple(
        JoinedGroup(phone=id_of(g), subject=subject_of(g), since_ms=created_ms(g))
        for g in groups
        if not is_community(g)
    )


@operations.handles(CreateGroup)
async def create(session: WebSession, operation: CreateGroup) -> GroupCreated:
    people = [jid_of(phone) for phone in operation.phones]
    group = await session.call("create_group", name=operation.group_name, people=people)
    link = await session.call("group_link", jid=text_of(group["JID"]), renew=False)
    return GroupCreated(phone=id_of(group), invitation_link=link)


@operations.handles(RenameGroup)
async def rename(session: WebSession, operation: RenameGroup) -> Value:
    await session.call("rename_group", jid=jid_of(operation.group_id), name=operation.group_name)
    return Value()


@operations.handles(SetGroupPhoto)
async def set_photo(session: WebSession, operation: SetGroupPhoto) -> Value:
    jpeg = await session.picture(operation.group_photo)
    await session.call("set_group_picture", jid=jid_of(operation.group_id), jpeg=jpeg)
    return Value()


@operations.handles(DescribeGroup)
async def describe(session: WebSession, operation: DescribeGroup) -> Value:
    await session.call(
        "describe_group", jid=jid_of(operation.group_id), text=operation.group_description
    )
    return Value()


@operations.handles(SetGroupRules)
async def set_rules(session: WebSession, operation: SetGroupRules) -> Value:
    if operation.require_admin_approval is not None or operation.admin_only_add_member is not None:
        raise NotSupported
    jid = jid_of(operation.phone)
    if operation.admin_only_message is not None:
        await session.call("announce", jid=jid, on=operation.admin_only_message)
    if operation.admin_only_settings is not None:
        await session.call("lock", jid=jid, on=operation.admin_only_settings)
    return Value()


_CHANGES: dict[type[MembersOperation], str] = {
    AddParticipants: "add",
    RemoveParticipants: "remove",
    PromoteParticipants: "promote",
    DemoteParticipants: "demote",
}


@operations.handles(MembersOperation)
async def change_members(session: WebSession, operation: MembersOperation) -> Value:
    chat = operation.group_id or f"{operation.community_id}-group"
    people = [jid_of(phone) for phone in operation.phones]
    await session.call(
        "change_members", jid=jid_of(chat), people=people, change=_CHANGES[type(operation)]
    )
    return Value()


@operations.handles(LeaveGroup)
async def leave(session: WebSession, operation: LeaveGroup) -> Value:
    await session.call("leave_group", jid=jid_of(operation.group_id))
    return Value()


@operations.handles(ReadGroup)
async def read(session: WebSession, operation: ReadGroup) -> GroupMetadata:
    group = await session.call("group", jid=jid_of(operation.phone))
    try:
        link = await session.call("group_link", jid=jid_of(operation.phone), renew=False)
    except VerbFailed as error:
        return _metadata(group, link_error=error.text)
    return _metadata(group, link=link)


@operations.handles(ReadGroupLight)
async def read_light(session: WebSession, operation: ReadGroupLight) -> GroupMetadata:
    return _metadata(await session.call("group", jid=jid_of(operation.phone)))


@operations.handles(ReadInvitation)
async def read_invitation(session: WebSession, operation: ReadInvitation) -> InvitedGroup:
    group = await session.call("group_of_link", code=_code_of(operation.url))
    people = _participants(group)
    return InvitedGroup(
        phone=id_of(group),
        owner=_owner(group),
        subject=subject_of(group),
        description=_topic(group),
        creation=created_ms(group),
        invitation_link=operation.url,
        contacts_count=0,
        participants_count=len(people),
        participants=people,
        subject_time=created_ms(group),
        subject_owner=_owner(group),
    )


@operations.handles(RenewInvitation)
async def renew_invitation(session: WebSession, operation: RenewInvitation) -> NewInvitation:
    group = (
        operation.group_id
        if operation.group_id.endswith("-group")
        else f"{operation.group_id}-group"
    )
    link = await session.call("group_link", jid=jid_of(group), renew=True)
    return NewInvitation(invitation_link=link)


@operations.handles(ReadInvitationLink)
async def read_link(session: WebSession, operation: ReadInvitationLink) -> GroupCreated:
    link = await session.call("group_link", jid=jid_of(operation.group_id), renew=False)
    return GroupCreated(phone=operation.group_id, invitation_link=link)


@operations.handles(AcceptInvitation)
async def accept(session: WebSession, operation: AcceptInvitation) -> Success:
    await session.call("join", code=_code_of(operation.url))
    return Success()


def id_of(group: Info) -> str:
    return chat_of(text_of(group["JID"]) or "")


def subject_of(group: Info) -> str:
    return str(_name(group).get("Name", ""))


def created_ms(group: Info) -> int:
    return int(float(group.get("GroupCreated", 0)) * _MS)


def is_community(group: Info) -> bool:
    return bool(group.get("GroupParent", {}).get("IsParent"))


def is_announcement(group: Info) -> bool:
    return bool(group.get("GroupIsDefaultSub", {}).get("IsDefaultSubGroup"))


def _code_of(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2].partition("?")[0]


def _name(group: Info) -> Info:
    found: Info = group.get("GroupName", {})
    return found


def _topic(group: Info) -> str | None:
    return group.get("GroupTopic", {}).get("Topic") or None


def _owner(group: Info) -> str:
    return person_of(group.get("OwnerPN"), group.get("OwnerJID"))[0] or ""


def _participants(group: Info) -> tuple[Participant, ...]:
    return tuple(_participant(each) for each in group.get("Participants", ()))


def _participant(each: Info) -> Participant:
    phone, lid = person_of(each.get("PhoneNumber"), each.get("JID"), each.get("LID"))
    return Participant(
        phone=phone or "",
        lid=lid,
        is_admin=bool(each.get("IsAdmin") or each.get("IsSuperAdmin")),
        is_super_admin=bool(each.get("IsSuperAdmin")),
        name=each.get("DisplayName") or None,
    )


def _metadata(
    group: Info, *, link: str | None = None, link_error: str | None = None
) -> GroupMetadata:
    parent = text_of(group.get("GroupLinkedParent", {}).get("LinkedParentJID"))
    return GroupMetadata(
        phone=id_of(group),
        description=_topic(group),
        owner=_owner(group),
        subject=subject_of(group),
        creation=created_ms(group),
        invitation_link=link,
        invitation_link_error=link_error,
        community_id=parent.partition("@")[0] if parent else None,
        admin_only_message=bool(group.get("GroupAnnounce", {}).get("IsAnnounce")),
        admin_only_settings=bool(group.get("GroupLocked", {}).get("isLocked")),
        require_admin_approval=False,
        is_group_announcement=is_announcement(group),
        participants=_participants(group),
        subject_time=created_ms(group),
        subject_owner=_owner(group),
    )
