"""All operations that the sandbox handles."""

from gateway.contract.handlers import Handlers
from gateway.providers.sandbox import (
    account,
    business_profile,
    catalog,
    communities,
    contacts,
    group_invitations,
    group_members,
    groups,
    linking,
    message_actions,
    newsletters,
    presence,
    registration,
)
from gateway.providers.sandbox.session import SandboxSession

operations: Handlers[SandboxSession] = (
    account.operations
    | message_actions.operations
    | business_profile.operations
    | catalog.operations
    | communities.operations
    | contacts.operations
    | group_invitations.operations
    | group_members.operations
    | groups.operations
    | linking.operations
    | newsletters.operations
    | presence.operations
    | registration.operations
)
