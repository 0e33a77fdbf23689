"""The rights that routes need: scopes of API keys, and what each role of a user has of them."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final


class ApiScope(StrEnum):
    """A right; each route needs one, and none includes another."""

    SEND = "send"
    READ = "read"
    MANAGE = "manage"
    WEBHOOKS = "webhooks"
    PANEL = "panel"


class UserRole(StrEnum):
    """What a user is: an operator of the installation, or a person of one account."""

    OPERATOR = "operator"
    OWNER = "owner"
    AGENT = "agent"
    VIEWER = "viewer"


ALL_SCOPES: Final = frozenset(ApiScope)

SCOPE_MEANINGS: Final[Mapping[ApiScope, str]] = {
    ApiScope.SEND: "act on WhatsApp as the number: messages, chats, contacts, groups, catalog",
    ApiScope.READ: "read what is no secret, and follow events",
    ApiScope.MANAGE: "settings, connection, queue, instances, API keys; answers show tokens",
    ApiScope.WEBHOOKS: "webhooks, deliveries, dead letters, replay",
    ApiScope.PANEL: "pages of the panel; no route of the API needs it",
}

SCOPES_OF_ROLE: Final[Mapping[UserRole, frozenset[ApiScope]]] = {
    UserRole.OPERATOR: ALL_SCOPES,
    UserRole.OWNER: ALL_SCOPES,
    UserRole.AGENT: frozenset({ApiScope.SEND, ApiScope.READ, ApiScope.PANEL}),
    UserRole.VIEWER: frozenset({ApiScope.READ, ApiScope.PANEL}),
}


def known_scopes(names: Iterable[str]) -> frozenset[ApiScope]:
    """Returns the scopes of these names, without those that only a newer release knows."""
    wanted = set(names)
    return frozenset(scope for scope in ApiScope if scope.value in wanted)
