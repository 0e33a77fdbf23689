"""Requests to join, rules of groups, and communities: what the other library cannot change."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.contract.zapi.communities import DeleteCommunity, SetCommunityRules
from gateway.contract.zapi.groups.group import SetGroupRules
from gateway.contract.zapi.groups.members import (
    ApproveParticipants,
    RejectParticipants,
    RequestsOperation,
)
from gateway.whatsapp_web.jids import GROUP, jid_of
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()

_ACTIONS: dict[type[RequestsOperation], str] = {
    ApproveParticipants: "approve",
    RejectParticipants: "reject",
}
_RULES = {
    "admin_only_message": "announce",
    "admin_only_settings": "lock",
    "require_admin_approval": "approve_members",
    "admin_only_add_member": "restrict_adding",
}
"""The verb that sets each rule."""


@operations.handles(RequestsOperation)
async def decide(session: WebSession, operation: RequestsOperation) -> Value:
    """Returns false where none of the people was waiting."""
    decided = await session.call(
        "decide_requests",
        jid=jid_of(operation.group_id),
        people=[jid_of(phone) for phone in operation.phones],
        action=_ACTIONS[type(operation)],
    )
    return Value(value=any(each["status"] == "200" for each in decided))


@operations.handles(SetGroupRules)
async def set_rules(session: WebSession, operation: SetGroupRules) -> Value:
    for field, verb in _RULES.items():
        if (on := getattr(operation, field)) is not None:
            await session.call(verb, jid=jid_of(operation.phone), on=on)
    return Value()


@operations.handles(SetCommunityRules)
async def set_community_rules(session: WebSession, operation: SetCommunityRules) -> Success:
    everyone = operation.who_can_add_new_groups == "all"
    await session.call("let_members_add_groups", jid=_jid(operation.community_id), on=everyone)
    return Success()


@operations.handles(DeleteCommunity)
async def delete_community(session: WebSession, operation: DeleteCommunity) -> Value:
    await session.call("end_community", jid=_jid(operation.community_id))
    return Value()


def _jid(community_id: str) -> str:
    return f"{community_id}@{GROUP}"
