"""Members of a group or community: adds, removes, promotes and demotes them."""

from gateway.contract.callbacks import NotificationCode
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.groups.members import (
    AddParticipants,
    ApproveParticipants,
    DemoteParticipants,
    LeaveGroup,
    MembersOperation,
    PromoteParticipants,
    RejectParticipants,
    RemoveParticipants,
)
from gateway.providers.sandbox.groups import Group, Role, group_id_of
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.shared_chats import Actor, ChatChanges

operations: Handlers[SandboxSession] = Handlers()
_changes = ChatChanges(operations, Group, group_id_of)


def _named(operation: MembersOperation) -> str:
    name = operation.group_id or operation.community_id
    assert name is not None
    return name


@_changes.handles(AddParticipants, _named)
def add(group: Group, operation: AddParticipants, by: Actor) -> Value:
    group.require_admin(by.phone, unless=not group.admin_only_add_member)
    return _notify_added(group, group.admit(operation.phones), by)


@_changes.handles(ApproveParticipants, lambda operation: operation.group_id)
def approve(group: Group, operation: ApproveParticipants, by: Actor) -> Value:
    group.require_admin(by.phone)
    waiting = [phone for phone in operation.phones if phone in group.requests]
    return _notify_added(group, group.admit(waiting), by)


def _notify_added(group: Group, added: list[str], by: Actor) -> Value:
    if added:
        group.notify("GROUP_PARTICIPANT_ADD", by=by, parameters=added)
    return Value(value=bool(added))


@_changes.handles(RemoveParticipants, _named)
def remove(group: Group, operation: RemoveParticipants, by: Actor) -> Value:
    group.require_admin(by.phone)
    gone = [p for p in operation.phones if p in group.members and group.members[p] != "owner"]
    if not gone:
        return Value(value=False)
    group.notify("GROUP_PARTICIPANT_REMOVE", by=by, parameters=gone)
    for phone in gone:
        del group.members[phone]
    return Value()


@_changes.handles(PromoteParticipants, _named)
def promote(group: Group, operation: PromoteParticipants, by: Actor) -> Value:
    return _give_role(group, operation.phones, "admin", "GROUP_PARTICIPANT_PROMOTE", by)


@_changes.handles(DemoteParticipants, _named)
def demote(group: Group, operation: DemoteParticipants, by: Actor) -> Value:
    return _give_role(group, operation.phones, "member", "GROUP_PARTICIPANT_DEMOTE", by)


def _give_role(
    group: Group, phones: tuple[str, ...], role: Role, code: NotificationCode, by: Actor
) -> Value:
    group.require_admin(by.phone)
    given = [p for p in phones if group.members.get(p) not in {None, "owner", role}]
    if not given:
        return Value(value=all(group.members.get(p) == role for p in phones))
    group.members.update(dict.fromkeys(given, role))
    group.notify(code, by=by, parameters=given)
    return Value()


@_changes.handles(RejectParticipants, lambda operation: operation.group_id)
def reject(group: Group, operation: RejectParticipants, by: Actor) -> Value:
    group.require_admin(by.phone)
    rejected = [phone for phone in operation.phones if phone in group.requests]
    group.requests = [phone for phone in group.requests if phone not in rejected]
    return Value(value=bool(rejected))


@_changes.handles(LeaveGroup, lambda operation: operation.group_id)
def leave(group: Group, _operation: LeaveGroup, by: Actor) -> Value:
    """Leaves the group; if no admin remains, the first member becomes one."""
    group.require_member(by.phone)
    group.notify("GROUP_PARTICIPANT_LEAVE", by=by, parameters=[by.phone])
    del group.members[by.phone]
    if group.members and not any(group.is_admin(phone) for phone in group.members):
        group.members[min(group.members)] = "admin"
    return Value()
