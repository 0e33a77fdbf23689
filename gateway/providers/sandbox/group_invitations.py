"""Invitations to groups: their links, and joining by a link."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success
from gateway.contract.zapi.groups.group import GroupCreated
from gateway.contract.zapi.groups.invitations import (
    AcceptInvitation,
    InvitedGroup,
    NewInvitation,
    ReadInvitation,
    ReadInvitationLink,
    RenewInvitation,
)
from gateway.errors import NotFound
from gateway.providers.sandbox.groups import Group, group_id_of, joined_group
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.shared_chats import Actor, ChatChanges, new_invite

operations: Handlers[SandboxSession] = Handlers()
_changes = ChatChanges(operations, Group, group_id_of)


@operations.handles(ReadInvitationLink)
async def read_link(session: SandboxSession, operation: ReadInvitationLink) -> GroupCreated:
    me = await session.own_phone()
    group = await joined_group(session, operation.group_id, me)
    group.require_admin(me)
    return GroupCreated(phone=group.id, invitation_link=group.link)


@_changes.handles(RenewInvitation, lambda operation: operation.group_id)
def renew_link(group: Group, _operation: RenewInvitation, by: Actor) -> NewInvitation:
    group.require_admin(by.phone)
    group.invite = new_invite(by.session)
    return NewInvitation(invitation_link=group.link)


@operations.handles(ReadInvitation)
async def read_invitation(session: SandboxSession, operation: ReadInvitation) -> InvitedGroup:
    await session.own_phone()
    group = await _invited(session, operation.url)
    return InvitedGroup(
        phone=group.id,
        owner=group.owner,
        subject=group.name,
        description=group.description,
        creation=group.created_ms,
        invitation_link=group.link,
        contacts_count=len(group.members),
        participants_count=len(group.members),
        participants=group.participants(),
        subject_time=group.subject_ms,
        subject_owner=group.subject_owner,
    )


async def _invited_id(by: Actor, url: str) -> str:
    return (await _invited(by.session, url)).id


async def _invited(session: SandboxSession, url: str) -> Group:
    invite = url.rstrip("/").rpartition("/")[2].partition("?")[0]
    stored = await session.context.entities.invited(Group, invite)
    if stored is None:
        raise NotFound("There is no group with this invitation")
    return stored.entity


@ChatChanges(operations, Group, _invited_id).handles(
    AcceptInvitation, lambda operation: operation.url
)
def accept(group: Group, _operation: AcceptInvitation, by: Actor) -> Success:
    if by.phone in group.members:
        return Success()
    if group.require_admin_approval:
        _ask_to_join(group, by)
        return Success()
    added = group.admit([by.phone])
    group.notify("GROUP_PARTICIPANT_ADD", by=by, parameters=added)
    return Success(success=bool(added))


def _ask_to_join(group: Group, by: Actor) -> None:
    if by.phone in group.requests:
        return
    group.requests.append(by.phone)
    group.notify(
        "MEMBERSHIP_APPROVAL_REQUEST",
        by=by,
        parameters=[by.phone],
        to=[phone for phone in group.members if group.is_admin(phone)],
    )
