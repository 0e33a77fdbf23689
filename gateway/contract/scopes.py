"""The rights that routes need: scopes of API keys, and what each role of a user has of them."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """A right; each route needs one, and none includes another."""

    SEND = "send"
    READ = "read"
    MANAGE = "manage"
    WEBHOOKS = "webhooks"
    PANEL = "panel"


class Role(StrEnum):
    """What a user is: an operator of the installation, or a person of one account."""

    OPERATOR = "operator"
    OWNER = "owner"
    AGENT = "agent"
    VIEWER = "viewer"


ALL_SCOPES: Final = frozenset(Scope)

SCOPE_MEANINGS: Final[Mapping[Scope, str]] = {
    Scope.SEND: "act on WhatsApp as the number: messages, chats, contacts, groups, catalog",
    Scope.READ: "read what is no secret, and follow events",
    Scope.MANAGE: "settings, connection, queue, instances, API keys; answers show tokens",
    Scope.WEBHOOKS: "webhooks, deliveries, dead letters, replay",
    Scope.PANEL: "pages of the panel; no route of the API needs it",
}

SCOPES_OF_ROLE: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.OPERATOR: ALL_SCOPES,
    Role.OWNER: ALL_SCOPES,
    Role.AGENT: frozenset({Scope.SEND, Scope.READ, Scope.PANEL}),
    Role.VIEWER: frozenset({Scope.READ, Scope.PANEL}),
}


def known_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Returns the scopes of these names, without those that only a newer release knows."""
    wanted = set(names)
    return frozenset(scope for scope in Scope if scope.value in wanted)
